"""All that is found out about a network with one batch, as plain values for a page or a file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from sunhwan.errors import UsageError
from sunhwan.insight.activity import Activity, Follower, activity, followers, signals_of
from sunhwan.insight.attribution import COMPLETE, Attribution, integrated_gradients, occlusion
from sunhwan.insight.flow import Flow, gradient_flows
from sunhwan.insight.horizon import memory_horizon
from sunhwan.insight.parts import parts_of, rows_of, weights_of
from sunhwan.insight.timeline import Timeline, timeline_of
from sunhwan.layers.bidirectional import Bidirectional

Signals = Mapping[tuple[str, str], NDArray[np.float64]]
#: rows whose influence is told, and steps of the row whose gates are drawn
EXAMPLES, STEPS = 3, 60
#: points of the line of integrated gradients, at most
_POINTS = 128
#: units of a layer that are drawn, the most active ones, and the least correlation that is told
_UNITS, _TOLD = 32, 0.3
#: what is drawn of each cell, the gates first
_DRAWN = {"LSTM": ("i", "f", "o"), "GRU": ("z", "r"), "SimpleRNN": ()}


def findings(
    model: Any,
    x: Any,
    *,
    untrained: Any = None,
    tokens: Sequence[Sequence[str]] = (),
    between: str = " ",
    predicted: Sequence[str] = (),
    wanted: Sequence[str] = (),
    asked: Sequence[int] | None = None,
    written: Sequence[Sequence[str]] = (),
    after: Sequence[str] = (),
    signals: Signals | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """What the functions of `sunhwan.insight` find in a model, as `sunhwan insight` shows it.

    Parameters
    ----------
    model
        A built Keras model with layers of `sunhwan.layers`.
    x
        Its input for a batch of B rows that it did not learn from.
    untrained
        The same network as training began with, to be compared with.
    tokens
        For each row a text for each of its steps; none for numbers.
    between
        What stands between two of them.
    predicted, wanted
        The answer of each row as a text, and the true one.
    asked
        Of a model that answers at each step: whose answer that is, for each row; what it rests on
        is told. The last, if it is left out.
    written, after
        Of a model that reads what it has written so far along a time axis of its own, as a decoder
        does: for each row a text for each of those steps, and what stands before the answer that is
        asked about.
    signals
        ``float[B, T]`` that units may follow, by a kind, ``label`` or ``input``, and a name.
    say
        Told what is looked at next.

    Returns
    -------
    dict
        Plain values under ``flow``, ``flow_before``, ``horizon``, ``influence``, ``example``,
        ``gates`` and ``units``; what a model has not is left out.

    Raises
    ------
    UsageError
        The model cannot be watched.

    Examples
    --------
    >>> from sunhwan.layers import GRU
    >>> keras.utils.set_random_seed(1)
    >>> model = keras.Sequential([keras.Input((6, 2)), GRU(3, name="memory")])
    >>> found = findings(model, np.ones((4, 6, 2), "float32"))
    >>> list(found), found["gates"][0]["gate"]
    (['flow', 'horizon', 'influence', 'example', 'gates', 'units'], 'z')
    """
    parts_of(model)  # what cannot be looked into is refused before anything is computed
    found: dict[str, Any] = {}
    say("how far the gradient flows back")
    both = [model] if untrained is None else [model, untrained]
    flows = gradient_flows(model, x, weights=[weights_of(one) for one in both])
    for name, some in zip(("flow", "flow_before"), flows, strict=False):
        found[name] = [_flow(one) for one in some]
    say("how far back inputs count")
    if len(keras.tree.flatten(x)[0]) > 1:  # an input is replaced by that of another row
        found["horizon"] = _horizon(model, x)
    say("what gates and states do")
    timeline = timeline_of(model, rows_of(x, slice(None)))
    seen = {one.name: one for one in activity(model, x)}
    live = seen[timeline.first.name].live
    rows = _examples(live)
    heads = _Heads(tokens, between, predicted, wanted, asked, after)
    say("what answers rest on")
    found["influence"] = _influence(model, x, rows, live, heads)
    found["example"] = {**heads.of(rows[0]), "maps": list(_maps(timeline, seen, rows[0], written))}
    found["gates"] = list(_gates(seen.values()))
    found["units"] = [
        _follower(one) for part in seen.values() for one in _follow(part, signals or {})
    ]
    return {name: value for name, value in found.items() if value}


def _flow(one: Flow) -> dict[str, Any]:
    half = one.half_life
    return {
        "name": one.name,
        "kind": one.kind,
        "norms": one.norms.tolist(),
        "rows": one.rows,
        "rate": one.rate,
        "estimate": one.estimate,
        "half_life": half if np.isfinite(half) else None,
        "verdict": one.verdict,
    }


def _horizon(model: Any, x: Any) -> dict[str, Any]:
    one = memory_horizon(model, x)
    return {
        "answers": one.answers,
        "places": np.asarray(one.places).tolist(),
        "changes": np.asarray(one.changes).tolist(),
        "reach": one.reach,
        "threshold": float(one.threshold),
    }


def _examples(live: NDArray[np.bool_]) -> list[int]:
    """Rows to show: the longest that still fit, so that there is something to see."""
    sizes = live.sum(axis=1)
    fitting = np.where(sizes <= STEPS, sizes, -sizes)
    return [int(row) for row in np.argsort(-fitting, kind="stable")[:EXAMPLES]]


class _Heads:
    """What is said above an example, by row."""

    def __init__(
        self,
        tokens: Sequence[Sequence[str]],
        between: str,
        predicted: Sequence[str],
        wanted: Sequence[str],
        asked: Sequence[int] | None,
        after: Sequence[str],
    ) -> None:
        every: list[Sequence[Any]] = [tokens, predicted, wanted, after]
        if len({len(given) for given in every if len(given)}) > 1:
            raise UsageError(
                "`tokens`, `predicted`, `wanted` and `after` must have one entry for each row"
            )
        self._tokens, self._between = tokens, between
        self._predicted, self._wanted, self.asked = predicted, wanted, asked
        self._after = after

    def of(self, row: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if len(self._tokens):
            found |= {"tokens": list(self._tokens[row]), "between": self._between}
        if len(self._predicted):
            found["predicted"] = self._predicted[row]
        if len(self._wanted):
            found["wanted"] = self._wanted[row]
        if self.asked is not None:
            found["asked"] = int(self.asked[row])
        if len(self._after):
            found["after"] = self._after[row]
        return found


def _influence(
    model: Any, x: Any, rows: list[int], live: NDArray[np.bool_], heads: _Heads
) -> list[dict[str, Any]]:
    both = any(isinstance(layer, Bidirectional) for layer in model._flatten_layers())
    steps = None if heads.asked is None else [int(heads.asked[row]) for row in rows]
    given = rows_of(x, rows)
    with warnings.catch_warnings():
        # shares that do not add up are not shown: what is shown instead says so
        warnings.filterwarnings("ignore", "the shares of")
        told = integrated_gradients(model, given, step=steps, directions=both, most_points=_POINTS)
    rough = told.gap > COMPLETE
    alone = occlusion(model, given, step=steps) if rough.any() else told.values
    found = []
    for place, row in enumerate(rows):
        shown = _shares(told, place, live[row])
        if rough[place]:
            gap, values = float(told.gap[place]), alone[place][live[row]].tolist()
            shown = {"by": "occlusion", "gap": gap, "values": values}
        found.append({**heads.of(row), **shown})
    return found


def _shares(told: Attribution, place: int, live: NDArray[np.bool_]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "values": told.values[place][live].tolist(),
        "total": float(told.total[place]),
        "change": float(told.change[place]),
    }
    for name, key in (("forward", "ahead"), ("backward", "back")):
        if name in told.by_direction:
            found[key] = told.by_direction[name][place][live].tolist()
    return found


def _maps(
    timeline: Timeline,
    seen: Mapping[str, Activity],
    row: int,
    written: Sequence[Sequence[str]],
) -> Iterator[dict[str, Any]]:
    for part in timeline.parts:
        found = _map(seen[part.name], row)
        if not timeline.is_alike(part, timeline.first):
            is_told = len(written) > 0 and timeline.is_alike(part, timeline.last)
            found["tokens"] = list(written[row]) if is_told else []
        yield found


def _map(seen: Activity, row: int) -> dict[str, Any]:
    live = seen.live[row]
    units = np.sort(_busiest(seen.states["h"][row][live]))
    tables = {f"gate_{name}": seen.gates[name] for name in _DRAWN[seen.kind]} | seen.states
    panels = [
        {"name": name, "values": np.round(table[row][live][-STEPS:, units], 3).tolist()}
        for name, table in tables.items()
    ]
    return {"layer": seen.name, "units": units.tolist(), "steps": int(live.sum()), "panels": panels}


def _busiest(states: NDArray[Any]) -> NDArray[np.int64]:
    return np.argsort(-states.std(axis=0), kind="stable")[:_UNITS]


def _gates(seen: Iterable[Activity]) -> Iterator[dict[str, Any]]:
    for part in seen:
        for name, one in part.saturation.items():
            shares = {"shut": one.shut, "open": one.open, "mean": one.mean}
            yield {"layer": part.name, "kind": part.kind, "gate": name, **shares}


def _follow(part: Activity, signals: Signals) -> list[Follower]:
    own = {(name.replace(" ", "_"), ""): value for name, value in signals_of(part.live).items()}
    if np.ptp(part.live.sum(axis=1)) == 0:  # then it is the position once more
        del own["steps_left", ""]
    known = {
        "\0".join(key): value
        for key, value in {**own, **signals}.items()
        if value.shape == part.live.shape
    }
    found = followers(part, known)
    return [one for one in found if abs(one.correlation) >= _TOLD]


def _follower(one: Follower) -> dict[str, Any]:
    kind, _, name = one.signal.partition("\0")
    return {
        "layer": one.layer,
        "state": one.state,
        "unit": one.unit,
        "signal": kind,
        "name": name,
        "correlation": one.correlation,
    }
