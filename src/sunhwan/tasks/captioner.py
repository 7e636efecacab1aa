"""What is said of images, in scikit-learn's manners: `Captioner`."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.images import read_image
from sunhwan.data.korean import to_nfc
from sunhwan.data.pictures import Image, Pictures, Size, size_for, some_of
from sunhwan.errors import ShapeError
from sunhwan.tasks import caption_run, translate_judging
from sunhwan.tasks.caption_config import CaptionConfig
from sunhwan.tasks.caption_learner import CaptionLearner
from sunhwan.tasks.caption_sources import Captions
from sunhwan.tasks.options import checked_names
from sunhwan.tasks.run_estimator import RunEstimator, texts_of
from sunhwan.tasks.translate_parts import split_pairs


class Captioner(RunEstimator[CaptionLearner]):
    """Learns what is said of images.

    Images are paths of files, or arrays ``uint8[H, W, 3]`` (``uint8[H, W]`` is grey); all are
    brought to one size. Parameters are the options of ``sunhwan train caption``, and those that are
    None are chosen by the pairs; `sunhwan.tasks.caption_config.CaptionConfig` says what each is.

    Attributes
    ----------
    history_
        By name, a figure for each epoch: ``loss``, ``val_loss``, ….
    best_epoch_
        The epoch, from 1, whose weights the network has.
    model_
        The `keras.Model` with all weights: images and ids of captions in, logits out.
    learner_
        What was chosen and learnt; ``learner_.config`` has all options.
    rejected_
        Captions that were too long to learn from, with the reason for each.

    Examples
    --------
    >>> images = [np.full((16, 16, 3), shade, np.uint8) for shade in range(0, 250, 10)]
    >>> captions = ["dark" if image.mean() < 125 else "light" for image in images]
    >>> captioner = Captioner(units=8, embedding=4, epochs=40, learning_rate=0.02)
    >>> captioner.fit(images, captions).caption([images[1], images[-2]])
    ['dark', 'light']
    """

    _options = CaptionConfig
    _load = staticmethod(caption_run.load)

    @checked_names
    def __init__(
        self,
        *,
        tokens: str = "auto",
        vocabulary: int | None = None,
        image_size: int | None = None,
        attention: str = "additive",
        cell: str | None = None,
        units: int | None = None,
        num_layers: int | None = None,
        embedding: int | None = None,
        dropout: float | None = None,
        token_dropout: float = 0.0,
        max_length: int | None = None,
        own_words: float = 0.0,
        own_epochs: int | None = None,
        width: int = 5,
        length_penalty: float = 0.6,
        optimizer: str = "adam",
        learning_rate: float | None = None,
        schedule: str | None = None,
        clipnorm: float = 1.0,
        epochs: int | None = None,
        batch_size: int | None = None,
        patience: int | None = None,
        validation: float = 0.1,
        seed: int = 1,
    ) -> None:
        self.tokens = tokens
        self.vocabulary = vocabulary
        self.image_size = image_size
        self.attention = attention
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding = embedding
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.max_length = max_length
        self.own_words = own_words
        self.own_epochs = own_epochs
        self.width = width
        self.length_penalty = length_penalty
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.clipnorm = clipnorm
        self.epochs = epochs
        self.batch_size = batch_size
        self.patience = patience
        self.validation = validation
        self.seed = seed

    def fit(self, images: Sequence[Any], captions: Sequence[str], *, verbose: bool = False) -> Self:
        """Train a new network; the same images, captions and parameters give the same bits.

        Parameters
        ----------
        images, captions
            As many of each. An image may come again with another caption; those with the same
            image are held out together. Captions that are too long to learn from are left out with
            a warning that names them.
        verbose
            Whether the progress is shown on stderr.

        Raises
        ------
        UsageError
            A parameter does not fit.
        DataError, ShapeError
            Images or captions that do not fit; names the one, counted from 0.
        TrainingError
            The loss is no longer finite.
        """
        config: CaptionConfig = self._config()
        sizes = [_image(n, image, None).shape for n, image in some_of(list(enumerate(images)))]
        size = size_for([(height, width) for height, width, _ in sizes], config.image_size)
        pairs = _pairs(images, captions, size)
        parts = split_pairs(pairs, config.validation, 0.0, config.seed, ties_targets=False)
        learner = CaptionLearner(config)
        learner.prepare(parts.training)
        training, longer = learner.short_enough(parts.training)
        for one in longer:
            warnings.warn(f"{one.place} is not learnt from: {one.reason}", stacklevel=2)
        self.rejected_ = longer
        return self._trained(
            learner,
            lambda progress: learner.fit(training, parts.validation, progress=progress),
            verbose,
        )

    def caption(
        self, images: Any, *, width: int | None = None, length_penalty: float | None = None
    ) -> Any:
        """What is said of an image, or of each of several, found by beam search.

        Parameters
        ----------
        images
            One path or array, or a list of them.
        width, length_penalty
            As of the parameters, which None leaves as they are.

        Returns
        -------
        str or list of str
            As many as there are images.

        Raises
        ------
        DataError, ShapeError
            An image cannot be read, or is none; names it.
        """
        learner = self._fitted()
        is_one = isinstance(images, str | Path) or np.ndim(images) in (2, 3)
        size = learner.encoder.size
        read = [_image(n, image, size) for n, image in enumerate([images] if is_one else images)]
        said = learner.answer(read, width=width, length_penalty=length_penalty)
        return said[0] if is_one else said

    def evaluate(self, images: Sequence[Any], captions: Sequence[str]) -> dict[str, float]:
        """``chrf``, ``bleu`` and ``exact_match`` on other images.

        An image with several captions counts as one with several right answers.
        """
        learner = self._fitted()
        pairs = _pairs(images, captions, learner.encoder.size)
        rows, wanted = translate_judging.by_source(pairs.sources, pairs.targets)
        counts = translate_judging.count(learner.answer(pairs.take(rows).read()), wanted)
        found = translate_judging.figures(counts, learner.config.seed)
        return cast(dict[str, float], found["metrics"])


def _pairs(images: Sequence[Any], captions: Any, size: Size) -> Captions:
    texts = [to_nfc(text.strip()) for text in texts_of(captions, "caption")]
    if len(texts) != len(images):
        raise ShapeError(
            f"there must be a caption for each of the {len(images)} images, received {len(texts)}"
        )
    pictures = Pictures(size)
    names = [pictures.add(f"image {n}", _image(n, image, size)) for n, image in enumerate(images)]
    return Captions(names, texts, [f"pair {n}" for n in range(len(texts))], pictures)


def _image(number: int, image: Any, size: Size | None) -> Image:
    """An image from a path or an array, brought to a size."""
    import PIL.Image

    if isinstance(image, str | Path):
        return read_image(image, size=size)
    array: NDArray[Any] = np.asarray(image)
    is_image = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (1, 3))
    if array.dtype != np.uint8 or not is_image or not array.size:
        raise ShapeError(
            f"image {number} must be a path or uint8 of shape [H, W], [H, W, 1] or [H, W, 3], "
            f"received {array.dtype} of shape {array.shape}"
        )
    file = io.BytesIO()
    PIL.Image.fromarray(array.squeeze() if array.shape[2:] == (1,) else array).save(file, "PNG")
    return read_image(f"image {number}", size=size, content=file.getvalue())
