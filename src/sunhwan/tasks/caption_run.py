"""Runs that learn what is said of images."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.examples import Rejected
from sunhwan.errors import UsageError
from sunhwan.tasks import baselines_caption, run_records, translate_judging
from sunhwan.tasks.baselines_translate import Baseline
from sunhwan.tasks.caption_config import CaptionConfig
from sunhwan.tasks.caption_learner import CaptionLearner
from sunhwan.tasks.caption_sources import (
    Captions,
    CaptionSource,
    read_captions,
    read_captions_again,
    read_images,
)
from sunhwan.tasks.learner import Say
from sunhwan.tasks.pairs_run import PairsRun
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.translate_judging import Counts
from sunhwan.tasks.translate_parts import Pairs

#: images that are read before they are answered together
_AT_ONCE = 256
#: digits of a weight of attention that are kept
_DIGITS = 3


class CaptionRun(PairsRun[CaptionLearner]):
    """The runs of ``caption``."""

    options, learner, verb = CaptionConfig, CaptionLearner, "caption"
    # many images may well show the same
    ties_targets = False

    def read(self, config: CaptionConfig, data: Data) -> CaptionSource:
        """The captions to learn from."""
        return read_captions(data.paths, data.named, config.image_size)

    def read_again(self, reader: Mapping[str, Any], paths: Sequence[Path | str]) -> CaptionSource:
        """Other captions, read as those of a run were."""
        return read_captions_again(reader, paths)

    def baselines(self, training: Pairs, asked: Pairs, seed: int, say: Say) -> list[Baseline]:
        """The most common caption, and that of the image most alike."""
        return baselines_caption.baselines(
            training.read(),
            training.targets,
            asked.read(),
            seed=seed,
            on_start=lambda name: say(f"baseline: {name}"),
        )

    def shown(
        self,
        learner: CaptionLearner,
        asked: Pairs,
        said: Sequence[str],
        wanted: Sequence[Sequence[str]],
        counts: Counts,
    ) -> dict[str, Any]:
        """Some images with their captions, and where the network looked word by word."""
        found = translate_judging.examples(counts, asked.sources, said, wanted, asked.places)
        pictures, stepper = cast(Captions, asked).pictures, learner.stepper()

        def shown(pair: dict[str, Any]) -> dict[str, Any]:
            [image] = pictures.take(pictures.numbers([pair["source"]]))
            looked = {}
            if learner.config.attention != "none":
                looked = {"looked": _looked(learner, stepper, image, pair["hypothesis"])}
            return {**pair, "image": _png(image), "size": list(image.shape[:2]), **looked}

        return {
            "captions": [shown(pair) for pair in found["translations"]],
            "worst_captions": [shown(pair) for pair in found["worst_translations"]],
        }


def predict(
    path: Path | str,
    data: Sequence[Path | str],
    reject: Callable[[Rejected], None],
    *,
    width: int | None = None,
    length_penalty: float | None = None,
) -> Iterator[dict[str, Any]]:
    """Images with their captions as ``predicted``, in the order of the data.

    Parameters
    ----------
    data
        As of `sunhwan.tasks.caption_sources.read_images`.
    reject
        Told of each image that cannot be read; a row of a table then has None.
    width, length_penalty
        As of `sunhwan.tasks.beam.beam_search`.

    Yields
    ------
    dict
        What a row of a table holds, or the ``image``, and ``predicted``.

    Raises
    ------
    UsageError, DataError
        The run does not caption, or there is no such data.
    """
    learner = load(path)
    images = read_images(run_records.reader_of(path), data, learner.encoder.size)
    while some := list(islice(images, _AT_ONCE)):
        read = [one.image for one in some if one.image is not None]
        said = iter(learner.answer(read, width=width, length_penalty=length_penalty))
        for one in some:
            if "predicted" in one.fields:
                raise UsageError(
                    "the data has a column 'predicted' already, where the answers are to stand",
                    hint="rename the column",
                )
            if one.image is None:
                reject(Rejected(one.place, one.reason))
            if one.fields:
                yield {**one.fields, "predicted": None if one.image is None else next(said)}


def _looked(
    learner: CaptionLearner, stepper: Any, image: NDArray[np.uint8], said: str
) -> dict[str, Any]:
    """Where each word of a caption looked, the mean over its tokens: a share of each position."""
    encoder = learner.encoder.target
    ids = encoder.encode(said).tolist()
    weights = stepper.attention_of(image, [*ids, learner.end])
    words: list[str] = []
    members: list[list[int]] = []
    for number, token in enumerate(encoder.decode([one]) for one in ids):
        # a word begins with white space, or behind a letter that was one
        if not words or token[:1].isspace() or words[-1].isspace():
            words.append("")
            members.append([])
        words[-1] += token
        members[-1].append(number)
    words.append("")
    members.append([len(ids)])
    return {
        "grid": list(learner.grid),
        "words": [word.strip() for word in words],
        "weights": [weights[rows].mean(axis=0).round(_DIGITS).tolist() for rows in members],
    }


def _png(image: NDArray[np.uint8]) -> str:
    """An image as a PNG file, in base64."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


_RUNS = CaptionRun()
start, resume, load, evaluate = _RUNS.start, _RUNS.resume, _RUNS.load, _RUNS.evaluate
judged = _RUNS.judged
