"""Drawn images and clips: what they show is what they say, and nothing of the test is learnt."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sunhwan.data import rendered
from sunhwan.data.images import read_clip, read_image
from sunhwan.data.rendered import Scene, Thing, all_scenes, draw_scene, split_scenes
from sunhwan.data.rendered_clips import DIRECTIONS, draw_clip, write_clips
from sunhwan.errors import UsageError


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _middle(frame: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where the shape of a frame is, right and down."""
    values = frame.astype(float)
    apart = np.abs(values - np.median(values, axis=(0, 1))).sum(-1)
    down, right = np.nonzero(apart > 90)
    return np.array([right.mean(), down.mean()])


def test_captions_in_both_languages_with_the_particle_that_fits() -> None:
    small, large = Thing("small", "red", "circle"), Thing("large", "blue", "square")
    scene = Scene(small, "above", large)
    assert scene.english() == "a small red circle above a large blue square"
    assert scene.korean() == "작은 빨간 원이 큰 파란 사각형 위에 있다"
    left = Scene(Thing("large", "black", "diamond"), "to the left of", small)
    assert left.english() == "a large black diamond to the left of a small red circle"
    assert left.korean() == "큰 검은 마름모가 작은 빨간 원 왼쪽에 있다"


def test_each_scene_has_captions_of_its_own() -> None:
    scenes = all_scenes()
    for say in (Scene.english, Scene.korean):
        assert len({say(scene) for scene in scenes}) == len(scenes) == 6400


@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_no_combination_is_on_both_sides_and_each_word_is_learnt(share: float) -> None:
    train, test = split_scenes(all_scenes(), share, seed=3)
    assert len(test) == round(6400 * share)
    assert not set(train) & set(test)
    assert len(train) + len(test) == 6400
    for place in range(7):
        words = [{rendered._words(scene)[place] for scene in part} for part in (train, test)]
        assert words[1] <= words[0]


def test_a_word_that_only_one_scene_has_is_never_held_out() -> None:
    rare = Scene(Thing("small", "red", "circle"), "above", Thing("large", "blue", "square"))
    others = [scene for scene in all_scenes() if scene.relation == "below"][:40]
    for seed in range(20):
        assert rare not in split_scenes([rare, *others], 0.5, seed)[1]


def test_too_few_scenes_and_shares_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="cannot be held out"):
        split_scenes(all_scenes()[:2], 0.5)
    for share in (0, 1, 1.5):
        with pytest.raises(UsageError, match="`share`"):
            split_scenes(all_scenes(), share)


@pytest.mark.parametrize(
    ("relation", "axis", "sign"),
    [("above", 1, -1), ("below", 1, 1), ("to the left of", 0, -1), ("to the right of", 0, 1)],
)
def test_an_image_shows_what_its_caption_says(relation: str, axis: int, sign: int) -> None:
    scene = Scene(Thing("small", "red", "circle"), relation, Thing("large", "blue", "square"))
    for seed in range(5):
        image = draw_scene(scene, np.random.default_rng(seed)).astype(float)
        red = image[..., 0] - image[..., 1:].max(-1) > 60
        blue = image[..., 2] - image[..., :2].max(-1) > 60
        assert blue.sum() > 2 * red.sum() > 0
        places = [np.argwhere(part).mean(0)[::-1] for part in (red, blue)]
        apart = places[0] - places[1]
        assert sign * apart[axis] > 15
        assert abs(apart[1 - axis]) < 5
        assert np.abs(places[1] - 32).max() < 4


def test_the_same_seed_draws_the_same() -> None:
    scene = all_scenes()[77]
    first, again, other = (draw_scene(scene, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_the_label_of_a_frame_is_how_the_shape_has_moved() -> None:
    ways = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "still": (0, 0)}
    seen = set()
    for seed in range(6):
        frames, labels = draw_clip(np.random.default_rng(seed), 30)
        assert frames.shape == (30, 32, 32, 3)
        assert len(labels) == 30
        assert labels[0] == "still"
        for before, now, label in zip(frames, frames[1:], labels[1:], strict=False):
            moved = _middle(now) - _middle(before)
            assert (np.sign(np.where(np.abs(moved) > 1, moved, 0)) == ways[label]).all()
        seen |= set(labels)
    assert seen == set(DIRECTIONS)


def test_written_captions_can_be_read_again(tmp_path: Path) -> None:
    train, test = rendered.write_captions(tmp_path / "a", train=6, test=3, size=32, seed=4)
    everything = _rows(tmp_path / "a" / "captions.csv")
    assert [row["split"] for row in everything] == ["train"] * 6 + ["test"] * 3
    for path, part in ((train, everything[:6]), (test, everything[6:])):
        rows = _rows(path)
        assert rows == [{k: v for k, v in row.items() if k != "split"} for row in part]
        assert read_image(path.parent / rows[0]["image"]).shape == (32, 32, 3)
    rendered.write_captions(tmp_path / "b", train=6, test=3, size=32, seed=4)
    files = [sorted(p for p in (tmp_path / name).rglob("*") if p.is_file()) for name in "ab"]
    assert [p.read_bytes() for p in files[0]] == [p.read_bytes() for p in files[1]]
    assert len(files[0]) == 12


def test_written_clips_have_a_label_for_each_frame(tmp_path: Path) -> None:
    paths = write_clips(tmp_path, train=5, test=2, lengths=(3, 9), seed=2)
    lengths = set()
    for path, count in zip(paths, (5, 2), strict=True):
        rows = _rows(path)
        assert len(rows) == count
        for row in rows:
            frames = read_clip(tmp_path / row["clip"])
            assert len(frames) == len(row["motion"].split())
            lengths.add(len(frames))
    assert len(lengths) > 1


@pytest.mark.parametrize(
    "options", [{"train": 0}, {"test": -1}, {"size": 8}, {"lengths": (1, 5)}, {"lengths": (9, 5)}],
    ids=str,
)  # fmt: skip
def test_clips_that_cannot_be(tmp_path: Path, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        write_clips(tmp_path, **{"train": 1, "test": 1, **options})
