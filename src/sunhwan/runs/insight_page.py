"""``insight.html``: the page of `sunhwan insight`, from plain values and a drawing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sunhwan.runs.page import Figure, Page, Section, render
from sunhwan.runs.results_insight import sections, verdicts
from sunhwan.runs.results_values import shown
from sunhwan.runs.wording import Words


def render_insight(
    found: Mapping[str, Any], *, name: str, drawing: str = "", lang: str = "en"
) -> str:
    """What was found out about a network as one HTML page that needs no network and no script.

    Parameters
    ----------
    found
        As of `sunhwan.insight.findings`; with ``rows`` and ``count`` it says how many were used.
    name
        Of what is looked into.
    drawing
        The network unrolled, as an ``<svg>`` of our own; put into the page as it is.
    lang
        ``en`` or ``ko``.

    Raises
    ------
    UsageError
        There are no texts in that language.

    Examples
    --------
    >>> "<h1>reviews</h1>" in render_insight({}, name="reviews")
    True
    """
    words, known = Words(lang), shown(found)
    parts = sections(known, words)
    if drawing:
        figure = Figure(drawing, full=True)
        title = words("section.insight_drawing")
        parts.insert(0, Section(title, [words("insight.drawing.read"), figure]))
    page = Page(
        kicker=words("insight.kicker"),
        title=name,
        result=" ".join([*verdicts(known, words), *_rows(known, words)]),
        sections=parts,
        language=lang,
        styles=("page.css", "passages.css"),
    )
    return render(page)


def _rows(found: Mapping[str, Any], words: Words) -> list[str]:
    rows, count = found.get("rows"), found.get("count")
    if not isinstance(rows, int) or not isinstance(count, int):
        return []
    key = "rows_all" if rows == count else "rows"
    return [words(f"insight.{key}", rows=f"{rows:,}", count=f"{count:,}")]
