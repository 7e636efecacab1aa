"""The arrays of each experiment, from the named data sets."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Material:
    """What a model is trained and tested on.

    Parameters
    ----------
    x_train, x_test
        ``int32[N, T]`` word numbers or ``float32[N, T, D]`` values.
    y_train, y_test
        ``int[N]`` classes or ``float32[N]`` numbers.
    labels
        What the classes are called.
    show_training
        Whether the answers to the training rows stand in the report too, before the others.
    """

    x_train: NDArray[Any]
    y_train: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]
    labels: tuple[str, ...] = ()
    show_training: bool = False

    def cut(self, train: int, test: int) -> Material:
        """The first `train` and `test` rows."""
        return replace(
            self,
            x_train=self.x_train[:train],
            y_train=self.y_train[:train],
            x_test=self.x_test[:test],
            y_test=self.y_test[:test],
        )

    def digest(self) -> str:
        """A fingerprint of every byte, by which kept results are told apart."""
        import hashlib

        import numpy as np

        sum_ = hashlib.sha256()
        for array in (self.x_train, self.y_train, self.x_test, self.y_test):
            sum_.update(f"{array.dtype}{array.shape}".encode())
            sum_.update(np.ascontiguousarray(array).data)
        return sum_.hexdigest()


def counting() -> Material:
    """Six windows of four numbers to train on and two beyond them to test on."""
    return _named("counting", show_training=True)


def multiplication() -> Material:
    """Sequences of 100 marks and numbers; the data's own seed is always 0."""
    return _named("multiplication")


def imdb(maxlen: int) -> Material:
    """Film reviews of 10,000 words, padded or cut at the front to `maxlen`."""
    return _named("imdb", num_words=10_000, maxlen=maxlen)


def reuters(maxlen: int) -> Material:
    """Newswires of 10,000 words and 46 topics, padded or cut at the front to `maxlen`."""
    return _named("reuters", num_words=10_000, maxlen=maxlen)


def _named(name: str, show_training: bool = False, **options: Any) -> Material:
    from sunhwan.data.datasets import load

    data = load(name, **options)
    return Material(
        data.train.x, data.train.y, data.test.x, data.test.y, data.labels, show_training
    )
