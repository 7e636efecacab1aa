"""Networks of known manners for the tests of reading, sampling and beam search."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np


class Chain:
    """A Markov chain of seven ids: what comes next rests on the last id alone, by a table."""

    size = 7
    #: float64[V, V]: row a holds the probabilities of what follows id a
    table = np.random.default_rng(11).dirichlet(np.full(7, 0.7), 7)

    def start(self, rows):
        return ()

    def step(self, state, ids):
        return state, jnp.asarray(np.log(self.table), jnp.float32)[ids]


class Recurrent:
    """A GRU layer with random weights; its logits are its outputs, so that no row is rounded by
    how many there are. The state also holds what a step never changes.
    """

    def __init__(self, size):
        self.size = size

    def start(self, rows):
        _layer(self.size)  # drawn here, for nothing that JAX traces may outlive the trace
        # the logits lean on the source, as those of a translation do
        return {"h": jnp.zeros((rows, self.size)), "source": jnp.zeros((rows, self.size))}

    def step(self, state, ids):
        layer, table = _layer(self.size)
        outputs, after = layer(table[ids][:, None], initial_state=[state["h"]])
        return {"h": after, "source": state["source"]}, 4 * outputs + state["source"]


@functools.cache
def _layer(size):
    import keras

    from sunhwan.layers import GRU

    keras.utils.set_random_seed(31)
    layer = GRU(size, return_state=True, recurrent_initializer="random_normal")
    table = jax.random.normal(jax.random.key(8), (size, 5))
    layer(table[:1][:, None])
    return layer, 2 * table
