"""How many letters a second are written, beside the tutorials' ways with Keras's own layers.

`sunhwan.tasks.decoding_peers` says what these are. The weights are random, since what a step costs
does not depend on them; but all sides have the same ones, and must write the same letters.
"""

from __future__ import annotations

import string
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from sunhwan.errors import TrainingError
from sunhwan.runs import turns
from sunhwan.tasks.decoding_peers import WAYS, StockLanguage, StockTranslator
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.options import make
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs
from sunhwan.tasks.writer import Writer

#: ours, and Keras's own layers in both ways; all on JAX
SIDES = ("sunhwan", *WAYS)
#: letters of the random texts
_LETTERS = string.ascii_letters + " .,!?'-"
#: how much livelier than new ones weights are, so that what is written is no single letter
_LIVELY = {"table": 20.0, "source_table": 20.0, "target_table": 20.0, "answer": 3.0}
#: what is added to the logit of the end, so that some translations end early
_ENDS = 0.5


@dataclass(frozen=True)
class Case:
    """What is written.

    Parameters
    ----------
    name
        On the command line.
    count
        Of a turn: letters of one text, or sentences that are translated.
    seldom
        Of a turn of the side that reads all again, which takes longer for each.
    attention
        Of a translator; None for a language model.
    at_once
        Sentences that are translated together.
    units
        Of the LSTM.
    """

    name: str
    count: int
    seldom: int
    attention: str | None = None
    at_once: int = 1
    units: int = 256

    def counts(self, most: int | None) -> dict[str, int]:
        """Letters or sentences of a turn of each side, `most` at most."""
        each = {side: self.seldom if side == "whole" else self.count for side in SIDES}
        return {side: min(count, most or count) for side, count in each.items()}


CASES = (
    Case("write-letters", 500, 20, units=512),
    Case("seq2seq-64", 64, 64, "none", 64),
    Case("seq2seq-1", 64, 4, "none"),
    Case("attention-64", 64, 64, "multiplicative", 64),
    Case("attention-1", 64, 4, "multiplicative"),
)


@dataclass(frozen=True)
class Decoding:
    """What was measured of a case.

    Parameters
    ----------
    name
        Of the case.
    counts
        For each of `SIDES`, letters or sentences of a turn.
    rates
        For each side letters a second, one number a round.
    first
        For each side the seconds of the first call, which compiles.
    compared
        For each way how many letters it wrote that were compared with ours, and are the same.
    paths
        What `sunhwan.explain` says of our layers.
    """

    name: str
    counts: dict[str, int]
    rates: dict[str, list[float]]
    first: dict[str, float]
    compared: dict[str, int]
    paths: list[str]

    def ratio(self, way: str) -> float:
        """How many times faster ours is than a way: the ratio of the medians."""
        return median(self.rates["sunhwan"]) / median(self.rates[way])

    def quartiles(self, side: str) -> tuple[float, float, float]:
        """First quartile, median and third quartile of a side, in letters a second."""
        return turns.quartiles(self.rates[side])

    def as_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        sides: dict[str, Any] = {}
        for side in SIDES:
            first, middle, third = (round(value, 2) for value in self.quartiles(side))
            rounds = [round(value, 2) for value in self.rates[side]]
            sides[side] = {"median": middle, "quartiles": [first, third], "rounds": rounds}
        return {
            "model": self.name,
            "count_per_round": self.counts,
            "letters_per_second": sides,
            "ratio": {way: round(self.ratio(way), 2) for way in WAYS},
            "same_letters": self.compared,
            "seconds_of_first_call": {side: round(self.first[side], 3) for side in SIDES},
            "paths": self.paths,
        }


def measure(
    case: Case, rounds: int, *, steps: int | None = None, on_round: Callable[[int], None]
) -> Decoding:
    """Let all sides write by turns.

    Parameters
    ----------
    case
        What.
    rounds
        How often each side takes its turn.
    steps
        Letters or sentences of a turn, to have fewer.
    on_round
        Called with the number of rounds done.

    Raises
    ------
    TrainingError
        A side fails, or writes other letters than ours.
    """
    counts = case.counts(steps)
    with ExitStack() as stack:
        ask = {
            side: stack.enter_context(turns.process(case.name, side, prepare, case, side))
            for side in SIDES
        }
        ready = {side: ask[side](None) for side in SIDES}
        ours, _ = ask["sunhwan"](counts["sunhwan"])
        full = {way: counts["sunhwan" if case.attention is None else way] for way in WAYS}
        compared = {way: _compare(case, way, ours, ask[way](full[way])[0]) for way in WAYS}
        rates: dict[str, list[float]] = {side: [] for side in SIDES}
        for done in range(rounds):
            # who goes first alternates too
            for side in SIDES if done % 2 == 0 else reversed(SIDES):
                texts, seconds = ask[side](counts[side])
                _compare(case, side, ours, texts)
                rates[side].append(sum(map(len, texts)) / seconds)
            on_round(done + 1)
    first = {side: seconds for side, (_, seconds) in ready.items()}
    return Decoding(case.name, counts, rates, first, compared, ready["sunhwan"][0])


def _compare(case: Case, side: str, ours: Sequence[str], texts: Sequence[str]) -> int:
    """How many letters a side wrote; see that they are ours."""
    for number, (text, wanted) in enumerate(zip(texts, ours, strict=False), 1):
        is_same = wanted.startswith(text) if case.attention is None else text == wanted
        if not is_same or not text:
            raise TrainingError(
                f"`{case.name}`: all sides must write the same, but `{side}` wrote {text[:60]!r} "
                f"and `sunhwan` {wanted[:60]!r} (text {number})"
            )
    return sum(map(len, texts))


#: texts that a side wrote, and the seconds that it took
Turn = tuple[list[str], float]


def prepare(case: Case, side: str) -> tuple[Callable[[int], Turn], tuple[list[str], float]]:
    """Build and warm up a side: a function from a number of letters or sentences to a `Turn`.

    Returns
    -------
    tuple
        That function; and what `sunhwan.explain` says of our model (nothing of others), with the
        seconds of the first call.
    """
    from sunhwan.layers import explain

    write, model = (_language if case.attention is None else _translation)(case, side)

    def timed(count: int) -> Turn:
        start = time.perf_counter()
        texts = write(count)
        return texts, time.perf_counter() - start

    _, seconds = timed(case.at_once)
    if side == "sunhwan":  # the shapes of all sentences, each compiled once
        timed(case.count)
    return timed, ([str(line) for line in explain(model)] if side == "sunhwan" else [], seconds)


def _language(case: Case, side: str) -> tuple[Callable[[int], list[str]], Any]:
    """A function that writes so many letters as one text, and our model."""
    random = np.random.default_rng(7)
    text = "".join(random.choice(list(_LETTERS), 2_000))
    options = {"tokens": "characters", "units": case.units, "num_layers": 1, "cell": "lstm"}
    learner = LanguageLearner(make(GenerateConfig, options))
    learner.prepare([text])
    _enliven(learner.model)
    if side == "sunhwan":
        timid = SamplingOptions(temperature=0)

        def ours(count: int) -> list[str]:
            writer = Writer(learner)
            return ["".join(writer.write(length=count, options=timid, ends=False))]

        return ours, learner.model
    stock = StockLanguage(learner.model)

    def theirs(count: int) -> list[str]:
        return [learner.encoder.decode(stock.write(side, learner.end, count, case.count))]

    return theirs, learner.model


def _translation(case: Case, side: str) -> tuple[Callable[[int], list[str]], Any]:
    """A function that translates so many sentences, and our model."""
    learner, sources = _translator(case)
    if side == "sunhwan":

        def write(some: list[str]) -> list[str]:
            return learner.answer(some, width=1, length_penalty=0.0)
    else:
        stock, longest = StockTranslator(learner.model), max(map(len, sources))

        def write(some: list[str]) -> list[str]:
            ids = np.zeros((len(some), longest), np.int32)
            for row, one in enumerate(learner.encoder.source.encode_all(some)):
                ids[row, : len(one)] = one
            found = stock.write(side, ids, learner.end, learner.most_steps)
            return [learner.encoder.target.decode(row) for row in found]

    def translated(count: int) -> list[str]:
        asked = sources[:count]
        parts = [asked[at : at + case.at_once] for at in range(0, len(asked), case.at_once)]
        return [text for part in parts for text in write(part)]

    return translated, learner.model


def _translator(case: Case) -> tuple[TranslateLearner, list[str]]:
    """A learner with the random weights of a case, and sentences to translate."""
    random = np.random.default_rng(7)
    sources, targets = (
        ["".join(random.choice(list(_LETTERS), size)) for size in random.integers(low, high, 64)]
        for low, high in ((12, 32), (6, 16))
    )
    options = {
        "attention": case.attention,
        "units": case.units,
        "num_layers": 1,
        "cell": "lstm",
        "source_tokens": "characters",
        "target_tokens": "characters",
    }
    learner, pairs = TranslateLearner(make(TranslateConfig, options)), Pairs(sources, targets, [])
    learner.prepare(pairs)
    learner.longest = max(map(len, targets))
    _enliven(learner.model)
    bias = np.zeros(learner.end + 1, np.float32)
    bias[learner.end] = _ENDS
    learner.model.get_layer("answer").bias.assign(bias)
    return learner, sources


def _enliven(model: Any) -> None:
    """Let the likeliest letter be another one from step to step."""
    for layer in model.layers:
        if layer.name in _LIVELY:
            weight = layer.weights[0]
            weight.assign(_LIVELY[layer.name] * weight.value)
