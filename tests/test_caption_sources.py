"""Images and their captions: columns that are guessed, images that are refused by name."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from said_captions import write_images
from sunhwan.data.spool import MEMORY_VARIABLE
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.caption_sources import read_captions, read_captions_again, read_images
from sunhwan.tasks.translate_parts import split_pairs


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def table_of(folder: Path, *rows: str, head: str = "image,caption") -> Path:
    path = folder / "captions.csv"
    path.write_text("\n".join((head, *rows)) + "\n", encoding="utf-8")
    return path


def test_every_row_is_used_or_named(tmp_path: Path) -> None:
    table = write_images(tmp_path)
    found = read_captions([table])
    # files that show the same are one image, under the name of the first
    assert list(found.sources) == ["a.png", "a.png", "a.png", "b.png"]
    assert list(found.targets) == ["red", "not blue", "red", "blue"]
    assert [row.place.rsplit(", ", 1)[1] for row in found.rejected] == [
        f"line {n}" for n in (13, 6, 7, 8, 9, 10, 11, 12)
    ]
    reasons = " | ".join(row.reason for row in found.rejected)
    for said in ("`image` is empty", "none.png: expected an image file, but there is none",
                 "empty.png: expected an image, received an empty file",
                 "text.png: expected an image (PNG", "cut.png: the image is broken or cut off",
                 "moving.gif: expected one still image, received 2 frames"):  # fmt: skip
        assert said in reasons
    assert str(tmp_path) not in reasons
    for line in ("files that show the same image as one before: 1",
                 "images with several captions: 1",
                 "pairs that are the same as one before: 1 of 4",
                 "images: 2 of 9 x 9 pixels, 0.0 MiB in memory"):  # fmt: skip
        assert line in found.notes
    np.testing.assert_array_equal(found.read()[3][0, 0], [0, 0, 255])
    again = read_captions_again(json.loads(json.dumps(found.reader)), [table])
    assert list(again.sources) == list(found.sources)
    assert again.files == found.files
    # another image changes the checksum of the data
    draw(tmp_path / "b.png", (0, 250, 0), (9, 9))
    assert read_captions([table]).files[0] == found.files[0]
    assert read_captions([table]).files[1] != found.files[1]


def test_sizes_are_those_of_the_middle_image_and_have_a_bound(tmp_path: Path) -> None:
    for number, size in enumerate([(400, 200), (380, 190), (20, 90)]):
        draw(tmp_path / f"{number}.png", (number, 0, 9), size)
    table = table_of(tmp_path, "0.png,one", "1.png,two", "2.png,three")
    assert read_captions([table]).pictures.size == (32, 64)
    assert read_captions([table], image_size=20).pictures.size == (10, 20)
    found = read_captions([tmp_path], image_size=20)  # the folder of the one table
    assert found.columns == {"image": "image", "caption": "caption"}
    assert {image.shape for image in found.read()} == {(10, 20, 3)}


def test_columns_are_found_by_what_they_hold_or_asked_for(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", (1, 2, 3))
    table = table_of(tmp_path, "a.png,a red one,빨간 것", head="what,english,korean")
    with pytest.raises(UsageError, match="the caption could be any of english, korean") as caught:
        read_captions([table])
    assert caught.value.hint == "give --caption NAME"
    assert read_captions([table], {"caption": "korean"}).targets == ["빨간 것"]
    table = table_of(tmp_path, "a.png,x,so", head="what,caption,other")
    assert read_captions([table]).targets == ["x"]
    table = table_of(tmp_path, "a.png,a.png,so", head="one,two,caption")
    with pytest.raises(UsageError, match="the image could be any of one, two"):
        read_captions([table])
    with pytest.raises(UsageError, match="`label` has no meaning for `caption`"):
        read_captions([table], {"label": "one"})
    (tmp_path / "more.csv").write_text("a,b\n")
    with pytest.raises(UsageError, match=r"one table .* received captions\.csv, more\.csv"):
        read_captions([tmp_path])


def test_names_in_another_form_of_unicode_are_found(tmp_path: Path) -> None:
    draw(tmp_path / unicodedata.normalize("NFD", "그림/빨강.png"), (255, 0, 0))
    found = read_captions([table_of(tmp_path, "그림/빨강.png,빨강")])
    assert found.sources == ["그림/빨강.png"]


def test_parts_share_no_image(tmp_path: Path) -> None:
    rows = []
    for number in range(40):
        draw(tmp_path / f"{number}.png", (number, 0, 0))
        rows += [f"{number}.png,caption {number % 3}", f"{number}.png,another {number}"]
    found = read_captions([table_of(tmp_path, *rows)])
    parts = split_pairs(found, 0.2, 0.2, seed=3, ties_targets=False)
    names = [set(part.sources) for part in (parts.training, parts.validation, parts.test)]
    assert list(map(len, names)) == [26, 6, 8]
    # each part sees its own images, in its own order
    shades = [int(image[0, 0, 0]) for image in parts.test.read()]
    assert [f"{shade}.png" for shade in shades] == list(parts.test.sources)


def test_images_beyond_memory_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_images(tmp_path)
    known = [image.tolist() for image in read_captions([table]).read()]
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    found = read_captions([table])
    assert [image.tolist() for image in found.read()] == known
    assert any("MiB on disk" in line for line in found.notes)


def test_images_to_caption(tmp_path: Path) -> None:
    table = write_images(tmp_path)
    draw(tmp_path / "more" / "10.PNG", (0, 255, 0))
    draw(tmp_path / "more" / "9.png", (0, 0, 255))
    reader = {"kind": "table", "image": "image", "caption": "caption", "size": [6, 8]}
    found = list(read_images(reader, [tmp_path / "more"], (6, 8)))
    assert [Path(one.fields["image"]).name for one in found] == ["9.png", "10.PNG"]
    assert [one.image is not None and one.image.shape for one in found] == [(6, 8, 3)] * 2
    rows = list(read_images(reader, [table], (6, 8)))
    assert [one.image is not None for one in rows] == [True] * 4 + [False] * 8
    assert rows[1].fields == {"image": "a.png", "caption": "not blue"}
    assert rows[-1].reason == "`image` is empty"
    with pytest.raises(UsageError, match=r"together with images, received captions\.csv and more"):
        list(read_images(reader, [table, tmp_path / "more"], (6, 8)))
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="expected a column `image` of images among a, b"):
        list(read_images(reader, [other], (6, 8)))
    with pytest.raises(DataError, match="expected how the images of a run are read"):
        list(read_images({"kind": "table"}, [table], (6, 8)))
