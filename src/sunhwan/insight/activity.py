"""What gates and states do: their values at each step, how often they are shut, what they follow.

References
----------
Karpathy, Johnson & Fei-Fei, "Visualizing and understanding recurrent networks", ICLR 2016 workshop:
gates that are left- or right-saturated (section 4.2), cells that follow something (section 4.1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike, NDArray

from sunhwan.errors import ShapeError
from sunhwan.insight.parts import Part, call, chosen, parts_of

Floats = NDArray[np.float32]
#: a gate below is shut, above 1 minus it open; a state beyond 1 minus it is at its limit
NEAR = 0.1
#: gates between 0 and 1; candidates such as ``c`` of an LSTM are not
_GATES = {"LSTM": ("i", "f", "o"), "GRU": ("z", "r"), "SimpleRNN": ()}
_BOUNDED = ("sigmoid", "hard_sigmoid")


@dataclass(frozen=True)
class Saturation:
    """Shares of all values of a gate, over steps and units.

    Attributes
    ----------
    shut, open
        Below 0.1, and above 0.9.
    mean
        Of all values.
    """

    shut: float
    open: float
    mean: float


@dataclass(frozen=True, eq=False)
class Activity:
    """What one recurrent part did with a batch.

    Attributes
    ----------
    name, kind, units
        Of the `sunhwan.insight.parts.Part`.
    gates
        By name, ``float32[B, T, H]`` each, in the order of the input: ``i f c o`` of an LSTM and
        ``z r h`` of a GRU, where ``c`` and ``h`` are candidates; nothing of a SimpleRNN.
    states
        ``h``, of an LSTM ``c`` too: ``float32[B, T, H]`` behind each step.
    live
        ``bool[B, T]``: False where a step is masked.
    bounded
        Whether its gates are between 0 and 1.
    """

    name: str
    kind: str
    units: int
    gates: dict[str, Floats]
    states: dict[str, Floats]
    live: NDArray[np.bool_]
    bounded: bool = True

    @property
    def saturation(self) -> dict[str, Saturation]:
        """How often each gate is shut or open; empty where gates are not between 0 and 1."""
        found = {}
        for name in _GATES[self.kind] if self.bounded else ():
            values = self.gates[name][self.live]
            shares = ((values < NEAR).mean(), (values > 1 - NEAR).mean(), values.mean())
            found[name] = Saturation(*(float(share) for share in shares))
        return found


def activity(model: Any, x: Any, *, layers: Sequence[str] | None = None) -> list[Activity]:
    """Gates and states of each recurrent part of a model, for a batch.

    Parameters
    ----------
    model
        A built Keras model with layers of `sunhwan.layers`.
    x
        Its input for a batch: an array, or a list of them.
    layers
        Names of the parts that are looked at; all, if it is left out.

    Raises
    ------
    UsageError
        The model cannot be watched, or has no part of that name.

    Examples
    --------
    >>> import keras
    >>> from sunhwan.layers import GRU
    >>> model = keras.Sequential([keras.Input((5, 2)), GRU(3, name="memory")])
    >>> [seen] = activity(model, np.ones((4, 5, 2), "float32"))
    >>> seen.name, list(seen.gates), seen.states["h"].shape, list(seen.saturation)
    ('memory', ['z', 'r', 'h'], (4, 5, 3), ['z', 'r'])
    """
    parts = chosen(parts_of(model), layers)

    def kept(inputs: Any) -> list[Any]:
        called = call(model, inputs)
        keys = [id(part.layer) for part in parts]
        return [(called.traces[k].states, called.traces[k].gates, called.live[k]) for k in keys]

    found = jax.device_get(jax.jit(kept)(jax.tree.map(jnp.asarray, x)))
    return [_activity(part, *one) for part, one in zip(parts, found, strict=True)]


def _activity(part: Part, states: tuple[Floats, ...], gates: dict[str, Floats], live: Any) -> Any:
    return Activity(
        part.name,
        part.kind,
        part.units,
        {name: gates[name] for name in part.cell.gates} if part.kind != "SimpleRNN" else {},
        dict(zip(("h", "c"), states, strict=False)),
        live,
        bounded=part.cell.recurrent_activation in _BOUNDED,
    )


@dataclass(frozen=True)
class Follower:
    """A unit whose state goes with something.

    Attributes
    ----------
    layer, state, unit
        Which number: a part's name, ``h`` or ``c``, and the unit counted from 0.
    signal
        The name of what it goes with.
    correlation
        Pearson's, over all live steps of the batch.
    """

    layer: str
    state: str
    unit: int
    signal: str
    correlation: float


def followers(seen: Activity, signals: Mapping[str, ArrayLike], *, most: int = 1) -> list[Follower]:
    """For each signal the units whose state goes with it most, by the size of the correlation.

    The state is the cell ``c`` of an LSTM, where it has one, else ``h``. A correlation says that a
    unit goes with something on these rows, not that the network uses it for that.

    Parameters
    ----------
    signals
        By name, ``float[B, T]``, such as those of `signals_of`. One that is always the same is
        left out.
    most
        Units for each signal.

    Raises
    ------
    ShapeError
        A signal is not ``[B, T]``.

    Examples
    --------
    >>> h = np.zeros((1, 4, 2), "float32")
    >>> h[0, :, 1] = [0.1, 0.2, 0.3, 0.4]
    >>> seen = Activity("memory", "GRU", 2, {}, {"h": h}, np.ones((1, 4), bool))
    >>> [one] = followers(seen, {"position": [[0, 1, 2, 3]]})
    >>> one.unit, round(one.correlation, 4)
    (1, 1.0)
    """
    name = "c" if "c" in seen.states else "h"
    values = seen.states[name][seen.live].astype(np.float64)
    values = values - values.mean(axis=0)
    spread = np.sqrt((values**2).sum(axis=0))
    found = []
    for signal, given in signals.items():
        wanted = np.asarray(given, np.float64)
        if wanted.shape != seen.live.shape:
            raise ShapeError(
                f"signal {signal!r} must have shape (B, T) = {seen.live.shape}, "
                f"received {wanted.shape}"
            )
        wanted = wanted[seen.live] - wanted[seen.live].mean()
        size = np.sqrt((wanted**2).sum())
        if not size:
            continue
        # a unit that never moves goes with nothing
        together = (wanted @ values) / np.where(spread > 0, spread, np.inf) / size
        units = np.argsort(-np.abs(together), kind="stable")[:most]
        found += [Follower(seen.name, name, int(u), signal, float(together[u])) for u in units]
    return found


def signals_of(live: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """What any sequence has that a unit may follow, ``float64[B, T]`` each.

    Returns
    -------
    dict
        ``position``: live steps before this one; ``steps left`` behind it; ``length`` of the row.

    Examples
    --------
    >>> found = signals_of(np.array([[True, True, True, False]]))
    >>> [found[name][0].tolist() for name in found]
    [[0.0, 1.0, 2.0, 3.0], [2.0, 1.0, 0.0, 0.0], [3.0, 3.0, 3.0, 3.0]]
    """
    counted = np.cumsum(live, axis=1).astype(np.float64)
    length = counted[:, -1:]
    before = counted - live
    left = np.maximum(length - 1 - before, 0) * live
    return {"position": before, "steps left": left, "length": np.broadcast_to(length, live.shape)}
