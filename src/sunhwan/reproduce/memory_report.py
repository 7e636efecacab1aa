"""``report.html`` of memory lengths from what stands in ``results.json``, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sunhwan.reproduce import report
from sunhwan.reproduce.memory import chance_of_mean
from sunhwan.reproduce.study_report import BAND, note
from sunhwan.reproduce.wording import figure_text, measured, seed_words
from sunhwan.runs import figures
from sunhwan.runs.page import Block, Equation, Figure, Key, Page, Section, Table
from sunhwan.runs.page import render as render_page
from sunhwan.runs.statistics import mean_and_spread

Variants = Sequence[Mapping[str, Any]]


def render(results: Mapping[str, Any]) -> str:
    """The report as HTML text.

    Parameters
    ----------
    results
        As `sunhwan.reproduce.study_runner.run` writes them of a `memory.MemoryStudy`.
    """
    key = results["headline"]
    page = Page(
        kicker=f"{results['name']} · sunhwan reproduce",
        title=results["title"],
        result=_result(results),
        note=note(results),
        compared=[
            (one["title"], *report.large(key, one["summary"], seed_words(len(one["seeds"]))))
            for one in results["variants"]
        ],
        sections=[
            Section("How to read it", [_READ, _decided(results), _STARTS]),
            *(_problem(results, problem) for problem in results["problems"]),
            Section("How they were trained", [_training(results)]),
            report.again(results),
            report.versions(results),
        ],
    )
    return render_page(page)


_READ = (
    "What is asked lies ever further back, and each line shows what share of it a network still "
    "gets right. Where a line has come down to the dashed one, or below it, the answers are no "
    "better than guesses. Each length is learnt from the start by a network of its own: a fall "
    "says that a gradient over so many steps taught it nothing in this training, not that its "
    "state could not hold it (Bengio, Simard & Frasconi 1994)."
)
_STARTS = (
    "How far a gradient comes back at first is decided by the weights that training begins with. "
    "Keras begins the recurrent weights of a SimpleRNN with an orthogonal matrix, which neither "
    "shrinks nor stretches what it carries (Saxe, McClelland & Ganguli 2014), the forget gates of "
    "an LSTM near 0.73, of which less than a millionth is left after 50 steps, and the update "
    "gates of a GRU near one half. In multiplication the marks fall anywhere, so that some "
    "sequences ask only for what stands near their end, and a gate can learn from them to open; in "
    "copying all that is asked for lies behind every blank. An LSTM with open gates "
    "begins with biases that let its cells remember for 1 step up to the longest length "
    "(Tallec & Ollivier 2018, chrono initialisation)."
)


def _result(results: Mapping[str, Any]) -> str:
    lengths = results["lengths"]
    return (
        "The steps over which each cell remembers: the longest length up to which it gets "
        "clearly more right than chance, mean and standard deviation over the seeds. Tried were "
        f"{', '.join(map(str, lengths[:-1]))} and {lengths[-1]}."
    )


def _decided(results: Mapping[str, Any]) -> str:
    return (
        "A seed counts as clearly better than chance where chance alone would give as many right "
        f"answers with a probability below {results['level']:g} (exact binomial test, one-sided), "
        "and as remembering up to the last length before the first at which it is not."
    )


def _problem(results: Mapping[str, Any], problem: Mapping[str, Any]) -> Section:
    variants = [one for one in results["variants"] if one["problem"] == problem["name"]]
    cells = {cell["name"]: cell["title"] for cell in results["cells"]}
    entries = [
        (cells[one["cell"]], figures.colour(place), False) for place, one in enumerate(variants)
    ]
    lengths, by_chance = results["lengths"], figure_text("share_right", problem["chance"])
    axis = {"multiplication": "steps of a sequence", "copying": "blank steps"}[problem["name"]]
    svg = figures.bands(
        [[figures.Band([_shares(seed) for seed in one["seeds"]])] for one in variants],
        lengths,
        title="Share right",
        label=f"Share right by length, {problem['name']}",
        axis=axis,
        names=[str(length) for length in lengths],
        level=figures.Reference(problem["chance"], f"chance, {by_chance}"),
        log=True,
    )
    blocks: list[Block] = [*_asked(results, problem), Key(entries), Figure(svg, BAND, wide=True)]
    blocks += _tables(results, variants, cells, by_chance)
    return Section(problem["name"].capitalize(), blocks)


def _asked(results: Mapping[str, Any], problem: Mapping[str, Any]) -> list[Block]:
    """What is asked, and what chance gets right of it."""
    size, share = results["size"], figure_text("share_right", problem["chance"])
    if problem["name"] == "copying":
        return [
            f"{size['remembered']} of {size['symbols']} symbols are read, then so many blanks as "
            f"the axis says, then {size['remembered']} signals; at each signal the next of the "
            "symbols is to be named (after Arjovsky, Shah & Bengio 2016, section 4.1, who ask for "
            f"10 symbols). The share is that of symbols; chance names one in {size['symbols']}.",
        ]
    tolerance = results["tolerance"]
    return [
        "Each step is a mark and a number from 0 to 1, two steps anywhere in the sequence are "
        "marked, and the answer is the product of their numbers, right within "
        f"{tolerance} (Hochreiter & Schmidhuber 1997, experiment 5, in the form of tutorials). "
        f"The best that an answer can do that knows no number is always to say {tolerance}, which "
        f"is right in {share}. A network that has learnt nothing is below that: it answers near "
        "the mean of 0.25, where the squared error is least, and is right in "
        f"{figure_text('share_right', chance_of_mean())}.",
        Equation(
            f"max P(|p \u2212 c| < {tolerance}) = t (1 \u2212 ln t),  t = {2 * tolerance:g}",
            "p the product of two numbers uniform in [0, 1], whose density is \u2212ln p",
        ),
    ]


def _tables(
    results: Mapping[str, Any], variants: Variants, cells: Mapping[str, str], by_chance: str
) -> list[Block]:
    """Shares right by length, and at how many seeds they are clearly better than chance."""
    lengths = [str(length) for length in results["lengths"]]
    shares = [
        [
            cells[one["cell"]],
            *(
                measured("share_right", mean_and_spread(list(of_length)))
                for of_length in zip(*map(_shares, one["seeds"]), strict=True)
            ),
        ]
        for one in variants
    ]
    shares.append(["chance", *[by_chance] * len(lengths)])
    better = [
        [
            cells[one["cell"]],
            *(
                f"{sum(of_length)} of {len(of_length)}"
                for of_length in zip(*map(_better, one["seeds"]), strict=True)
            ),
            ", ".join(str(seed["reach"] or "none") for seed in one["seeds"]),
        ]
        for one in variants
    ]
    caption = "Share right by length, mean and standard deviation over the seeds"
    counted = "Seeds that are clearly better than chance, and the longest length of each seed"
    return [
        Table(["", *lengths], shares, caption=caption, marked=frozenset({len(shares) - 1})),
        Table(["", *lengths, "longest, seed by seed"], better, caption=counted),
    ]


def _shares(seed: Mapping[str, Any]) -> list[float]:
    return [one["share_right"] for one in seed["by_length"]]


def _better(seed: Mapping[str, Any]) -> list[bool]:
    return [one["better"] for one in seed["by_length"]]


def _training(results: Mapping[str, Any]) -> str:
    size, epochs = results["size"], results["settings"]["epochs"]
    rows = size["batches"] * size["batch_size"]
    return (
        f"One recurrent layer of {size['units']} units and a dense one, the same for all cells: "
        f"{rows:,} new sequences in each of {epochs} epochs, in batches of {size['batch_size']}. "
        f"Adam begins at {size['learning_rate']:g}, falls to 0 along a cosine and keeps the norm "
        "of each gradient below 1; the loss is the squared error of multiplication and the "
        f"cross-entropy of copying. Judged by {size['test_rows']:,} other sequences, the same for "
        "all. A seed decides initial weights and sequences."
    )
