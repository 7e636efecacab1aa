"""A batch spread over four devices: the same numbers, and no device ever sees the whole batch."""

from __future__ import annotations

import pytest

import subprocesses
from sunhwan.engine import native

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
_FOUR = "--xla_force_host_platform_device_count=4"

_SHARDED = """
import re
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from layer_pairs import array
from sunhwan.engine import Cell, Lookup, embedding_lookup, rnn

mesh = Mesh(np.array(jax.devices()), ("batch",))
rows, whole = NamedSharding(mesh, P("batch")), NamedSharding(mesh, P())
B, T, D, H, V = 8, 6, 5, 7, 11
ids = np.random.default_rng(0).integers(0, V, (B, T))
live = np.random.default_rng(1).random((B, T)) < 0.7

def compare(got, want):
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-5 * np.abs(b).max())

for cell, look_up in (
    (Cell("simple_rnn"), embedding_lookup), (Cell("lstm"), embedding_lookup),
    (Cell("gru"), embedding_lookup), (Cell("gru"), Lookup), (Cell("lstm"), Lookup),
):
    columns = len(cell.gates) * H
    weights = {
        "table": array(V, D, seed=1), "kernel": array(D, columns, seed=2, scale=0.4),
        "recurrent_kernel": array(H, columns, seed=3, scale=0.4),
        "bias": array(*cell.bias_shape(H), seed=4, scale=0.4),
    }
    start = tuple(array(B, H, seed=5 + n) for n in range(cell.states))

    def loss(weights, ids, live, start):
        x = look_up(weights["table"], ids)
        rest = {k: v for k, v in weights.items() if k != "table"}
        outputs, states = rnn(
            cell, x, **rest, mask=live, initial_state=start,
            return_state_sequences=cell.kind == "lstm",
        )
        return (jnp.sin(outputs) ** 2).sum() + sum((s ** 3).sum() for s in states), outputs

    step = jax.value_and_grad(loss, has_aux=True)
    want = jax.jit(step)(weights, ids, live, start)
    spread = jax.tree.map(lambda a: jax.device_put(a, rows), (ids, live, start))
    shared = jax.tree.map(lambda a: jax.device_put(a, whole), weights)
    compiled = jax.jit(step)
    compare(compiled(shared, *spread), want)
    assert compiled(shared, *spread)[0][1].sharding.is_equivalent_to(rows, 3)
    text = compiled.lower(shared, *spread).compile().as_text()
    assert "all-reduce" in text
    for word in ("all-gather", "all-to-all", "collective-permute"):
        assert word not in text, word

    for check in (True, False):
        def local(weights, ids, live, start):
            return jax.lax.psum(loss(weights, ids, live, start)[0], "batch")

        total = jax.jit(jax.shard_map(
            local, mesh=mesh, in_specs=(P(), P("batch"), P("batch"), P("batch")), out_specs=P(),
            check_vma=check,
        ))
        compare(total(shared, *spread), want[0][0])
        if check:  # without it JAX cannot know that the gradients of shared weights are summed
            compare(jax.jit(jax.grad(total))(shared, *spread), want[1])
print("good", len(jax.devices()))
"""


def test_a_sharded_batch_gives_the_same_and_is_never_gathered() -> None:
    assert subprocesses.printed(_SHARDED, XLA_FLAGS=_FOUR) == "good 4"


_DATA_PARALLEL = """
import sys
import keras, numpy as np, sunhwan
from layer_pairs import array, randomize

keras.utils.set_random_seed(1)
if sys.argv[1] == "4":
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))
L = sunhwan.layers
model = keras.Sequential([
    L.Embedding(11, 4, mask_zero=True), L.Bidirectional(L.GRU(5, return_sequences=True)), L.LSTM(3)
])
model.build((None, 6))
randomize(model)
model.compile("sgd", "mse")
x = np.random.default_rng(0).integers(0, 11, (32, 6))
fit = model.fit(x, array(32, 3), batch_size=8, epochs=2, shuffle=False, verbose=0)
np.savez(sys.argv[2], *fit.history["loss"], *model.get_weights(), model.predict(x, verbose=0))
"""


def test_data_parallel_fit_equals_one_device(tmp_path) -> None:
    import numpy as np

    for count in ("1", "4"):
        flags = _FOUR if count == "4" else None
        subprocesses.printed(_DATA_PARALLEL, count, str(tmp_path / count), XLA_FLAGS=flags)
    one, four = np.load(tmp_path / "1.npz"), np.load(tmp_path / "4.npz")
    assert len(one.files) == len(four.files) > 10
    for name in one.files:
        np.testing.assert_allclose(four[name], one[name], rtol=1e-4, atol=2e-5)
