"""Images with captions that are drawn rather than collected.

An image shows two things; the one near the middle is what the other is compared with, so that each
image has one caption: `a small red circle above a large blue square`, and in Korean `작은 빨간
원이 큰 파란 사각형 위에 있다`.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.number_encoder import check_number
from sunhwan.data.shapes import RGB, canvas, draw_shape, noisy, png, write_table, write_whole
from sunhwan.errors import UsageError

#: English word to Korean word
SIZES = {"small": "작은", "large": "큰"}
COLOURS = {"red": "빨간", "blue": "파란", "green": "초록", "yellow": "노란", "black": "검은"}
SHAPES = {"circle": "원", "square": "사각형", "triangle": "삼각형", "diamond": "마름모"}
RELATIONS = {
    "above": "위에",
    "below": "아래에",
    "to the left of": "왼쪽에",
    "to the right of": "오른쪽에",
}

#: one step right and down
_AWAY = {
    "above": (0, -1),
    "below": (0, 1),
    "to the left of": (-1, 0),
    "to the right of": (1, 0),
}
#: of the image's side: half a thing's side at the least and most, and how far apart two things are
_HALVES = {"small": (0.062, 0.078), "large": (0.125, 0.141)}
_APART = (0.31, 0.33)


@dataclass(frozen=True)
class Thing:
    """One thing of an image, such as a small red circle."""

    size: str
    colour: str
    shape: str

    def english(self) -> str:
        """Its name with the article."""
        return f"a {self.size} {self.colour} {self.shape}"

    def korean(self) -> str:
        """Its name."""
        return f"{SIZES[self.size]} {COLOURS[self.colour]} {SHAPES[self.shape]}"


@dataclass(frozen=True)
class Scene:
    """What an image shows: `thing`, in a `relation` to the `other` that stands in the middle.

    Examples
    --------
    >>> scene = Scene(Thing("small", "red", "diamond"), "above", Thing("large", "blue", "circle"))
    >>> scene.english()
    'a small red diamond above a large blue circle'
    >>> scene.korean()
    '작은 빨간 마름모가 큰 파란 원 위에 있다'
    """

    thing: Thing
    relation: str
    other: Thing

    def english(self) -> str:
        """The English caption."""
        return f"{self.thing.english()} {self.relation} {self.other.english()}"

    def korean(self) -> str:
        """The Korean caption."""
        thing = self.thing.korean()
        where = f"{self.other.korean()} {RELATIONS[self.relation]}"
        return f"{thing}{subject_particle(thing)} {where} 있다"


def subject_particle(word: str) -> str:
    """`이` after a Hangul syllable that ends in a consonant, else `가`.

    Examples
    --------
    >>> subject_particle("원"), subject_particle("마름모")
    ('이', '가')
    """
    # 28 syllables share beginning and vowel, the first of them without an end
    return "이" if (ord(word[-1]) - 0xAC00) % 28 else "가"


def all_scenes() -> list[Scene]:
    """Every combination of two things and a relation: 6,400."""
    things = [Thing(*words) for words in itertools.product(SIZES, COLOURS, SHAPES)]
    return [Scene(*parts) for parts in itertools.product(things, RELATIONS, things)]


def split_scenes(
    scenes: Sequence[Scene], share: float = 0.2, seed: int = 0
) -> tuple[list[Scene], list[Scene]]:
    """Part combinations, so that no scene of the second part is in the first.

    Parameters
    ----------
    scenes
        To be parted; one that occurs again goes where it is.
    share
        Of the scenes that go into the second part, more than 0 and less than 1.
    seed
        Of the draw.

    Returns
    -------
    tuple of list
        Training and test. Every word of the test is also in the training part, in the same place
        of the sentence.

    Raises
    ------
    UsageError
        There is no such share, or too few scenes for it.

    Examples
    --------
    >>> train, test = split_scenes(all_scenes())
    >>> len(train), len(test), set(train) & set(test)
    (5120, 1280, set())
    """
    if not 0 < share < 1:
        raise UsageError(f"`share` must be more than 0 and less than 1, received {share!r}")
    unique = list(dict.fromkeys(scenes))
    wanted = round(share * len(unique))
    left = Counter(word for scene in unique for word in _words(scene))
    test: list[Scene] = []
    for index in np.random.default_rng(seed).permutation(len(unique)).tolist():
        words = _words(unique[index])
        if len(test) < wanted and all(left[word] > 1 for word in words):
            test.append(unique[index])
            left.subtract(words)
    if not wanted or len(test) < wanted:
        raise UsageError(
            f"a share of {share} of {len(unique):,} combinations cannot be held out with every "
            "word left for training",
            hint="give more scenes, or another share",
        )
    held = set(test)
    return [scene for scene in unique if scene not in held], test


def draw_scene(scene: Scene, random: np.random.Generator, size: int = 64) -> NDArray[np.uint8]:
    """An image of a scene: position, size and colours vary a little, and there is noise.

    Parameters
    ----------
    random
        Where the variation is drawn from.
    size
        Height and width in pixels, from 32 to 256.

    Returns
    -------
    ndarray
        ``uint8[size, size, 3]``.

    Examples
    --------
    >>> scene = Scene(Thing("small", "red", "circle"), "above", Thing("large", "blue", "square"))
    >>> draw_scene(scene, np.random.default_rng(0)).shape
    (64, 64, 3)
    """
    check_number("size", size, 32, 256, whole=True)
    middle = random.uniform(-0.03, 0.03, 2) + 0.5
    away = np.array(_AWAY[scene.relation], np.float64)
    # along the relation the two are well apart, across it nearly level
    place = middle + away * random.uniform(*_APART) + away[::-1] * random.uniform(-0.04, 0.04)
    image, pen = canvas(random, size)
    for thing, (x, y) in ((scene.other, middle), (scene.thing, place)):
        half = random.uniform(*_HALVES[thing.size])
        fill = tuple((np.array(RGB[thing.colour]) + random.integers(-16, 17, 3)).clip(0, 255))
        draw_shape(pen, thing.shape, fill, x * size, y * size, half * size)
    return noisy(image, random)


def write_captions(
    folder: Path | str, *, train: int = 4000, test: int = 500, size: int = 64, seed: int = 0
) -> tuple[Path, Path]:
    """Draw images and write them with their captions.

    The folder gets ``images/``, ``captions.csv`` with the columns ``image`` (path from the folder
    on), ``caption_en``, ``caption_ko`` and ``split``, and the rows of each split without that
    column as ``train.csv`` and ``test.csv``. No combination of the test part is in training.

    Parameters
    ----------
    folder
        Made if missing.
    train, test
        How many images; combinations come again, drawn anew, when all have had their turn.
    size
        Height and width of an image.
    seed
        Of everything that is drawn: the same seed gives the same files.

    Returns
    -------
    tuple of Path
        ``train.csv`` and ``test.csv``.

    Raises
    ------
    UsageError
        A number is out of its range.
    """
    for name, count in (("train", train), ("test", test)):
        check_number(name, count, 1, 1_000_000, whole=True)
    folder, random = Path(folder), np.random.default_rng(seed)
    rows: list[tuple[str, str, str, str]] = []
    for name, count, scenes in zip(
        ("train", "test"), (train, test), split_scenes(all_scenes(), seed=seed), strict=True
    ):
        order = random.permutation(len(scenes))
        for number in range(count):
            scene = scenes[order[number % len(scenes)]]
            file = f"images/{name}-{number + 1:06d}.png"
            write_whole(folder / file, png(draw_scene(scene, random, size)))
            rows.append((file, scene.english(), scene.korean(), name))
    head = ("image", "caption_en", "caption_ko", "split")
    write_table(folder / "captions.csv", head, rows)
    parts = []
    for name in ("train", "test"):
        kept = [row[:3] for row in rows if row[3] == name]
        parts.append(write_table(folder / f"{name}.csv", head[:3], kept))
    return parts[0], parts[1]


def _words(scene: Scene) -> list[tuple[int, str]]:
    """The words of a scene with their places, which all have to be learnt."""
    thing, other = scene.thing, scene.other
    words = (thing.size, thing.colour, thing.shape, scene.relation)
    return list(enumerate((*words, other.size, other.colour, other.shape)))
