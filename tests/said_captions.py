"""What runs of `caption` say in English, from the code that says it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from sunhwan.tasks import baselines_caption, caption_run
from sunhwan.tasks.caption_learner import guess_tokens
from sunhwan.tasks.caption_sources import read_captions, read_images
from sunhwan.tasks.translate_parts import within_length

Said = tuple[str, str]

#: what a table says of images
TABLE = """image,caption
a.png,red
a.png,not blue
same.png,red
b.png,blue
none.png,red
empty.png,red
text.png,red
cut.png,red
moving.gif,red
deep.tiff,red
folder,red
,red
"""
READER = {"kind": "table", "image": "image", "caption": "caption", "size": [8, 8]}


def write_images(folder: Path) -> Path:
    """The images of `TABLE`, whole and broken, and the table beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    red, blue = (Image.new("RGB", (9, 9), colour) for colour in ("red", "blue"))
    red.save(folder / "a.png")
    red.save(folder / "same.png", optimize=True)
    blue.save(folder / "b.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("no image")
    (folder / "cut.png").write_bytes((folder / "a.png").read_bytes()[:-30])
    red.save(folder / "moving.gif", save_all=True, append_images=[blue])
    Image.fromarray(np.ones((9, 9), np.float32)).save(folder / "deep.tiff")
    (folder / "folder").mkdir(exist_ok=True)
    table = folder / "captions.csv"
    table.write_text(TABLE)
    return table


def caption_cases(folder: Path) -> Iterator[Said]:
    """Notes and reasons."""
    found = read_captions([write_images(folder / "images")])
    for line in found.notes:
        yield "sentence", line
    for row in found.rejected:
        yield "sentence", row.reason
        yield "sentence", row.reason.split(": ", 1)[-1]
    yield "sentence", guess_tokens(["red", "blue"] * 9)[1].join(("tokens: words (", ")"))
    *_, [longer] = within_length(
        np.zeros(2, np.int64), np.array([2, 9]), ["a", "b"], 5, ("image", "caption")
    )
    yield "sentence", longer.reason
    images = [np.full((8, 8, 3), shade, np.uint8) for shade in (0, 90)]
    for one in baselines_caption.baselines(
        images, ["dark", "light"], images, seed=1, on_start=lambda name: None
    ):
        yield "sentence", one.detail
        yield "sentence", f"baseline: {one.name}"
    for said in (
        "images: 1,200,000 of 64 x 48 pixels, 1,054.7 MiB on disk",
        "answering 500 images",
        "a.png: the image cannot be read (Permission denied)",
        "big.png: expected at most 64,000,000 pixels, received an image of more",
    ):
        yield "sentence", said
    yield "title", "caption: captions.csv"


def caption_mistakes(folder: Path, run: Path) -> list[Callable[[], object]]:
    """Calls that are refused; `run` is a run of another task."""
    images, empty = folder / "pictures", folder / "nothing"
    table = write_images(images)
    empty.mkdir()
    contents = {"none.csv": "image,caption\nnone.png,red\n", "other.csv": "a,b\nx,y\n",
                "bare.csv": "image,caption\n,red\n,blue\n"}  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_text(content)
    return [
        lambda: read_captions([]),
        lambda: read_captions([empty]),
        lambda: read_captions([folder / "none.csv"]),
        lambda: read_captions([folder / "bare.csv"], {"image": "image", "caption": "caption"}),
        lambda: read_captions([table], {"text": "caption"}),
        lambda: list(read_images(READER, [], (8, 8))),
        lambda: list(read_images(READER, [table, images], (8, 8))),
        lambda: list(read_images(READER, [folder / "other.csv"], (8, 8))),
        lambda: list(read_images(READER, [empty], (8, 8))),
        lambda: caption_run.load(run),
    ]
