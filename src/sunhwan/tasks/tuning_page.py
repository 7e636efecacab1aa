"""What a search found, as words and tables for the terminal and as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter

from sunhwan.runs import canvas
from sunhwan.runs.numbers import NOTHING, metric_text, number_text, seconds_text
from sunhwan.runs.page import Block, Code, Figure, Key, Page, Section, Table, render
from sunhwan.tasks.tuning_folder import Trial
from sunhwan.tasks.tuning_space import Choice, option_text, value_text

if TYPE_CHECKING:
    from sunhwan.tasks.tuning import Outcome

_STATES = {"finished": "", "pruned": "given up", "diverged": "diverged"}
#: losses further above the best than so many times the half that is best are drawn at the edge
_REACH = 3.0
#: options that a figure is drawn for
_DRAWN = 6
#: dropped rows that the page names; all are counted
_NAMED = 200


def table(trials: Sequence[Trial]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns and a row for each trial, the best first.

    Examples
    --------
    >>> trial = Trial(number=1, options={"units": 8}, state="finished", seconds=2.5, parameters=99,
    ...     figures={"val_loss": [0.5, 0.25], "val_accuracy": [0.5, 0.75]})
    >>> head, rows = table([trial])
    >>> print(head, rows[0], sep="\\n")
    ['trial', 'validation loss', 'accuracy', 'epoch', 'seconds', '']
    ['1: units 8', '0.2500', '0.7500', '2 of 2', '2.5', '']
    """
    names = sorted({name for trial in trials for name in trial.figures})
    names = [name for name in names if name.startswith("val_") and name != "val_loss"]
    rows = []
    # a loss that few epochs have come to is not that of a trial which had all of them
    for one in sorted(trials, key=lambda one: (one.state != "finished", one.loss, one.number)):
        figures = [metric_text(name.removeprefix("val_"), one.at_best(name)) for name in names]
        epoch = f"{one.best_epoch} of {one.epochs}" if one.losses else NOTHING
        rows.append([f"{one.number}: {option_text(one.options)}", metric_text("loss", one.loss),
                     *figures, epoch, seconds_text(one.seconds), _STATES[one.state]])  # fmt: skip
    measured = [name.removeprefix("val_").replace("_", " ") for name in names]
    return ["trial", "validation loss", *measured, "epoch", "seconds", ""], rows


def verdict(outcome: Outcome) -> str:
    """What the search is good for, in one sentence."""
    best, plain = outcome.best, outcome.defaults
    found = f"the best validation loss is {metric_text('loss', best.loss)}, in trial {best.number}"
    if plain is None or not plain.losses:
        return found
    if best.loss < plain.loss:
        return f"{found}; {metric_text('loss', plain.loss)} without the search"
    return f"{found}, which has the options as they are without the search: nothing was better"


def mattered(outcome: Outcome) -> str:
    """Which options matter most, in one sentence; empty where it cannot be told."""
    shares = list(outcome.importances.items())[:3]
    named = ", ".join(f"{name.replace('_', '-')} ({share:.0%})" for name, share in shares)
    return named and f"what makes a trial one of the best: {named}"


def render_search(outcome: Outcome, task: str) -> str:
    """The page of a search, which needs no network and no script.

    Parameters
    ----------
    task
        Such as ``classify``.
    """
    states = [trial.state for trial in outcome.trials]
    done = states.count("finished")
    return render(
        Page(
            kicker="sunhwan tune",
            title=f"{task}: {len(states)} trials",
            result=f"{verdict(outcome)[0].upper()}{verdict(outcome)[1:]}.",
            note="The best of many figures is better than it will be on new data. The test part, "
            "which had no part in the search, judges the options: train with them.",
            sections=[
                Section("Train with the best options", [Code(outcome.command)]),
                Section(
                    "The search",
                    [
                        f"{done} trials were finished, {states.count('pruned')} given up because "
                        "they were weaker than others after as many epochs, and "
                        f"{states.count('diverged')} diverged. {outcome.why.capitalize()}.",
                        _key(),
                        Figure(_course(outcome.trials), "The line is the best so far."),
                        *_share_figure(outcome.importances),
                    ],
                ),
                Section("The options", _option_blocks(outcome)),
                Section("All trials", [_trial_table(outcome)]),
                *_dropped(outcome),
            ],
        )
    )


def _key() -> Key:
    return Key(
        [
            ("finished", canvas.css(canvas.ACCENT), False),
            ("given up", canvas.css(canvas.MUTED), False),
            ("best", canvas.css(canvas.REFERENCE), False),
        ]
    )


def _trial_table(outcome: Outcome) -> Table:
    """All trials, with a column for each option."""
    head, rows = table(outcome.trials)
    by_number = {str(trial.number): trial for trial in outcome.trials}
    wide = []
    for first, *rest in rows:
        number = first.partition(":")[0]
        options = by_number[number].options
        wide.append([number, *rest, *(value_text(options[name]) for name in outcome.space)])
    names = [name.replace("_", "-") for name in outcome.space]
    return Table([*head, *names], wide, marked=frozenset([0]))


def _dropped(outcome: Outcome) -> list[Section]:
    """The rows that were dropped, the first of many named."""
    rows, named = outcome.rejected, outcome.rejected[:_NAMED]
    if not rows:
        return []
    caption = f"{len(rows):,} in all." if len(rows) <= _NAMED else f"The first of {len(rows):,}."
    shown = Table(["row", "why"], [[one.place, one.reason] for one in named], caption, words=2)
    return [Section("Rows that were dropped", [shown])]


def _course(trials: Sequence[Trial]) -> str:
    """The loss of each trial, in the order of the trials."""
    title = "Validation loss of each trial"
    with canvas.style():
        figure, axes = canvas.axes(4.4, 2.9, title)
        _dots(axes, trials, [trial.number for trial in trials])
        losses = [one.loss if one.state == "finished" else np.inf for one in trials]
        best = np.minimum.accumulate(losses)
        known = np.isfinite(best)
        numbers = np.arange(1, len(best) + 1)
        axes.step(numbers[known], best[known], where="post", color=canvas.REFERENCE, linewidth=1.3)
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return canvas.svg(figure, title)


def _share_figure(importances: dict[str, float]) -> list[Block]:
    if not importances:
        return ["Which options matter cannot be told from so few trials."]
    title = "What makes a trial one of the best"
    with canvas.style():
        figure, axes = canvas.axes(4.4, 0.95 + 0.32 * len(importances), title)
        shares = [100 * share for share in importances.values()]
        axes.barh(range(len(shares)), shares, height=0.62, color=canvas.ACCENT, alpha=0.8)
        canvas.name_rows(figure, axes, [name.replace("_", "-") for name in importances])
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("%")
        drawn = canvas.svg(figure, title)
    caption = (
        "The share of each option in what tells the best 30 % of the trials from the others, by "
        "PED-ANOVA (Watanabe et al. 2023). With few trials it is rough."
    )
    return [Figure(drawn, caption)]


def _option_blocks(outcome: Outcome) -> list[Block]:
    """Loss against each option, or against those that matter most."""
    names = list(outcome.importances or outcome.space)[:_DRAWN]
    blocks: list[Block] = [
        "Each dot is a trial: its validation loss against the value of one option. Triangles at "
        "the upper edge stand for larger losses."
    ]
    for name in names:
        title = name.replace("_", "-")
        with canvas.style():
            figure, axes = canvas.axes(4.4, 2.6, title)
            _against(axes, outcome, name)
            blocks.append(Figure(canvas.svg(figure, f"Validation loss against {title}")))
    return blocks


def _against(axes: Axes, outcome: Outcome, name: str) -> None:
    """Dots over the values of an option."""
    searched = outcome.space[name]
    values = [one.options[name] for one in outcome.trials]
    if isinstance(searched, Choice):
        places = [float(searched.values.index(value)) for value in values]
        axes.set_xticks(range(searched.size), [value_text(value) for value in searched.values])
        axes.set_xlim(-0.5, searched.size - 0.5)
    else:
        places = [float(value) for value in values]
        if searched.log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(lambda value, place: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
    _dots(axes, outcome.trials, places)


def _dots(axes: Axes, trials: Sequence[Trial], places: Sequence[float]) -> None:
    """A dot a trial; losses far above the others are put at the upper edge."""
    known = sorted(one.loss for one in trials if one.losses)
    middle = known[len(known) // 2]
    top = known[0] + _REACH * (middle - known[0]) if middle > known[0] else known[-1]
    best = min((one for one in trials if one.state == "finished"), key=lambda one: one.loss)
    for place, one in zip(places, trials, strict=True):
        if one.losses:
            drawn = canvas.ACCENT if one.state == "finished" else canvas.MUTED
            drawn = canvas.REFERENCE if one is best else drawn
            alpha, edge = (0.85, "o") if one.loss <= top else (0.5, "^")
            axes.plot(place, min(one.loss, top), edge, color=drawn, markersize=5, alpha=alpha,
                      markeredgewidth=0)  # fmt: skip
    if known[-1] > top:
        axes.set_ylim(top=top + 0.05 * (top - known[0]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(lambda value, place: number_text(value))
