"""The network against its baselines: the first line of the report, the figures and the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs import results_figures
from sunhwan.runs.numbers import NOTHING, metric_text, seconds_text
from sunhwan.runs.page import Block, Figure, Section, Table
from sunhwan.runs.results_values import records
from sunhwan.runs.wording import Words

#: in the order of the table; the first that both the network and a baseline have is judged
_METRICS = (
    "accuracy", "macro_f1", "log_loss", "mae", "rmse", "mase", "r2", "skill", "sentence_accuracy",
)  # fmt: skip
_SMALLER_IS_BETTER = frozenset({"log_loss", "mae", "rmse", "mase"})

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
    side = "ahead" if _goodness(results, key) > _goodness(best, key) else "behind"
    by_chance = _overlap(results, best, key)
    kind = f"{side}_by_chance" if by_chance else {"ahead": "beats", "behind": "behind"}[side]
    sentences = [
        words(
            f"verdict.{kind}",
            measure=measure,
            ours=ours,
            name=_name(best, words),
            theirs=_with_interval(best, key, words),
        )
    ]
    also = [_name(o, words) for o in others if _goodness(o, key) >= _goodness(results, key)]
    if also:
        sentences.append(words("verdict.also", names=", ".join(also)))
    if key in _SMALLER_IS_BETTER:
        sentences.append(words("verdict.smaller"))
    return " ".join(sentences)


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
        top.append((words("top.skill"), figure, words("top.skill_note")))
    return top


def section(results: Mapping[str, Any], words: Words) -> list[Section]:
    """The table of the network and its baselines, and their intervals as a figure."""
    key = judged(results)
    if key is None:
        return []
    rivals, named = _rivals(results, key), _named(results, key, words)
    keys = _shown_metrics(named)
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
        blocks.append(Figure(svg, words("baselines.figure")))
    blocks.append(table(results, words))
    details = [[name, str(entry["detail"])] for name, entry in named if entry.get("detail")]
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
    head.insert(keys.index(key) + 2, words("baselines.interval"))
    rows = []
    for name, entry in named:
        row = [name, *(metric_text(k, entry.get("metrics", {}).get(k)) for k in keys)]
        row.append(seconds_text(entry["seconds"]) if "seconds" in entry else NOTHING)
        ends = [metric_text(key, end) for end in interval(entry, key)]
        row.insert(keys.index(key) + 2, "–".join(ends) or NOTHING)
        rows.append(row)
    return Table(head, rows, caption=words("baselines.caption"), marked=frozenset({0}))


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
