"""The network against its baselines: the first line of the report, the figures and the table."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sunhwan.runs import results_figures
from sunhwan.runs.comparison import LEVEL
from sunhwan.runs.numbers import NOTHING, metric_text, probability_text, seconds_text
from sunhwan.runs.page import Block, Figure, Section, Table
from sunhwan.runs.results_values import records
from sunhwan.runs.sentences import translated
from sunhwan.runs.wording import Words

#: in the order of the table; the first that both the network and a baseline have is judged
_METRICS = (
    "chrf", "bleu", "exact_match", "accuracy", "macro_f1", "log_loss", "mae", "rmse", "mase", "r2",
    "skill", "sentence_accuracy", "loss", "perplexity", "bits_per_character",
)  # fmt: skip
_SMALLER_IS_BETTER = frozenset(
    {"log_loss", "mae", "rmse", "mase", "loss", "perplexity", "bits_per_character"}
)

#: how many baselines stand beside the network at the top
_AT_THE_TOP = 3


def verdict(results: Mapping[str, Any], words: Words) -> str:
    """Whether the network beats every baseline, with figures and intervals, in words.

    Examples
    --------
    >>> verdict({"metrics": {"accuracy": 0.9}, "baselines": [
    ...     {"name": "majority", "metrics": {"accuracy": 0.5}}]}, Words("en"))
    'The network beats every baseline: its test accuracy is 0.9000, that of the best baseline, majority, is 0.5000.'
    """  # noqa: E501
    key = judged(results)
    if key is None:
        return words("verdict.unmeasured")
    measure = words.name("measure", key)
    ours = _with_interval(results, key, words)
    rivals = _rivals(results, key)
    if not rivals:
        return words("verdict.alone", measure=measure, ours=ours)
    best, *others = rivals
    is_ahead = _goodness(results, key) > _goodness(best, key)
    doubtful = [rival for rival in rivals if not _is_real(results, rival, key)] if is_ahead else []
    rival = next(iter(doubtful), best)
    kinds = ("behind_by_chance", "behind", "ahead_by_chance", "beats")
    sentences = [
        words(
            f"verdict.{kinds[2 * is_ahead + _is_real(results, rival, key)]}",
            measure=measure,
            ours=ours,
            name=_name(rival, words),
            theirs=_with_interval(rival, key, words),
        ),
        *_evidence(results, rival, key, words),
    ]
    also = [_name(o, words) for o in others if _goodness(o, key) >= _goodness(results, key)]
    if also:
        sentences.append(words("verdict.also", names=", ".join(also)))
    if key in _SMALLER_IS_BETTER:
        sentences.append(words("verdict.smaller"))
    return " ".join(sentences)


def _is_real(results: Mapping[str, Any], rival: Mapping[str, Any], key: str) -> bool:
    """Whether a difference is more than chance, as far as is known.

    The interval of the skill decides for the baseline that it is measured against, and for others
    McNemar's test where it was made, else the interval of the paired difference and the permutation
    test together: of few rows a bootstrap's interval is too narrow. Without any of these two
    intervals that overlap are taken for chance, which is too careful (Schenker and Gentleman 2001).
    """
    found, skill = _difference(rival, key), _skill_over(results, rival, key)
    if skill:
        return skill[0] > 0 or skill[1] < 0
    if found is None:
        return not _overlap(results, rival, key)
    low, high = found["interval"]
    is_clear = found.get("test") == "McNemar" or low > 0 or high < 0
    return bool(is_clear and found["p"] < LEVEL)


def _skill_over(results: Mapping[str, Any], rival: Mapping[str, Any], key: str) -> list[float]:
    """The interval of the skill, if it is measured against that baseline."""
    theirs, skill = rival["metrics"][key], results["metrics"].get("skill")
    if key != "mae" or skill is None or not theirs:
        return []
    is_its = math.isclose(1 - results["metrics"][key] / theirs, skill, abs_tol=1e-9)
    return interval(results, "skill") if is_its else []


def _evidence(
    results: Mapping[str, Any], rival: Mapping[str, Any], key: str, words: Words
) -> list[str]:
    """What a verdict rests on, as a sentence where there is anything."""
    found = _difference(rival, key)
    if found is None:
        if results.get("task") == "forecast" and not interval(results, key):
            return [words("verdict.too_short")]
        is_all = _overlap(results, rival, key) and not _skill_over(results, rival, key)
        return [words("verdict.overlap")] if is_all else []
    value, low, high = (_signed(key, x) for x in (found["value"], *found["interval"]))
    p = probability_text(found["p"])
    return [words("verdict.paired", difference=value, low=low, high=high, p=p)]


def _difference(rival: Mapping[str, Any], key: str) -> Mapping[str, Any] | None:
    """The network minus a baseline on the same rows, if it was measured."""
    found: Mapping[str, Any] = rival.get("difference", {}).get(key, {})
    ends = [end for end in found.get("interval", []) if end is not None]
    return found if len(ends) == 2 and {"value", "p"} <= set(found) else None


def _signed(key: str, value: float) -> str:
    return f"{'+' if value > 0 else ''}{metric_text(key, value)}"


def judged(results: Mapping[str, Any]) -> str | None:
    """The metric by which the network is compared; None where it has none."""
    ours = [key for key in _METRICS if key in results.get("metrics", {})]
    shared = [key for key in ours if _rivals(results, key)]
    return next(iter([*shared, *ours]), None)


def top_figures(results: Mapping[str, Any], words: Words) -> list[tuple[str, str, str]]:
    """The network, its best baselines and the skill, in large type: name, figure, note."""
    key = judged(results)
    if key is None:
        return []
    shown = [(words("top.network"), results)]
    shown += [(_name(rival, words), rival) for rival in _rivals(results, key)[:_AT_THE_TOP]]
    top = [(name, metric_text(key, entry["metrics"][key]), _note(entry, key, words))
           for name, entry in shown]  # fmt: skip
    if key != "skill" and "skill" in results["metrics"]:
        figure = metric_text("skill", results["metrics"]["skill"])
        notes = [_note(results, "skill", words), words("top.skill_note")]
        top.append((words("top.skill"), figure, "; ".join(filter(None, notes))))
    return top


def section(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The table of the network and its baselines, and their intervals as a figure."""
    key = judged(results)
    if key is None:
        return []
    rivals, named = _rivals(results, key), _named(results, key, words)
    keys, paired = _shown_metrics(named), _paired_table(rivals, key, words)
    blocks: list[Block] = [words("baselines.read")]
    if rivals:
        rows = [
            results_figures.Measured(name, entry["metrics"][key], interval(entry, key))
            for name, entry in named[: 1 + len(rivals)]
        ]
        title = words.name("metric", key)
        svg = results_figures.intervals(
            rows, title=title, label=f"{words('section.baselines')}: {title}"
        )
        how = ["figure", "overlap_paired" if paired.rows else "overlap"]
        parts = how if any(row.interval for row in rows) else ["alone"]
        blocks.append(Figure(svg, " ".join(words(f"baselines.{part}") for part in parts)))
    blocks.append(table(results, words))
    blocks += [paired] if paired.rows else []
    details = [
        [name, translated(str(entry["detail"]), words.language)]
        for name, entry in named
        if entry.get("detail")
    ]
    if details:
        blocks.append(Table(["", ""], details, words("baselines.details"), numeric=False))
    meanings = [f"baselines.meaning.{k}" for k in keys]
    blocks.append(" ".join(words(meaning) for meaning in meanings if meaning in words))
    return [Section(words("section.baselines"), [block for block in blocks if block])]


def interval(entry: Mapping[str, Any], key: str) -> list[float]:
    """The 95 % interval of a metric, or an empty list."""
    ends = [end for end in entry.get("intervals", {}).get(key, []) if end is not None]
    return ends if len(ends) == 2 else []


def table(results: Mapping[str, Any], words: Words) -> Table:
    """The figures of the network and of each baseline, the best baselines first."""
    key = judged(results)
    if key is None:
        return Table([], [])
    named = _named(results, key, words)
    keys = _shown_metrics(named)
    head = ["", *(words.name("metric", k) for k in keys), words("baselines.seconds")]
    has_intervals = any(interval(entry, key) for _, entry in named)
    if has_intervals:
        head.insert(keys.index(key) + 2, words("baselines.interval"))
    rows = []
    for name, entry in named:
        row = [name, *(metric_text(k, entry.get("metrics", {}).get(k)) for k in keys)]
        row.append(seconds_text(entry["seconds"]) if "seconds" in entry else NOTHING)
        if has_intervals:
            ends = [metric_text(key, end) for end in interval(entry, key)]
            row.insert(keys.index(key) + 2, "–".join(ends) or NOTHING)
        rows.append(row)
    return Table(head, rows, caption=words("baselines.caption"), marked=frozenset({0}))


def _paired_table(rivals: list[Mapping[str, Any]], key: str, words: Words) -> Table:
    """The network minus each baseline on the same rows."""
    rows = []
    for rival in rivals:
        found = _difference(rival, key)
        if found is not None:
            ends = " ~ ".join(_signed(key, end) for end in found["interval"])
            value, p = _signed(key, found["value"]), probability_text(found["p"])
            rows.append([_name(rival, words), value, ends, p])
    head = ["", words("baselines.difference"), words("baselines.interval"), "P"]
    return Table(head, rows, words("baselines.paired", metric=words.name("metric", key)))


def _named(
    results: Mapping[str, Any], key: str, words: Words
) -> list[tuple[str, Mapping[str, Any]]]:
    """The network and all baselines with their names, the best first as far as it is known."""
    rivals = _rivals(results, key)
    others = [entry for entry in records(results, "baselines") if entry not in rivals]
    named = [(_name(entry, words), entry) for entry in [*rivals, *others]]
    return [(words("top.network"), results), *named]


def _shown_metrics(named: list[tuple[str, Mapping[str, Any]]]) -> list[str]:
    return [k for k in _METRICS if any(k in entry.get("metrics", {}) for _, entry in named)]


def _rivals(results: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The baselines that have the metric, the best first."""
    having = [b for b in records(results, "baselines") if key in b.get("metrics", {})]
    return sorted(having, key=lambda baseline: -_goodness(baseline, key))


def _goodness(entry: Mapping[str, Any], key: str) -> float:
    value = float(entry["metrics"][key])
    return -value if key in _SMALLER_IS_BETTER else value


def _overlap(one: Mapping[str, Any], other: Mapping[str, Any], key: str) -> bool:
    a, b = interval(one, key), interval(other, key)
    return bool(a and b and a[0] <= b[1] and b[0] <= a[1])


def _with_interval(entry: Mapping[str, Any], key: str, words: Words) -> str:
    value = metric_text(key, entry["metrics"][key])
    ends = [metric_text(key, end) for end in interval(entry, key)]
    if not ends:
        return value
    return words("verdict.interval", value=value, low=ends[0], high=ends[1])


def _note(entry: Mapping[str, Any], key: str, words: Words) -> str:
    ends = [metric_text(key, end) for end in interval(entry, key)]
    return words("top.interval", low=ends[0], high=ends[1]) if ends else ""


def _name(entry: Mapping[str, Any], words: Words) -> str:
    return words.name("baseline", str(entry.get("name", NOTHING)))
