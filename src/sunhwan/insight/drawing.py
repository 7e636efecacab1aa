"""`sunhwan.draw`: a model unrolled over time, as the textbooks draw it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sunhwan.errors import UsageError
from sunhwan.insight.drawing_graph import Array, read_graph
from sunhwan.insight.drawing_layout import LINE, MARGIN, Layout, lay_out, side_of, symbols_of
from sunhwan.insight.drawing_pen import MUTED, Pen, page_of
from sunhwan.insight.drawing_structure import Picture, Row, picture_of
from sunhwan.insight.drawing_svg import draw_rows
from sunhwan.runs.canvas import cut
from sunhwan.runs.files import write_text
from sunhwan.runs.wording import LANGUAGES, Words

#: steps that may be drawn of each input
FEWEST, MOST = 2, 40
#: letters of a line of a caption
_WIDEST = 28


@dataclass(frozen=True)
class Drawing:
    """A drawing of a model; a notebook shows it as it is.

    Attributes
    ----------
    svg
        An ``<svg>`` element in the colours of the page around it. It is as wide as its column,
        between two thirds of its own width and all of it; what holds it should scroll
        (``overflow-x: auto``) where there may be less.
    structure
        ``one to one``, ``one to many``, ``many to one`` or ``many to many``.
    """

    svg: str
    structure: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the drawing to a file, which is whole or not there at all.

        Raises
        ------
        UsageError
            The name does not end in ``.svg``.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise UsageError(
                f"a drawing is an SVG file, so its name must end in .svg, received {path.name!r}",
                hint=f"`drawing.save({str(path.with_suffix('.svg'))!r})`",
            )
        return write_text(path, self.svg)


def draw(model: Any, *, steps: int | None = None, language: str = "en") -> Drawing:
    """Draw a Keras model unrolled over time: inputs below, outputs above, a cell for each step.

    Beside each row stand the layer's name, class and size, the shape of what it gives, and how many
    parameters it has. States go from step to step: h, of an LSTM also c. Two directions are two
    rows of cells; a layer that gives its last step alone has one arrow up; a decoder stands at the
    right of the encoder whose states it begins with. What is no row of steps is a plain box.

    Parameters
    ----------
    model
        A built `keras.Model` with at least one recurrent layer, ours or Keras's.
    steps
        How many steps are drawn of each input: the first ones, an ellipsis, and the last. Without
        it all where there are at most six, else four, or three where two inputs stand side by side.
    language
        Of the words beside the drawing: ``en`` or ``ko``.

    Returns
    -------
    Drawing
        The same for the same model, to the last byte.

    Raises
    ------
    UsageError
        `model` is no Keras model, is not built, has no recurrent layer, or says in code alone how
        its layers are joined; `steps` or `language` is not among those above.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import LSTM, Embedding
    >>> layers = [Embedding(10_000, 32), LSTM(32), keras.layers.Dense(1)]
    >>> drawing = draw(keras.Sequential([keras.Input((500,), dtype="int32"), *layers]))
    >>> drawing.structure, drawing.svg[:4]
    ('many to one', '<svg')
    """
    if language not in LANGUAGES:
        raise UsageError(f"`language` must be one of {', '.join(LANGUAGES)}, received {language!r}")
    is_whole = isinstance(steps, int) and not isinstance(steps, bool)
    if steps is not None and not (is_whole and FEWEST <= steps <= MOST):
        raise UsageError(
            f"`steps` must be a whole number from {FEWEST} to {MOST}, received {steps!r}",
            hint="leave it out for as many as are easily read",
        )
    picture, words = picture_of(model, read_graph(model)), Words(language)
    captions = _Captions(picture, words)
    lines = {row: list(captions.lines(row)) for row in picture.rows}
    layout = lay_out(picture.rows, lines, steps)
    pen = Pen()
    structure = words(f"drawing.{picture.structure.replace(' ', '_')}")
    total = words("drawing.total", count=f"{picture.total:,}")
    pen.text(MARGIN, 24, structure, size=16, bold=True)
    draw_rows(pen, layout)
    _write_captions(pen, layout, lines)
    foot = " · ".join((total, *captions.letters()))
    pen.text(MARGIN, layout.height - 12, foot, size=11, colour=MUTED)
    title = words("drawing.label", name=model.name, structure=structure, total=total)
    told = "; ".join(", ".join(one) for one in lines.values())
    return Drawing(page_of(pen.elements, layout.width, layout.height, title, told),
                   picture.structure)  # fmt: skip


def _write_captions(pen: Pen, layout: Layout, lines: dict[Row, list[str]]) -> None:
    """Each row's lines at the margin, the name in bold."""
    for row, place in layout.places.items():
        x = layout.caption_x[side_of(layout, place)]
        middle = (place.top + place.bottom) / 2
        y = middle - LINE * (len(lines[row]) - 1) / 2 + 4
        for number, line in enumerate(lines[row]):
            pen.text(x, y + LINE * number, line, colour=MUTED if number else "var(--ink, #1f2328)",
                     bold=number == 0)  # fmt: skip


class _Captions:
    """What stands beside each row."""

    def __init__(self, picture: Picture, words: Words) -> None:
        self._words = words
        self._symbols = symbols_of(picture.rows)
        self._rows = picture.rows

    def lines(self, row: Row) -> Iterator[str]:
        name = cut(self._name(row), _WIDEST)
        one = f"{name} · {row.what}"
        if not row.what:
            yield name
        elif len(one) <= _WIDEST:
            yield one
        else:
            yield from (name, cut(row.what, _WIDEST))
        shape = self._shape(row.arrays[0], with_dtype=row.kind in ("input", "output"))
        if row.kind in ("input", "output") or row.parameters == 0:
            yield shape
        elif row.parameters is None:
            yield f"{shape} · {self._words('drawing.shared')}"
        else:
            yield f"{shape} · {self._words('drawing.parameters', count=f'{row.parameters:,}')}"
        yield from (cut(note, _WIDEST + 6) for note in self._notes(row))

    def _name(self, row: Row) -> str:
        if row.kind not in ("input", "output"):
            return row.name
        word, count = (
            self._words(f"drawing.{row.kind}"),
            sum(r.kind == row.kind for r in self._rows),
        )
        is_named = not row.name.startswith(("keras_tensor", "input_layer"))
        if (row.kind == "output" and count == 1) or not is_named:
            return word
        return f"{word} · {row.name}"

    def _notes(self, row: Row) -> Iterator[str]:
        words, cells = self._words, row.cells
        if row.extra:
            names = ", ".join(f"{one.name} {self._shape(one)}" for one in row.extra)
            yield words("drawing.with", names=names)
        if cells is None:
            return
        if cells.is_stateful:
            yield words("drawing.stateful")
        if cells.directions == (-1,):
            yield words("drawing.backwards")
        if cells.entering:
            yield words("drawing.begins", names=", ".join(cells.entering))
        if cells.bridge is not None and cells.bridge.what:
            yield words("drawing.begins", names=cells.bridge.what)
            yield f"({words('drawing.parameters', count=f'{cells.bridge.parameters:,}')})"

    def _shape(self, array: Array, with_dtype: bool = True) -> str:
        letters = list(self._symbols.values())
        steps = letters[0] if len(letters) == 1 and array.dtype == "bool" else "?"  # of a mask
        if array.clock is not None:
            steps = self._symbols.get(array.clock, "?")
        letters_of = {0: "B", 1: steps}
        sizes = [
            letters_of.get(axis, "?") if size is None else str(size)
            for axis, size in enumerate(array.shape)
        ]
        return f"{array.dtype if with_dtype else ''}[{', '.join(sizes)}]"

    def letters(self) -> Iterator[str]:
        """What the letters of the shapes stand for."""
        if any(row.arrays[0].shape[0] is None for row in self._rows):
            yield self._words("drawing.sequences")
        if self._symbols:
            yield self._words("drawing.steps", letters=", ".join(self._symbols.values()))
