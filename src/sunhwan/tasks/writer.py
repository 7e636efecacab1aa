"""A language model with texts instead of ids: it goes on from a prompt, and tells what may come."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from sunhwan.data.korean import split_jamo
from sunhwan.data.tokens import PADDING, UNKNOWN, UNKNOWN_MARK
from sunhwan.errors import UsageError
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.sampling import Sampler, SamplingOptions
from sunhwan.tasks.stepping import log_probabilities, read

#: ids that are never written
_NEVER = (PADDING, UNKNOWN)
#: what stands for the end of a text among suggestions
END_MARK = "<end>"


def _is_single(letter: str) -> bool:
    return "\u3131" <= letter <= "\u318e"


def _as_letter(letter: str) -> str:
    """A jamo as it is written alone, which a terminal shows; anything else as it is.

    Examples
    --------
    >>> [_as_letter(letter) for letter in ("\u1100", "\u1161", "\u11a8", "가")]
    ['ㄱ', 'ㅏ', 'ㄱ', '가']
    """
    if not "\u1100" <= letter <= "\u11ff":
        return letter
    name = re.sub("CHOSEONG|JUNGSEONG|JONGSEONG", "LETTER", unicodedata.name(letter))
    try:
        return unicodedata.lookup(name)
    except KeyError:  # an old one, which has no letter
        return letter


class Suggestion(NamedTuple):
    """A token that may come next: how it is written, and how probable it is."""

    text: str
    probability: float


class Writer:
    """Writes texts with a language model.

    Parameters
    ----------
    learner
        With its weights.

    Attributes
    ----------
    rate
        Tokens a second of the last text, without the time to compile.
    """

    def __init__(self, learner: LanguageLearner) -> None:
        self._learner = learner
        self._encoder = learner.encoder
        self._stepper = learner.stepper()
        self.rate = 0.0

    def unknown(self, prompt: str) -> list[str]:
        """Tokens of a prompt that the model never met, as far as they can be told apart."""
        return [mark for mark in dict.fromkeys(self._read(prompt)) if not self._knows(mark)]

    def _read(self, prompt: str) -> str:
        """A prompt as the encoder writes it.

        A keyboard gives single jamo as letters of their own (U+3131 to U+318E), which in a text
        of jamo are the first ones of a syllable (consonants) or its middle (vowels).
        """
        if self._encoder.name != "jamo":
            return prompt
        return "".join(
            unicodedata.normalize("NFKC", letter)
            if _is_single(letter) and not self._knows(letter)
            else letter
            for letter in prompt
        )

    def _knows(self, mark: str) -> bool:
        return mark.isspace() or UNKNOWN_MARK not in self._encoder.decode(
            self._encoder.encode(mark)
        )

    def write(
        self,
        prompt: str = "",
        *,
        length: int = 500,
        options: SamplingOptions | None = None,
        seed: int = 0,
        ends: bool = True,
    ) -> Iterator[str]:
        """Yield what comes after a prompt, a few letters at a time, as it is written.

        Parameters
        ----------
        prompt
            Read first; nothing stands for the beginning of a text.
        length
            Most tokens to write.
        ends
            Whether to stop where the model says that the text ends; else it goes on to `length`.
        """
        state, logits = self._after(prompt)
        end = self._learner.end
        forbidden = _NEVER if ends else (*_NEVER, end)
        sampler = Sampler(
            self._stepper, options, seed=seed, end=end if ends else None, forbidden=forbidden
        )
        waiting: list[int] = []
        for chunk in sampler.write(state, logits, length):
            waiting += [int(one) for one in chunk[0] if one != end]
            text, waiting = self._settled(waiting)
            self.rate = sampler.tokens_per_second
            if text:
                yield text
        if waiting:
            yield self._encoder.decode(waiting)

    def suggest(self, prompt: str = "", count: int = 10) -> list[Suggestion]:
        """The likeliest tokens after a prompt, the first first."""
        if count < 1:
            raise UsageError(f"`count` must be at least 1, received {count}")
        _, logits = self._after(prompt)
        shares = np.exp(np.asarray(log_probabilities(logits))[0].astype(np.float64))
        order = [one for one in np.argsort(-shares, kind="stable") if one not in _NEVER][:count]
        return [Suggestion(self._written(int(one)), float(shares[one])) for one in order]

    def _written(self, token: int) -> str:
        if token == self._learner.end:
            return END_MARK
        return "".join(map(_as_letter, self._encoder.decode([token])))

    def _after(self, prompt: str) -> tuple[Any, jax.Array]:
        ids = self._learner.joined(self._learner.ids([self._read(prompt)]), closed=False)
        return read(self._stepper, self._stepper.start(1), ids[None])

    def _settled(self, ids: Sequence[int]) -> tuple[str, list[int]]:
        """What no later token can change, and the ids of the rest.

        Of jamo, the next one may belong to the last syllable.
        """
        text = self._encoder.decode(ids)
        if self._encoder.name != "jamo" or not text:
            return text, []
        open_jamo = len(split_jamo(text[-1]))
        return text[:-1], list(ids[len(ids) - open_jamo :])
