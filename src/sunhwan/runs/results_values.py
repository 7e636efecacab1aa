"""What of ``results.json`` can be shown: figures that are null or not finite count as absent."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: control characters, which neither HTML nor SVG may hold; tab and line ends stay
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")


def shown(value: Any) -> Any:
    """The same structure without entries that are null, and with texts that a page may hold.

    In an object an absent figure has no key; in a list it is None, so that places stay.

    Examples
    --------
    >>> shown({"mae": None, "rmse": float("inf"), "loss": [0.5, float("nan")], "title": "a\\x00"})
    {'loss': [0.5, None], 'title': 'a\ufffd'}
    """
    if isinstance(value, dict):
        entries = ((shown(key), shown(item)) for key, item in value.items())
        return {key: item for key, item in entries if item is not None}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):
        # half of a surrogate pair cannot be written to a file
        return _CONTROL.sub("\ufffd", value.encode("utf-8", "replace").decode("utf-8"))
    return value


def records(results: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list; none where the list is absent.

    Examples
    --------
    >>> records({"errors": [{"place": "a.csv, line 2"}, None]}, "errors"), records({}, "errors")
    ([{'place': 'a.csv, line 2'}], [])
    """
    return [record for record in results.get(key, []) if record is not None]


def floats(values: Iterable[Any]) -> NDArray[np.float64]:
    """``float64[N]`` with NaN where a figure is absent.

    Examples
    --------
    >>> floats([1, None]).tolist()
    [1.0, nan]
    """
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)
