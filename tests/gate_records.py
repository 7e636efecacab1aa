"""Gate records that forward leaves in the engine for its way back (csrc/records.h)."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from sunhwan.engine import native


def is_kept(pull: Any) -> bool:
    """Return True if the engine has the record that a ``pull`` of `jax.vjp` would take.

    It is known by its token. What all records hold together tells nothing about one: programs that
    an earlier test never waited for, and other threads, leave and take theirs meanwhile.
    """
    [record] = [leaf for leaf in jax.tree.leaves(pull) if leaf.dtype == np.uint32]
    return bool(native.module().has_record(int(record[0, 0])))
