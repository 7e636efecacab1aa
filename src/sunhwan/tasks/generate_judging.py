"""How well a language model foretells held-out texts, beside simple ones; and what it writes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sunhwan.runs.comparison import Scores
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.tasks import pairing
from sunhwan.tasks.baselines_language import Baseline
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.writer import Writer

Floats = NDArray[np.float64]
#: neighbouring tokens are easy or hard together, so blocks of them are drawn in their place
_BLOCKS, _BLOCK_TOKENS = 200, 20
#: tokens of each text that is written, and how bold each is
_SAMPLE_TOKENS, _TEMPERATURES = 600, (0.5, 0.8, 1.0)
#: letters of what they go on from, where not from nothing
_OPENING = 60
#: tokens of the test part that are shown with how much each surprised
_SHOWN = 500


def figures(losses: Floats, characters: int, seed: int) -> dict[str, Any]:
    """Figures of the tokens of a text, and their 95 % intervals.

    Parameters
    ----------
    losses
        ``float64[N]``: nats of each token.
    characters
        Of the text, however many tokens it has.

    Returns
    -------
    dict
        ``metrics`` and ``intervals`` by name: ``loss`` in nats a token, ``perplexity`` (its
        exponential), ``bits_per_character``.

    Examples
    --------
    >>> found = figures(np.full(100, np.log(4)), characters=200, seed=1)["metrics"]
    >>> round(found["perplexity"], 3), found["bits_per_character"]
    (4.0, 1.0)
    """
    blocks = _blocks(losses)
    characters_a_token = characters / max(len(losses), 1)

    def measured(drawn: Floats) -> dict[str, float]:
        mean = float(drawn @ blocks.points / (drawn @ blocks.steps))
        return {
            "bits_per_character": mean / math.log(2) / max(characters_a_token, 1e-9),
            "loss": mean,
            # above e^700 there is no such number
            "perplexity": math.exp(min(mean, 700.0)),
        }

    count = len(blocks.points)
    return {
        "metrics": measured(np.ones(count)),
        "intervals": bootstrap_intervals(measured, count, seed=seed),
    }


def compare(losses: Floats, baselines: Sequence[Baseline], characters: int, seed: int) -> Any:
    """The baselines on the same tokens, each with how the network differs from it."""
    own, rows = _blocks(losses), []
    for baseline in baselines:
        difference = pairing.difference("loss", _blocks(baseline.losses), own, seed)
        rows.append(
            {
                "name": baseline.name,
                "detail": baseline.detail,
                **figures(baseline.losses, characters, seed),
                "difference": difference,
                "seconds": baseline.seconds,
            }
        )
    return rows


def _blocks(losses: Floats) -> Scores:
    count = min(max(len(losses) // _BLOCK_TOKENS, 1), _BLOCKS)
    parts = np.array_split(losses, count)
    points = np.array([part.sum() for part in parts])
    return Scores("error", points, np.array([float(len(part)) for part in parts]))


def opening(text: str) -> str:
    r"""The first line of a text, or of a long one some words, for the network to go on from.

    Examples
    --------
    >>> opening("\n  FIRST:\nSpeak."), opening("So it goes on and on. " * 9)[-12:]
    ('FIRST:\n', 'o it goes on')
    """
    start = text.lstrip()
    line, ends, _ = start.partition("\n")
    if len(line) <= _OPENING:
        return line + ends
    return line[:_OPENING].rpartition(" ")[0] or line[:_OPENING]


def samples(
    learner: LanguageLearner, say: Callable[[str], None], prompt: str = ""
) -> list[dict[str, Any]]:
    """What the network writes, the timid first: ``temperature``, ``prompt`` and ``text``."""
    writer, found = Writer(learner), []
    for temperature in _TEMPERATURES:
        say(f"writing at temperature {temperature}")
        options = SamplingOptions(temperature=temperature)
        text = "".join(
            writer.write(prompt, length=_SAMPLE_TOKENS, options=options, seed=learner.config.seed)
        )
        found.append({"temperature": temperature, "prompt": prompt, "text": text})
    return found


def surprise(learner: LanguageLearner, ids: NDArray[np.int32], losses: Floats) -> dict[str, Any]:
    """The first tokens of the test part, each with the bits that it took: ``tokens``, ``bits``."""
    shown = [int(one) for one in ids[1 : _SHOWN + 1]]
    tokens = ["\n" if one == learner.end else learner.encoder.decode([one]) for one in shown]
    return {"tokens": tokens, "bits": (losses[:_SHOWN] / math.log(2)).tolist()}
