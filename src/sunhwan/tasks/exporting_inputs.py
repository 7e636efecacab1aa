"""How what a person has becomes what an exported network reads, in sentences for its JSON file."""

from __future__ import annotations

from typing import Any

from sunhwan.tasks.forecasting_scaling import CYCLES

_CUT = {"start": "first", "end": "last"}
_WITH_SUNHWAN = (
    "where sunhwan is installed, "
    "`sunhwan.tasks.encoders.encoder_from_config(about['encoder'], about['kind']).encode(value)` "
    "does this for one row"
)


def inputs_text(learner: Any) -> list[str]:
    """What must be done to a text, numbers, a sound or series before the network reads it.

    Parameters
    ----------
    learner
        A `Learner` or `ForecastLearner` that is trained.

    Returns
    -------
    list of str
        Sentences, in the order of the steps; ``encoder`` in them is the encoder's ``config``.
    """
    if learner.task == "forecast":
        return _of_series(learner)
    kinds = {"text": _of_text, "tokens": _of_tokens, "numbers": _of_numbers, "sound": _of_sound}
    lines = kinds[learner.kind](learner.encoder)
    if learner.per_step and learner.config.max_length is not None:
        lines.append(
            f"a sequence of more than {learner.config.max_length} steps is read in the fewest "
            "pieces of at most so many, each by itself"
        )
    return [*lines, _WITH_SUNHWAN]


def _of_text(encoder: Any) -> list[str]:
    splits = {
        "words": "it is split into words: all punctuation becomes spaces, but the apostrophe",
        "characters": "it is split into its characters",
        "jamo": "each Hangul syllable becomes its two or three conjoining jamo (U+1100 to U+11FF), "
        "and the text is split into its characters",
        "morphemes": "kiwipiepy splits it into morphemes, each written form/TAG",
    }
    if encoder.name == "subwords":
        how = "from left to right by encoder.merges, the first first (BPE)"
        if encoder.algorithm == "unigram":
            how = "into the most probable pieces, encoder.scores being their logarithms (unigram)"
        splits["subwords"] = (
            f"it is split at spaces, each word begins with ▁ and is split into pieces {how}, "
            "punctuation apart from letters"
        )
    lines = ["a text is brought to Unicode NFC" + ", then to lower case" * encoder.lowercase]
    lines += [splits[encoder.name], "encoder.tokens[n] has the id n + 2, and all else the id 1"]
    if encoder.max_length is not None:
        lines.append(f"of more than {encoder.max_length} ids the {_CUT[encoder.keep]} are read")
    return [*lines, "a text without any has the one id 1"]


def _of_tokens(encoder: Any) -> list[str]:
    lines = [
        "each token is brought to Unicode NFC and read as its parts: itself, its last 1, 2 and 3 "
        "letters, its first 1 and 2, and its shape",
        "the shape has A for a capital, a for a small letter, o for one of neither case, 9 for a "
        "digit and other marks as they are, equal neighbours taken together",
        "encoder.parts[part][n] has the id n + 2, and all else the id 1; the last axis of ids has "
        "the parts in the order of encoder.parts",
    ]
    if encoder.max_length is not None:
        lines.append(f"of more than {encoder.max_length} tokens the first are read")
    return lines


def _of_numbers(encoder: Any) -> list[str]:
    lines = []
    if encoder.missing == "carry":
        lines.append("a missing number is the last one known, before the first the encoder.mean")
    if encoder.differences:
        lines.append("behind the numbers of a step stands what they changed by since the last one")
    if encoder.max_length is not None:
        lines.append(f"of more than {encoder.max_length} steps the {_CUT[encoder.keep]} are read")
    if encoder.normalise:
        lines.append("each becomes (x - encoder.mean) / encoder.scale, by 1 where the scale is 0")
    if encoder.missing == "carry":
        lines.append("behind them stands 1 for each number that was missing, else 0")
    return lines


def _of_sound(encoder: Any) -> list[str]:
    return [
        f"a sound of one channel is brought to {encoder.learnt_rate:,} samples a second",
        f"every {encoder.hop:g} s, a window of {encoder.window:g} s becomes decibels in "
        f"{encoder.mels} mel bands, as `sunhwan.data.sounds.LogMel` says in full",
        "each becomes (x - encoder.mean) / encoder.scale, by 1 where the scale is 0",
    ]


def _of_series(learner: Any) -> list[str]:
    scaler = learner.encoder.scaler
    y = f"log(value + {scaler.offset:g})" if scaler.logarithm else "the value"
    anchor = "the last known y"
    if scaler.anchor == "season":
        anchor += f" that lies a whole number of seasons, {scaler.season} steps each, before it"
    past, future = _columns(scaler)
    lines = [
        f"y is {y} of a series; its spread, mean and deviation are in encoder.scaler",
        f"past[b] holds the last {learner.config.input_length} known steps of one series, with "
        f"the columns {'; '.join(past)}",
        f"future[b] holds the steps to forecast, with the columns {'; '.join(future)}",
        f"y of a step to forecast is its anchor + spread * distance, the anchor being {anchor}",
    ]
    if learner.steps < learner.horizon:
        lines.append(
            "one step is said at once: for the next, its y is put behind those that are known, "
            "and covariates keep their last value"
        )
    if scaler.logarithm:
        lines.append(f"the value is exp(y) - {scaler.offset:g}")
    return lines


def _columns(scaler: Any) -> tuple[list[str], list[str]]:
    """What stands in the columns of ``past`` and of ``future``, as `read_past` makes them."""
    past = ["(y - last known y) / spread"]
    if scaler.anchor == "season":
        past.append(f"(y - y of {scaler.season} steps before) / spread")
    if scaler.keeps_level:
        past.append("(y - mean) / deviation")
    calendar = [
        f"{wave}(2 pi {harmonic} t / {CYCLES[name][0]:.0f}), t in seconds since 1970"
        for name in scaler.cycles
        for harmonic in range(1, CYCLES[name][1] + 1)
        for wave in ("sin", "cos")
    ]
    helpers = []
    for name, learnt in scaler.helpers.items():
        if isinstance(learnt[0], str):
            helpers += [f"1 where `{name}` is {text!r}, else 0" for text in learnt]
        else:
            helpers.append(f"(`{name}` - {learnt[0]:g}) / {learnt[1]:g}")
    return [*past, *calendar, *helpers], [*calendar, "step / steps, from 1 / steps to 1"]
