"""How near written texts come to what they should be: BLEU, chrF, and how many are the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from sunhwan.errors import DataError, ShapeError
from sunhwan.runs.comparison import Scores
from sunhwan.runs.resampling import bootstrap_intervals
from sunhwan.tasks import pairing
from sunhwan.tasks.baselines_translate import Baseline
from sunhwan.tasks.metric_parts import by_length as length_groups

Floats = NDArray[np.float64]

_PERMUTATIONS = 1_999
_AT_ONCE = 1 << 20
#: pairs that are shown: evenly chosen ones, and as many of the worst
_SHOWN = 10


@dataclass(frozen=True, eq=False)
class Counts:
    """What each pair adds to the figures: they are computed from the sums over all pairs.

    Attributes
    ----------
    chrf
        ``float64[N, 18]``: for n-grams of one letter, of two, ... how many there are in the
        hypothesis, in the reference that it is most like, and in both.
    bleu
        ``float64[N, 10]``: words of the hypothesis and of the reference nearest in length; then
        for n-grams of one word to four how many are right, and how many there are.
    exact
        ``float64[N]``: 1 where a hypothesis is one of its references.
    signatures
        How sacrebleu computed ``chrf`` and ``bleu``, with its version.
    """

    chrf: Floats
    bleu: Floats
    exact: Floats
    signatures: dict[str, str]


def by_source(sources: Sequence[str], targets: Sequence[str]) -> tuple[list[int], list[list[str]]]:
    """Pairs with the same source as one with several references.

    As one source is always answered in the same way, its pairs are right or wrong together, and
    intervals over them would be too narrow.

    Returns
    -------
    tuple
        The first row of each source, and all its different targets.

    Examples
    --------
    >>> by_source(["They won.", "Go.", "They won."], ["그들이 이겼어.", "가.", "이겼다."])
    ([0, 1], [['그들이 이겼어.', '이겼다.'], ['가.']])
    """
    rows: dict[str, int] = {}
    references: dict[str, dict[str, str]] = {}
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        key = _plain(source)
        rows.setdefault(key, row)
        references.setdefault(key, {}).setdefault(_plain(target), target)
    return list(rows.values()), [list(found.values()) for found in references.values()]


def count(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> Counts:
    """Compare each hypothesis with its references, all in Unicode's form NFC.

    chrF (Popović 2015: letters, up to six in a row, recall twice as important) and BLEU (Papineni
    et al. 2002) are those of sacrebleu (Post 2018) with its defaults.

    Raises
    ------
    DataError
        There are no pairs, or one has no reference.
    ShapeError
        There are not as many lists of references as hypotheses.

    Examples
    --------
    >>> found = count(["A cat sat.", "No."], [["The cat sat.", "A cat sat. "], ["Yes."]])
    >>> found.exact.tolist(), found.chrf[0, :3].tolist()
    ([1.0, 0.0], [8.0, 8.0, 8.0])
    """
    if len(hypotheses) != len(references):
        raise ShapeError(
            f"`references` must have a list for each of {len(hypotheses)} hypotheses, "
            f"received {len(references)}"
        )
    if not hypotheses:
        raise DataError("at least one pair is needed to judge by, received none")
    bare = next((row for row, several in enumerate(references) if not several), None)
    if bare is not None:
        raise DataError(f"pair {bare + 1} of {len(references)} has no reference")
    said = [_plain(text) for text in hypotheses]
    wanted = [[_plain(text) for text in several] for several in references]
    # sacrebleu wants the first references of all, then the second ones, and None where is none
    most = max(map(len, wanted))
    columns = [[text[n] if n < len(text) else None for text in wanted] for n in range(most)]
    found, signatures = {}, {}
    for name, metric in _metrics().items():
        found[name] = np.array(metric._extract_corpus_statistics(said, columns), np.float64)
        kind = metric._compute_score_from_stats(found[name][0]).name
        signatures[name] = f"{kind}|{metric.get_signature()}"
    exact = [one in several for one, several in zip(said, wanted, strict=True)]
    return Counts(found["chrf"], found["bleu"], np.array(exact, np.float64), signatures)


def figures(counts: Counts, seed: int) -> dict[str, Any]:
    """Figures of all pairs, and their 95 % intervals.

    Returns
    -------
    dict
        ``metrics`` and ``intervals`` by name: ``chrf`` and ``bleu`` (0 to 100), ``exact_match``
        (0 to 1); and the ``signatures``.

    Examples
    --------
    >>> found = figures(count(["A cat sat.", "No."], [["A cat sat."], ["Yes."]]), seed=1)
    >>> {name: round(value, 1) for name, value in found["metrics"].items()}
    {'chrf': 85.2, 'bleu': 88.9, 'exact_match': 0.5}
    """
    width = counts.chrf.shape[1]
    rows = np.column_stack([counts.chrf, counts.bleu, counts.exact])

    def measured(drawn: Floats) -> dict[str, float]:
        sums = drawn @ rows
        return {
            "chrf": _score("chrf", sums[:width]),
            "bleu": _score("bleu", sums[width:-1]),
            "exact_match": float(sums[-1] / drawn.sum()),
        }

    return {
        "metrics": measured(np.ones(len(rows))),
        "intervals": bootstrap_intervals(measured, len(rows), seed=seed),
        "signatures": counts.signatures,
    }


def difference(baseline: Counts, network: Counts, seed: int) -> dict[str, Any]:
    """The ``difference`` of a baseline in ``results.json``: the network minus the baseline.

    Of chrF the paired bootstrap (Koehn 2004) gives the interval, and approximate randomization
    (Riezler and Maxwell 2005) P: pairs exchanged between the two at random. For exact matches see
    `sunhwan.tasks.pairing.difference`.

    Returns
    -------
    dict
        Under ``chrf`` and ``exact_match``: ``value``, ``interval``, ``p`` and ``test``. Empty
        where there are fewer than two pairs.

    Examples
    --------
    >>> texts = [f"line {n} is here" for n in range(40)]
    >>> network, other = (count([text[at:] for text in texts], [[text] for text in texts])
    ...                   for at in (0, 4))
    >>> found = difference(other, network, seed=1)
    >>> found["chrf"]["value"] > 10, found["chrf"]["p"] < 0.01, found["exact_match"]["test"]
    (True, True, 'McNemar')
    """
    rows = len(network.chrf)
    if rows < 2:
        return {}

    def between(drawn: Floats) -> dict[str, float]:
        return {
            "chrf": _score("chrf", drawn @ network.chrf) - _score("chrf", drawn @ baseline.chrf)
        }

    found = {
        "value": between(np.ones(rows))["chrf"],
        "interval": bootstrap_intervals(between, rows, seed=seed)["chrf"],
        "p": _exchanged(network.chrf, baseline.chrf, seed),
        "test": "permutation",
    }
    ours, theirs = (Scores("accuracy", one.exact, np.ones(rows)) for one in (network, baseline))
    return {"chrf": found, **pairing.difference("exact_match", theirs, ours, seed)}


def compare(
    network: Counts, baselines: Sequence[Baseline], references: Sequence[Sequence[str]], seed: int
) -> list[dict[str, Any]]:
    """The baselines on the same pairs, each with how the network differs from it."""
    rows = []
    for baseline in baselines:
        counts = count(baseline.hypotheses, references)
        judged = figures(counts, seed)
        rows.append(
            {
                "name": baseline.name,
                "detail": baseline.detail,
                "metrics": judged["metrics"],
                "intervals": judged["intervals"],
                "difference": difference(counts, network, seed),
                "seconds": baseline.seconds,
            }
        )
    return rows


def by_length(counts: Counts, lengths: ArrayLike) -> dict[str, Any]:
    """chrF and exact matches of short and of long sources, as ``{"by_length": {...}}``.

    Parameters
    ----------
    lengths
        ``int[N]``: of each source, in tokens.

    Returns
    -------
    dict
        ``edges``, ``count``, ``chrf`` and ``exact_match`` of groups as in
        `sunhwan.tasks.metric_parts.by_length`; empty where all lengths are equal.

    Raises
    ------
    ShapeError
        There is not one length for each pair.

    Examples
    --------
    >>> found = count(["a", "bcd", "cb"], [["a"], ["bcd"], ["bc"]])
    >>> by_length(found, [1, 3, 2])["by_length"]["exact_match"]
    [1.0, 0.5]
    """
    groups = length_groups(counts.exact, lengths).get("by_length")
    if groups is None:
        return {}
    place = np.digitize(np.asarray(lengths), groups["edges"][1:-1])
    chrf = [_score("chrf", counts.chrf[place == n].sum(0)) for n in range(len(groups["count"]))]
    exact = groups.pop("error")
    return {"by_length": {**groups, "chrf": chrf, "exact_match": exact}}


def examples(
    counts: Counts,
    sources: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    places: Sequence[str] = (),
) -> dict[str, list[dict[str, Any]]]:
    """Pairs to be shown: ``translations``, evenly chosen, and ``worst_translations``.

    Each has ``source``, ``references``, ``hypothesis``, its own ``chrf``, whether it is ``exact``,
    and where `places` are given its ``place``. The worst are those of the least chrF, of equals
    the longest.

    Examples
    --------
    >>> found = count(["a", "xx", "y"], [["a"], ["bb"], ["c"]])
    >>> shown = examples(found, ["A", "B", "C"], ["a", "xx", "y"], [["a"], ["bb"], ["c"]])
    >>> [pair["source"] for pair in shown["translations"]]
    ['A', 'B', 'C']
    >>> [pair["source"] for pair in shown["worst_translations"]]
    ['B', 'C']
    """
    chrf = np.array([_score("chrf", row) for row in counts.chrf])

    def pair(row: int) -> dict[str, Any]:
        placed = {"place": places[row]} if len(places) else {}
        return {
            **placed,
            "source": sources[row],
            "references": list(references[row]),
            "hypothesis": hypotheses[row],
            "chrf": float(chrf[row]),
            "exact": bool(counts.exact[row]),
        }

    even = np.unique(np.linspace(0, len(chrf) - 1, _SHOWN).round().astype(int))
    # the second column is how many letters the reference has
    order = np.lexsort((-counts.chrf[:, 1], chrf))
    worst = order[counts.exact[order] == 0][:_SHOWN]
    return {
        "translations": [pair(row) for row in even.tolist()],
        "worst_translations": [pair(row) for row in worst.tolist()],
    }


def _exchanged(first: Floats, other: Floats, seed: int) -> float:
    """P of the difference in chrF, were it chance which of two answers to a pair is whose."""
    rows = len(first)
    sums, change = first.sum(axis=0), other - first
    total = sums + other.sum(axis=0)

    def statistic(ours: NDArray[np.int64], theirs: NDArray[np.int64], axis: int) -> Floats:
        del theirs, axis  # what is not ours is theirs, and SciPy always passes the last
        mixed = sums + (ours >= rows).astype(np.float64) @ change
        found = [
            _score("chrf", one) - _score("chrf", total - one)
            for one in mixed.reshape(-1, len(sums))
        ]
        return np.array(found).reshape(mixed.shape[:-1])

    result = stats.permutation_test(
        (np.arange(rows), np.arange(rows, 2 * rows)),
        statistic,
        permutation_type="samples",
        vectorized=True,
        n_resamples=_PERMUTATIONS,
        batch=max(1, _AT_ONCE // rows),
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


def _score(metric: str, sums: Floats) -> float:
    """What sacrebleu gives for counts summed over pairs."""
    return float(_metrics()[metric]._compute_score_from_stats(sums.tolist()).score)


@cache
def _metrics() -> dict[str, Any]:
    """sacrebleu's metrics with its defaults.

    Figures of sums, which a bootstrap needs, are only to be had by methods that sacrebleu's own
    tests of significance use too.
    """
    from sacrebleu.metrics import BLEU, CHRF

    # `force` only silences a note on what looks like texts split into words
    return {"chrf": CHRF(), "bleu": BLEU(force=True)}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
