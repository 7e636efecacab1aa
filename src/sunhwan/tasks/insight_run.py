"""Look into the network of a run, and write down what was found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sunhwan.runs.files import write_text
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import run_records
from sunhwan.tasks.insight_material import material_of

Say = Callable[[str], None]


def look(
    path: Path | str,
    data: Sequence[Path | str] = (),
    *,
    lang: str = "en",
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Write ``insight.html`` of a run, and what it shows into its report.

    Parameters
    ----------
    data
        What to look at the network with; without it, the part of the run's data that it was judged
        by.
    lang
        Of the page, ``en`` or ``ko``.
    say
        Told what is looked at next.

    Returns
    -------
    dict
        As of `sunhwan.insight.findings`, with ``rows`` that were looked at of ``count``.

    Raises
    ------
    UsageError
        The network cannot be looked into, or the data has changed.
    DataError
        The run or the data is damaged.
    """
    from sunhwan.insight.drawing import draw
    from sunhwan.insight.findings import findings
    from sunhwan.runs.insight_page import render_insight

    run = RunFolder.open(path)
    given = material_of(path, data, say)
    found = findings(
        given.model,
        given.inputs,
        untrained=given.untrained,
        tokens=given.tokens,
        between=given.between,
        predicted=given.predicted,
        wanted=given.wanted,
        asked=given.asked,
        written=given.written,
        after=given.after,
        signals=given.signals,
        say=say,
    )
    found |= {"rows": given.rows, "count": given.count}
    drawing = draw(given.model, language=lang).svg
    page = render_insight(found, name=run.path.resolve().name, drawing=drawing, lang=lang)
    write_text(run.place("insight.html"), page)
    if run.has("results.json"):
        run.write("results.json", {**run.read("results.json"), "insight": found})
        run_records.report(run, run_records.data_of(run)[1])
    return found
