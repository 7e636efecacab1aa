"""Bugs that other recurrent layers had, by the number of `reliability.md`: B27 to B49."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import cases
import isa_table
import layer_pairs
import subprocesses
import sunhwan
from layer_pairs import NAMES, array, assert_same, pair, wrapped
from sunhwan.engine import Cell, native, rnn
from sunhwan.errors import ShapeError
from sunhwan.layers.loop import engine_cell

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
KINDS = pytest.mark.parametrize("label", cases.CELLS)


def _case(label: str, B: int, T: int, D: int, H: int, **options: Any) -> cases.Case:
    name = f"{label}-{B}-{T}-{D}-{H}"
    return cases.Case(name, cases.CELLS[label], B, T, D, H, **options)


def test_b27_both_kinds_of_gru_match_their_own_equation_and_refuse_the_other_bias() -> None:
    """(2, 3H) resets after, (3H,) before; the wrong one is an error, not reshaped."""
    for label, other in (("gru", "gru_before"), ("gru_before", "gru")):
        case = _case(label, 2, 3, 4, 5)
        given = cases.arrays(case)
        (got,) = isa_table.results([(case, given)])
        assert cases.mismatches(case, got, cases.expected(case, given)) == {}
        wrong = cases.arrays(replace(case, cell=cases.CELLS[other])).bias
        with pytest.raises(ShapeError, match="`bias` must have shape"):
            rnn(case.cell, given.x, given.kernel, given.recurrent_kernel, wrong)
    before = sunhwan.layers.GRU(5, reset_after=False)
    after = sunhwan.layers.GRU(5)
    for layer in (before, after):
        layer.build((2, 3, 4))
    with pytest.raises(ValueError, match="shape"):
        before.set_weights(after.get_weights())


def test_b29_no_bias_no_state_batch_of_three() -> None:
    """Scratch memory that held another call's numbers is not read (and see test_isa: poisoned)."""
    for label in ("gru", "gru_before", "lstm"):
        case = _case(label, 3, 4, 5, 7, use_bias=False)
        given = cases.arrays(case)
        for _ in range(2):
            (got,) = isa_table.results([(case, given)])
            assert cases.mismatches(case, got, cases.expected(case, given)) == {}
            filler, full = _case(label, 3, 4, 5, 8), None
            full = replace(cases.arrays(filler), x=np.full((3, 4, 5), np.nan, np.float32))
            isa_table.results([(filler, full)])


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_b35_low_precision_with_and_without_state(name: str, policy: str) -> None:
    """Less than 1e-2 from float32; states come in the policy's dtype."""
    x = array(3, 8, 4)
    exact, _ = pair(name, 5, shape=x.shape, return_sequences=True)
    for stateful in (False, True):
        options = {"stateful": stateful, "return_state": True, "return_sequences": True}
        layer, _ = pair(name, 5, shape=x.shape, dtype=policy, **options)
        parts = [layer(x[:, :4]), layer(x[:, 4:])] if stateful else [layer(x)]
        assert all(s.dtype == policy.removeprefix("mixed_") for part in parts for s in part)
        joined = np.concatenate([np.asarray(p[0]).astype("f") for p in parts], axis=1)
        np.testing.assert_allclose(joined, exact(x), atol=1e-2)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_b36_low_precision_sums_in_float32(policy: str) -> None:
    """1024 ones are 1024, of features and of steps; in bfloat16 sums they would stop at 256.

    Where products are of bfloat16 a state is rounded into them: then an LSTM counts, in its cell.
    """
    options = {"activation": "linear", "use_bias": False, "dtype": policy}
    layer = sunhwan.layers.SimpleRNN(3, **options)
    layer.build((2, 1, 1024))
    layer.set_weights([np.ones((1024, 3)), np.zeros((3, 3))])
    np.testing.assert_array_equal(np.asarray(layer(np.ones((2, 1, 1024)))).astype("f"), 1024)
    if engine_cell(layer).products == "float32":
        counter = sunhwan.layers.SimpleRNN(1, **options)
        weights = [np.ones((1, 1)), np.ones((1, 1))]
    else:
        counter = sunhwan.layers.LSTM(1, recurrent_activation="linear", **options)
        weights = [np.ones((1, 4)), np.zeros((1, 4))]  # all gates are 1
    counter.build((2, 1024, 1))
    counter.set_weights(weights)
    np.testing.assert_array_equal(np.asarray(counter(np.ones((2, 1024, 1)))).astype("f"), 1024)
    with pytest.raises(ShapeError, match="dtype float32 like the rest, received bfloat16"):
        rnn(Cell("simple_rnn"), array(1, 2, 3), jnp.ones((3, 4), jnp.bfloat16), array(4, 4))


@KINDS
def test_b37_layout_of_the_arrays_does_not_matter(label: str) -> None:
    """Transposed, sliced, offset and read-only inputs, weights and cotangents: the same bits."""
    case = _case(label, 3, 4, 5, 7)
    given = cases.arrays(case)
    read_only = given.x.copy()
    read_only.flags.writeable = False
    wide = np.zeros((3, 9, 11), np.float32)
    wide[:, 1::2, 3:8] = given.x
    variants = [
        replace(given, x=read_only),
        replace(given, x=wide[:, 1::2, 3:8], d_outputs=np.asfortranarray(given.d_outputs)),
        replace(
            given,
            x=np.ascontiguousarray(given.x.transpose(2, 1, 0)).T.transpose(0, 1, 2),
            kernel=np.asfortranarray(given.kernel),
            recurrent_kernel=np.ascontiguousarray(given.recurrent_kernel.T).T,
        ),
    ]
    first, *others = isa_table.results([(case, each) for each in (given, *variants)])
    for other in others:
        for name in first:
            np.testing.assert_array_equal(first[name], other[name], err_msg=name)

    def turned(x: Any) -> Any:
        return rnn(case.cell, x.transpose(1, 0, 2), given.kernel, given.recurrent_kernel)[0].T

    def straight(x: Any) -> Any:
        return rnn(case.cell, x, given.kernel, given.recurrent_kernel)[0]

    time_major = jax.jit(turned)(np.ascontiguousarray(given.x.transpose(1, 0, 2)))
    np.testing.assert_array_equal(time_major.T, jax.jit(straight)(given.x))


@KINDS
def test_b38_sizes_that_divide_no_vector_with_the_gradient_of_a_slice(label: str) -> None:
    """B, D and H of 1, 3, 7, 17 and 65; only some outputs have an influence."""
    sizes = (1, 3, 7, 17, 65)
    batch = []
    for n, H in enumerate(sizes):
        case = _case(label, sizes[(n + 2) % 5], 4, sizes[(n + 3) % 5], H, return_state=False)
        given = cases.arrays(case)
        part = np.zeros_like(given.d_outputs)
        part[:, 1:3, : (H + 1) // 2] = given.d_outputs[:, 1:3, : (H + 1) // 2]
        batch.append((case, replace(given, d_outputs=part)))
    for (case, given), got in zip(batch, isa_table.results(batch), strict=True):
        assert cases.mismatches(case, got, cases.expected(case, given)) == {}, case.name


@KINDS
def test_b39_large_sums_of_mixed_signs(label: str) -> None:
    """D = 611 and H = 301 against float64."""
    case = _case(label, 3, 5, 611, 301)
    given = cases.arrays(case)
    (got,) = isa_table.results([(case, given)])
    assert cases.mismatches(case, got, cases.expected(case, given)) == {}


@pytest.mark.parametrize("H", [7, 260])
@KINDS
def test_b40_a_row_does_not_depend_on_its_batch(label: str, H: int) -> None:
    """Bit for bit: a batch of 67 against parts of 1 to 33 rows, outputs and gradients of x."""
    case = _case(label, 67, 3, 5, H, mask="right")
    given = cases.arrays(case)
    cuts = [0, 1, 3, 6, 11, 27, 34, 67]
    batch = [(case, given)]
    for low, high in pairwise(cuts):
        rows = slice(low, high)
        part = replace(
            given,
            x=given.x[rows],
            mask=given.mask[rows],
            d_outputs=given.d_outputs[rows],
            d_states=tuple(d[rows] for d in given.d_states),
        )
        batch.append((replace(case, B=high - low), part))
    whole, *parts = isa_table.results(batch)
    for name in ("outputs", "states[0]", "d_x"):
        joined = np.concatenate([part[name] for part in parts])
        np.testing.assert_array_equal(whole[name], joined, err_msg=name)


@KINDS
def test_b41_the_same_bits_in_ten_runs(label: str) -> None:
    """Also where rows, and where units, are shared among threads (other counts: test_isa)."""
    batch = [(case, cases.arrays(case)) for case in (_case(label, 64, 20, 9, 33),)]
    batch += [(case, cases.arrays(case)) for case in (_case(label, 2, 3, 9, 300),)]
    first = isa_table.results(batch)
    for _ in range(9):
        for a, b in zip(first, isa_table.results(batch), strict=True):
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)


@pytest.mark.parametrize("name", NAMES)
def test_b42_gradients_of_padded_bidirectional_layers_have_no_nan(name: str) -> None:
    """With NaN in the padding, and equal to Keras's with clean padding."""
    x = array(4, 6, 3)
    mask = np.arange(6) < np.array([[6], [3], [0], [1]])
    ours, stock = wrapped(name, x.shape, {"units": 5})
    dirty = np.where(mask[..., None], x, np.float32(np.nan))
    got = layer_pairs.gradients(ours, dirty, mask=mask)
    want = layer_pairs.gradients(stock, np.where(mask[..., None], x, 0), mask=mask)
    assert_same(got, want, rtol=1e-4, atol=1e-5)


def test_b43_padded_and_unpadded_batches_in_alternation() -> None:
    """Same shapes, so only the presence of a mask tells the two programs apart."""
    layer, _ = pair("LSTM", 5, shape=(4, 6, 3), return_sequences=True)
    stock = pair("LSTM", 5, shape=(4, 6, 3), return_sequences=True)[1]
    x = array(4, 6, 3)
    masks = [None, np.arange(6) < np.array([[6], [3], [0], [1]]), np.ones((4, 6), bool)]
    call = jax.jit(lambda x, mask: layer(x, mask=mask))
    for n in range(9):
        mask = masks[n % 3]
        assert_same(call(x, mask), stock(x, mask=mask))
    np.testing.assert_array_equal(call(x, None), call(x, masks[2]))


@pytest.mark.parametrize("name", NAMES)
def test_b44_one_dropout_mask_for_all_steps_and_another_for_each_call(name: str) -> None:
    """With identity weights the mask can be read off the gradient of the input."""
    layer, _ = pair(name, 5, shape=(3, 6, 4), dropout=0.5, seed=4)
    x = array(3, 6, 4)

    def dropped(training: bool) -> Any:
        d_x = jax.grad(lambda x: layer(x, training=training).sum())(jnp.asarray(x))
        return np.asarray(d_x) == 0

    first, second, inference = dropped(True), dropped(True), dropped(False)
    assert (first == first[:, :1]).all()
    assert 0 < first.mean() < 1
    assert (first != second).any()
    assert not inference.any()


def test_b45_recurrent_dropout_learns_a_toy_task_the_same_way_twice() -> None:
    """The sign of the first number of a sequence."""
    x = array(96, 6, 2)
    y = (x[:, 0, :1] > 0).astype("f")
    finished = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        layers = [sunhwan.layers.LSTM(8, dropout=0.1, recurrent_dropout=0.5)]
        model = keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])
        model.compile(keras.optimizers.Adam(0.02), "binary_crossentropy")
        fit = model.fit(x, y, epochs=40, batch_size=32, verbose=0)
        finished.append((fit.history["loss"], model.get_weights()))
    assert finished[0][0] == finished[1][0]
    assert finished[0][0][-1] < 0.35 < 0.6 < finished[0][0][0]
    for a, b in zip(finished[0][1], finished[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_b46_wrong_ranks_sizes_and_dtypes_are_errors_before_a_byte_is_read() -> None:
    """Hundreds of calls straight into the compiled handlers, each with one thing wrong."""
    text = subprocesses.printed("import ffi_fuzz; ffi_fuzz.main(stride=7)")
    refused, accepted = map(int, text.split())
    assert refused > 120
    assert accepted < refused / 3


_NO_DEADLOCK = """
import os, sys
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])
from concurrent.futures import ThreadPoolExecutor
import jax, numpy as np, keras, sunhwan
from layer_pairs import array, pair, wrapped
from sunhwan.engine import Cell, rnn

cell = Cell("lstm")
x, k, u = array(32, 20, 9), array(9, 4 * 48, scale=0.3), array(48, 4 * 48, scale=0.1)

@jax.jit
def independent(x):
    return [rnn(cell, x * s, k, u, go_backwards=s > 2)[0].sum(axis=(1, 2)) for s in (1, 2, 3, 4, 5)]

large = array(2, 4, 9), array(9, 3 * 520, scale=0.1), array(520, 3 * 520, scale=0.02)
by_units = jax.jit(jax.grad(lambda x: rnn(Cell("gru"), x, *large[1:])[1][0].sum()))
both, _ = wrapped("LSTM", (4, 6, 3), {"units": 5})
model = lambda n: both(array(4, 6, 3, seed=n % 2))
jobs = [lambda n: independent(x), lambda n: by_units(large[0]), model]
want = [[jax.tree.map(np.asarray, job(n)) for n in range(2)] for job in jobs]

def work(n):
    kind = n % len(jobs)
    got = jax.tree.map(np.asarray, jobs[kind](n))
    jax.tree.map(np.testing.assert_array_equal, got, want[kind][n % 2])

with ThreadPoolExecutor(12) as pool:
    list(pool.map(work, range(180)))
print("good")
"""


@pytest.mark.parametrize("cores", ["1", "3"])
def test_b47_many_calls_at_once_neither_block_nor_disturb_each_other(cores: str) -> None:
    """Twelve Python threads, graphs with independent recurrences, on one core and on three."""
    assert subprocesses.printed(_NO_DEADLOCK, cores) == "good"


def test_b48_transformations_give_the_plain_result() -> None:
    """In test_transforms.py and test_sharding.py; here: vmap of jit of scan of grad."""
    case = _case("gru", 3, 4, 5, 7)
    given = cases.arrays(case)
    weights = (given.kernel, given.recurrent_kernel, given.bias)

    def loss(x: Any) -> Any:
        return (rnn(case.cell, x, *weights)[0] * given.d_outputs).sum()

    def step(x: Any, _: Any) -> Any:
        return x - 0.1 * jax.grad(loss)(x), None

    def many(x: Any) -> Any:
        return jax.lax.scan(step, x, length=3)[0]

    xs = jnp.stack([given.x, -given.x])
    got = jax.vmap(jax.jit(many))(xs)
    for each, x in zip(got, xs, strict=True):
        for _ in range(3):
            x = x - 0.1 * jax.grad(loss)(x)
        np.testing.assert_allclose(each, x, rtol=1e-5, atol=1e-6)


def test_b49_weights_of_layers_trained_by_keras_really_change() -> None:
    """Inside one compiled step that holds several updates (inside scan: test_transforms)."""
    model = keras.Sequential([sunhwan.layers.GRU(4), keras.layers.Dense(1)])
    model.build((None, 5, 3))
    before = model.get_weights()
    model.compile("sgd", "mse", steps_per_execution=4)
    model.fit(array(32, 5, 3), array(32, 1), batch_size=8, verbose=0)
    assert all(np.abs(a - b).max() > 1e-5 for a, b in zip(before, model.get_weights(), strict=True))
