"""The chain of the engine, one step at a time: bits, masks, states, and what it refuses."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from cases import CELLS, EPS32
from sunhwan.engine import ACTIVATIONS, Cell, native, rnn
from sunhwan.engine.chain import Chain
from sunhwan.engine.stream import Stream
from sunhwan.errors import ShapeError, UsageError

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
_RNG = np.random.default_rng(5)
#: more cells than the four: every gate function in each of its places
_MORE = {
    "linear": Cell("simple_rnn", "linear"),
    "relu": Cell("lstm", "relu", "hard_sigmoid"),
    "hard": Cell("gru", "hard_sigmoid", "tanh", reset_after=False),
    "odd": Cell("gru", "sigmoid", "relu"),
}


def normal(*shape: int) -> NDArray[np.float32]:
    return _RNG.standard_normal(shape, "float32")


def weights(cell: Cell, D: int, H: int, use_bias: bool = True) -> tuple[NDArray[np.float32], ...]:
    """Kernel, recurrent kernel and bias; of a size that no gate drowns in."""
    columns = len(cell.gates) * H
    bias = (normal(*cell.bias_shape(H)),) if use_bias else ()
    return normal(D, columns) / 4, normal(H, columns) / (2 * np.sqrt(np.float32(H))), *bias


def stream_of(*layers: tuple[Cell, tuple[NDArray[np.float32], ...]], batch_size: int = 1) -> Stream:
    chain = Chain(batch_size, layers[0][1][0].shape[0])
    for cell, given in layers:
        chain.recurrent(cell, *given)
    return Stream(chain, ["memory"] * len(layers))


@pytest.mark.parametrize("name", [*CELLS, *_MORE])
@pytest.mark.parametrize(("B", "D", "H", "use_bias"), [(1, 5, 33, True), (3, 2, 7, False)])
def test_steps_have_the_bits_of_a_whole_call(
    name: str, B: int, D: int, H: int, use_bias: bool
) -> None:
    cell = (CELLS | _MORE)[name]
    given, x = weights(cell, D, H, use_bias), normal(B, 6, D)
    outputs, states = rnn(cell, x, *given)
    stream = stream_of((cell, given), batch_size=B)
    np.testing.assert_array_equal(stream.run(x), outputs)
    for got, want in zip(stream.state, states, strict=True):
        np.testing.assert_array_equal(got, want)


def test_layers_on_top_of_each_other_have_them_too() -> None:
    sizes, x = (4, 18, 3, 35), normal(9, 4)
    cells = [Cell("gru"), Cell("simple_rnn"), Cell("lstm")]
    layers = [(c, weights(c, D, H)) for c, (D, H) in zip(cells, pairwise(sizes), strict=True)]
    want = x[None]
    for cell, given in layers:
        want, _ = rnn(cell, want, *given)
    np.testing.assert_array_equal(stream_of(*layers).run(x), want[0])


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("zero_output", [False, True])
def test_a_masked_step_keeps_the_state(name: str, zero_output: bool) -> None:
    cell, B, V, D, H = CELLS[name], 3, 11, 6, 19
    given, table = weights(cell, D, H), normal(V, D)
    ids = _RNG.integers(1, V, (B, 8))
    ids[0, :3] = ids[1, 4:6] = ids[2, 7:] = ids[:, 5] = 0
    table[0] = np.nan  # what is skipped must not be read
    live = np.where(ids[..., None] == 0, 1, table[ids])
    want, states = rnn(cell, live, *given, mask=ids != 0, zero_output_for_mask=zero_output)
    chain = Chain(B, 0)
    chain.lookup(table, True)
    chain.recurrent(cell, *given, zero_output_for_mask=zero_output)
    stream = Stream(chain, ["table", "memory"])
    np.testing.assert_array_equal(stream.run(ids), want)
    np.testing.assert_array_equal(stream.state[-1], states[-1])


def test_masking_skips_rows_of_one_value() -> None:
    cell, x = Cell("lstm"), normal(2, 7, 3)
    given = weights(cell, 3, 5)
    x[0, 2], x[1, 4:6], x[1, 0, :2] = -1, -1, -1
    chain = Chain(2, 3)
    chain.masking(-1.0)
    chain.recurrent(cell, *given)
    want, _ = rnn(cell, x, *given, mask=(x != -1).any(-1))
    np.testing.assert_array_equal(Stream(chain, ["masking", "memory"]).run(x), want)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, "softmax"])
@pytest.mark.parametrize(("B", "K", "H"), [(1, 37, 5), (4, 3, 70)])
def test_dense_is_right_to_its_rounding(activation: str, B: int, K: int, H: int) -> None:
    x, kernel, bias = normal(B, K), normal(K, H), normal(H)
    chain = Chain(B, K)
    chain.dense(kernel, bias, activation)
    exact = x.astype("d") @ kernel + bias
    # no function is steeper than 1, and none is off by more than 3 units in the last place
    bound = (K + 1) * EPS32 * (np.abs(x) @ np.abs(kernel) + np.abs(bias)).max() + 4 * EPS32
    power = np.exp(exact - exact.max(-1, keepdims=True))
    want = {
        "linear": exact,
        "tanh": np.tanh(exact),
        "sigmoid": 1 / (1 + np.exp(-exact)),
        "relu": np.maximum(exact, 0),
        "hard_sigmoid": np.clip(exact + 3, 0, 6) / 6,
        "softmax": power / power.sum(-1, keepdims=True),
    }[activation]
    got = Stream(chain, ["dense"]).step(x)
    np.testing.assert_allclose(got, want, rtol=0, atol=bound)


def test_activations_on_their_own() -> None:
    x = normal(2, 21)
    for n, name in enumerate([*ACTIVATIONS, "softmax"]):
        chain = Chain(2, 21)
        chain.activation(name)
        got = Stream(chain, [name]).step(x)
        want = np.empty(x.size, np.float32)
        if name == "softmax":
            want = np.exp(x) / np.exp(x).sum(-1, keepdims=True)
        else:
            native.module().apply_gate(n, x.reshape(-1), want)
        np.testing.assert_allclose(got, want.reshape(x.shape), rtol=0, atol=4 * EPS32)


def test_affine_and_normalization() -> None:
    x, scale, shift = normal(2, 9), normal(9), normal(9)
    chain = Chain(2, 9)
    chain.affine(scale, shift)
    np.testing.assert_allclose(
        Stream(chain, ["affine"]).step(x), scale * x + shift, rtol=0, atol=1e-6
    )
    chain = Chain(2, 9)
    chain.normalization(scale, shift, 1e-3)
    exact = x.astype("d")
    exact = (exact - exact.mean(-1, keepdims=True)) / np.sqrt(exact.var(-1, keepdims=True) + 1e-3)
    got = Stream(chain, ["normalization"]).step(x)
    np.testing.assert_allclose(got, exact * scale + shift, rtol=0, atol=1e-6)


def test_a_state_can_be_kept_and_set_again() -> None:
    cell, x = Cell("lstm"), normal(10, 4)
    stream = stream_of((cell, weights(cell, 4, 9)), batch_size=1)
    whole = stream.run(x)
    stream.reset()
    assert all((state == 0).all() for state in stream.state)
    first = stream.run(x[:4])
    kept = stream.state
    stream.run(normal(3, 4))
    stream.state = kept
    np.testing.assert_array_equal(np.concatenate([first, stream.run(x[4:])]), whole)
    assert [state.shape for state in kept] == [(1, 9), (1, 9)]
    with pytest.raises(ShapeError, match=r"must have the shapes \[\(1, 9\), \(1, 9\)\], received"):
        stream.state = kept[:1]
    for wrong in (None, 0, ["a", "b"]):
        with pytest.raises(ShapeError, match=r"must have the shapes .*\], received (None|0|\['a')"):
            stream.state = wrong  # type: ignore[assignment]


def test_the_answer_is_memory_of_the_stream_unless_out_is_given() -> None:
    cell, x = Cell("gru"), normal(2, 3)
    given = weights(cell, 3, 5)
    want = stream_of((cell, given)).run(x)
    stream = stream_of((cell, given))
    first = stream.step(x[0])
    np.testing.assert_array_equal(first, want[0])
    own = np.empty((1, 5), np.float32)
    assert stream.step(x[1:], out=own) is own  # as a batch of one
    np.testing.assert_array_equal(own[0], want[1])
    np.testing.assert_array_equal(first, want[1])  # the same memory, overwritten
    before = stream.state
    for wrong in (np.empty(5, "d"), np.empty(4, "f"), [0.0] * 5):
        with pytest.raises(ShapeError, match=r"`out` must be float32 of shape \(5,\)"):
            stream.step(x[0], out=wrong)  # type: ignore[arg-type]
    own.flags.writeable = False
    with pytest.raises(ShapeError, match="can be written, received a read-only array"):
        stream.step(x[1:], out=own)
    np.testing.assert_array_equal(stream.state, before)


def table_stream(batch_size: int = 1) -> Stream:
    chain = Chain(batch_size, 0)
    chain.lookup(np.arange(10, dtype="f").reshape(5, 2), False)
    chain.recurrent(Cell("simple_rnn", "linear"), np.eye(2), np.eye(2))
    return Stream(chain, ["table", "memory"])


def test_ids_of_any_integer_type() -> None:
    for id_ in (3, np.int64(3), np.uint8(3), np.array(3), np.array([3], np.int32)):
        assert table_stream().step(id_).reshape(-1).tolist() == [6.0, 7.0]
    assert table_stream(2).step([0, 4]).tolist() == [[0.0, 1.0], [8.0, 9.0]]
    assert table_stream().run([1, 2]).tolist() == [[2.0, 3.0], [6.0, 8.0]]
    assert table_stream(2).run([[1, 2, 0], [0, 0, 0]])[:, -1].tolist() == [[6.0, 9.0], [0.0, 3.0]]


@pytest.mark.parametrize("wrong", [5, -1, np.int64(-9), np.array([7])])
def test_an_id_outside_the_table_changes_nothing(wrong: int) -> None:
    stream = table_stream()
    stream.step(4)
    before = stream.state
    told = f"embedding id {np.ravel(wrong)[0]} in row 0 of the step is outside the table, whose "
    with pytest.raises(ShapeError, match=told + "ids are 0 to 4"):
        stream.step(wrong)
    np.testing.assert_array_equal(stream.state, before)


def test_inputs_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"`x` must have shape \(1,\) or \(\), received \(2,\)"):
        table_stream().step([1, 2])
    with pytest.raises(ShapeError, match=r"`x` must have shape \(2,\), received \(\)"):
        table_stream(2).step(1)
    for wrong in (1.5, 2**70, "one"):
        with pytest.raises(ShapeError, match="`x` must be integers, received"):
            table_stream().step(wrong)  # type: ignore[arg-type]
    stream = stream_of((Cell("gru"), weights(Cell("gru"), 3, 4)))
    with pytest.raises(ShapeError, match=r"must have shape \(1, 3\) or \(3,\), received \(1,\)"):
        stream.step([1.0])
    with pytest.raises(ShapeError, match="`x` must be numbers, received complex128"):
        stream.step(np.ones(3) * 1j)
    with pytest.raises(ShapeError, match=r"sequences of steps of shape \(1, 3\), received shape"):
        stream.run(np.ones(3))


def test_wrong_weights_are_refused() -> None:
    cell, chain = Cell("gru"), Chain(2, 3)
    kernel, recurrent, bias = weights(cell, 3, 4)
    with pytest.raises(ShapeError, match=r"`kernel` must have shape \(3, 12\), received \(4, 12\)"):
        chain.recurrent(cell, recurrent, recurrent, bias)
    with pytest.raises(ShapeError, match=r"`bias` must have shape \(2, 12\), received \(12,\)"):
        chain.recurrent(cell, kernel, recurrent, bias[0])
    with pytest.raises(UsageError, match=r"`activation` must be one of .* received 'gelu'"):
        chain.dense(kernel, None, "gelu")
    for wrong in (0, -3, 1.0, None):
        with pytest.raises(UsageError, match="`batch_size` must be a whole number of at least 1"):
            Chain(wrong, 3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="needs a layer that does something"):
        Stream(chain, [])


def test_the_module_checks_sizes_itself() -> None:
    """Its class can be reached without ours, so no size may be taken on trust."""
    plain = (None, None, None, None, 0, 0, 0)  # no bias, peepholes, gains, zoneout, epsilon
    bare = (None, None, None)  # no peepholes, no gains
    raw = native.module().Stream(2, 3)
    with pytest.raises(ValueError, match="a stream needs a stage"):
        raw.step()
    with pytest.raises(ValueError, match="a stream needs a stage"):
        raw.output()
    for call in (
        lambda: raw.dense(normal(4, 2), None, 0),
        lambda: raw.dense(normal(3, 2), normal(3), 0),
        lambda: raw.dense(normal(3, 2), None, 9),
        lambda: raw.affine(normal(3), normal(2)),
        lambda: raw.lookup(normal(3, 2), False),
        lambda: raw.recurrent(1, 1, 2, True, False, normal(3, 8), normal(2, 6), *plain),
        lambda: raw.recurrent(3, 1, 2, True, False, normal(3, 8), normal(2, 8), *plain),
        lambda: raw.recurrent(
            2, 1, 2, True, False, normal(3, 6), normal(2, 6), normal(6), *bare, 0, 0, 0
        ),
        lambda: raw.recurrent(
            2, 1, 2, True, False, normal(3, 6), normal(2, 6), None, *bare, 0, 0.1, 0
        ),
        lambda: raw.recurrent(
            1, 1, 2, True, False, normal(3, 8), normal(2, 8), None, *bare, 1, 0, 0
        ),
        lambda: raw.recurrent(
            1,
            1,
            2,
            True,
            False,
            normal(3, 8),
            normal(2, 8),
            None,
            normal(4, 2),
            None,
            None,
            0,
            0,
            0,
        ),
        lambda: native.module().Stream(0, 3),
        lambda: native.module().Stream(1, 0).gate(1),
    ):
        with pytest.raises(ValueError, match=r"must|needs"):
            call()
    raw.gate(1)
    assert raw.output().shape == (2, 3)
    with pytest.raises(RuntimeError, match="the stream has its output already"):
        raw.softmax()
    with pytest.raises(ValueError, match="there is no such state"):
        raw.read_state(0, np.empty(3, "f"))


def test_a_view_keeps_its_memory_alive() -> None:
    stream = table_stream()
    y = stream.step(4)
    del stream
    assert y.tolist() == [8.0, 9.0]


def test_two_threads_cannot_use_the_same_stream() -> None:
    cell, refused = Cell("lstm"), threading.Event()
    stream, x = stream_of((cell, weights(cell, 256, 256))), normal(256)

    def use() -> None:
        while not refused.is_set():
            try:
                stream.step(x)
            except UsageError as error:
                told.append(str(error))
                refused.set()

    told: list[str] = []
    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert told
    assert told[0].startswith("the stream is in use by another thread\nhint: give each thread")
    assert np.isfinite(stream.step(x)).all()


def test_threads_with_streams_of_their_own_do_not_meet() -> None:
    cell, x = Cell("gru"), normal(60, 130)
    given = weights(cell, 130, 140)
    want = stream_of((cell, given)).run(x)
    streams, found = [stream_of((cell, given)) for _ in range(4)], {}

    def run(n: int) -> None:
        found[n] = streams[n].run(x)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for n in range(4):
        np.testing.assert_array_equal(found[n], want)
