"""Images and clips from files: turned upright, on white, of one size; and files that are none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sunhwan.data import images
from sunhwan.data.images import natural_order, read_clip, read_image
from sunhwan.errors import DataError, UsageError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def _frames(count: int = 4, height: int = 6, width: int = 9) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, height, width, 3), np.uint8)


def _write(path: Path, frames: np.ndarray[Any, Any], **options: Any) -> Path:
    first, *others = map(Image.fromarray, frames)
    if others:
        options |= {"save_all": True, "append_images": others}
    first.save(path, **options)
    return path


@pytest.mark.parametrize(
    "name", ["a.png", "a.bmp", "a.tiff", "a.ppm", "a.webp"], ids=lambda name: name[2:]
)
def test_a_lossless_image_comes_back_as_it_was(tmp_path: Path, name: str) -> None:
    frame = _frames(1)
    options = {"lossless": True} if name.endswith("webp") else {}
    assert (read_image(_write(tmp_path / name, frame, **options)) == frame[0]).all()


def test_the_bytes_decide_and_not_the_name(tmp_path: Path) -> None:
    frame = _frames(1)
    path = _write(tmp_path / "a.png", frame).rename(tmp_path / "a.jpg")
    assert (read_image(path) == frame[0]).all()
    assert (read_image("in.zip", content=path.read_bytes()) == frame[0]).all()


def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 8), RED)
    image.paste(BLUE, (8, 0, 16, 8))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the left edge is up
    image.save(tmp_path / "a.png", exif=exif)
    upright = read_image(tmp_path / "a.png")
    assert upright.shape == (16, 8, 3)
    assert upright[0, 0].tolist() == list(RED)
    assert upright[15, 0].tolist() == list(BLUE)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_is_laid_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    image.convert(mode).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0].tolist() == [[255] * 3, [0] * 3]


def test_a_size_keeps_the_ratio_and_fills_up_with_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 20), GREEN).save(path)
    found = read_image(path, size=(10, 10))
    assert found.shape == (10, 10, 3)
    assert found[:, 5].tolist() == [[255] * 3] * 2 + [list(GREEN)] * 5 + [[255] * 3] * 3
    assert read_image(path, size=(7, 30)).shape == (7, 30, 3)


def test_grey_and_sixteen_bits(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), RED).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", channels=1).tolist() == [[[76]] * 3] * 2
    Image.fromarray(np.array([[0x12FF, 0xFF00]], np.uint16)).save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png")[0, :, 0].tolist() == [0x12, 0xFF]
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "c.tiff")
    with pytest.raises(DataError, match="expected 8 or 16 bits a channel"):
        read_image(tmp_path / "c.tiff")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "received an empty file"),
        (lambda data: data[: len(data) // 2], "broken or cut off"),
        (lambda data: data[:60] + b"\xff" * 20 + data[80:], "broken or cut off"),
        (lambda data: b"%PDF-1.4 and more", "that begins with b'%PDF-1.4'"),
    ],
    ids=["empty", "cut off", "broken", "foreign"],
)
def test_a_damaged_file_is_named(
    tmp_path: Path, damage: Callable[[bytes], bytes], message: str
) -> None:
    path = _write(tmp_path / "a.png", _frames(1, 40, 50))
    path.write_bytes(damage(path.read_bytes()))
    for read in (read_image, read_clip):
        with pytest.raises(DataError, match=message) as caught:
            read(path)
        assert str(path) in caught.value.message
        assert caught.value.hint


@pytest.mark.parametrize("ending", ["png", "gif", "jpg", "webp", "bmp", "tiff"])
def test_no_damage_is_anything_but_a_data_error(tmp_path: Path, ending: str) -> None:
    whole = _write(tmp_path / f"a.{ending}", _frames(1, 20, 30)).read_bytes()
    random = np.random.default_rng(len(whole))
    outcomes = set()
    for _ in range(60):
        data = bytearray(whole[: random.integers(8, len(whole) + 1)])
        for place in random.integers(0, len(data), 4):
            data[place] = random.integers(256)
        try:
            outcomes.add(read_clip(f"a.{ending}", content=bytes(data), size=(8, 8)).shape[1:])
        except DataError as error:
            outcomes.add(error.message.startswith(f"a.{ending}"))
    assert outcomes <= {True, (8, 8, 3)}
    assert True in outcomes


def test_an_image_of_too_many_pixels_is_not_expanded(tmp_path: Path) -> None:
    whole = _write(tmp_path / "a.png", _frames(1)).read_bytes()
    for side in (9_000, 60_000):
        head = b"IHDR" + struct.pack(">II", side, side) + whole[24:29]
        bomb = whole[:12] + head + struct.pack(">I", zlib.crc32(head)) + whole[33:]
        with pytest.raises(DataError, match="expected at most 64,000,000 pixels"):
            read_image("bomb.png", content=bomb)


@pytest.mark.parametrize(
    "options", [{"size": (0, 5)}, {"size": (5,)}, {"size": (5, 1 << 20)}, {"channels": 2}], ids=str
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        read_image(_write(tmp_path / "a.png", _frames(1)), **options)


@pytest.mark.parametrize("name", ["a.png", "a.tiff", "a.webp", "a.npy"], ids=lambda name: name[2:])
def test_the_frames_of_a_clip_come_back_in_order(tmp_path: Path, name: str) -> None:
    frames = _frames(5)
    if name.endswith("npy"):
        np.save(tmp_path / name, frames)
    else:
        options = {"lossless": True} if name.endswith("webp") else {}
        _write(tmp_path / name, frames, **options)
        with pytest.raises(DataError, match="one still image, received 5 frames"):
            read_image(tmp_path / name)
    assert (read_clip(tmp_path / name) == frames).all()
    assert read_clip(tmp_path / name, size=(8, 4), channels=1).shape == (5, 8, 4, 1)
    assert read_clip(tmp_path / name, most=3).shape == (5, 2, 3, 3)


def test_a_gif_whose_frames_hold_only_what_changed(tmp_path: Path) -> None:
    frames = np.full((4, 8, 8), 200, np.uint8)
    for step in range(4):
        frames[step, 3, step] = 20
    _write(tmp_path / "a.gif", frames)
    assert (read_clip(tmp_path / "a.gif", channels=1)[..., 0] == frames).all()


def test_a_folder_of_frames_is_read_by_number(tmp_path: Path) -> None:
    frames = _frames(11)
    for number, frame in enumerate(frames):
        _write(tmp_path / f"frame{number}.png", frame[None])
    (tmp_path / "notes.txt").write_text("not a frame")
    (tmp_path / ".DS_Store.png").write_text("hidden")
    assert (read_clip(tmp_path) == frames).all()
    _write(tmp_path / "cover.png", frames[:1])
    with pytest.raises(DataError, match=r"in the name of each frame, received cover\.png"):
        read_clip(tmp_path)


def test_a_folder_without_frames_and_one_of_unlike_frames(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("so")
    with pytest.raises(DataError, match="received one without any image"):
        read_clip(tmp_path)
    _write(tmp_path / "1.png", _frames(1, 6, 9))
    _write(tmp_path / "2.png", _frames(1, 5, 9))
    with pytest.raises(
        DataError, match=r"2\.png: expected 9 x 6 pixels .* received 9 x 5"
    ) as caught:
        read_clip(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert read_clip(tmp_path, size=(4, 4)).shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3, 4), np.float32), np.zeros((3, 4), np.uint8), np.zeros((2, 3, 4, 5), np.uint8),
     np.zeros((0, 3, 4), np.uint8)],
    ids=["float", "one frame", "five channels", "empty"],
)  # fmt: skip
def test_an_array_of_another_type_or_shape(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(DataError, match=r"expected uint8\[T, H, W\]"):
        read_clip(tmp_path / "a.npy")


def test_a_pickle_and_a_cut_array_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([{"so": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match=r"a\.npy: expected an array"):
        read_clip(path)
    np.save(path, _frames())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match=r"a\.npy: expected an array"):
        read_clip(path)


def test_a_clip_of_too_many_frames_stops_early(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.BytesIO()
    np.save(file, np.broadcast_to(np.uint8(7), (9, 60, 50)))
    assert read_clip("long.npy", content=file.getvalue()).shape == (9, 60, 50, 3)
    monkeypatch.setattr(images, "_MOST_BYTES", 8 * 60 * 50 * 3)
    with pytest.raises(DataError, match="received more than 8 frames of 50 x 60") as caught:
        read_clip("long.npy", content=file.getvalue())
    assert "long.npy" in caught.value.message


def test_natural_order_of_hostile_names() -> None:
    names = ["10", "9", "x2y10", "x2y9", "X2y1", "01", "1", ""]
    assert natural_order(names) == ["", "01", "1", "9", "10", "X2y1", "x2y9", "x2y10"]
