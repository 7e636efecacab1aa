"""A training that is killed or stopped at any moment goes on to the very same bits."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from sunhwan import layers
from sunhwan.data.batches import Batches
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks import checkpoint
from sunhwan.tasks.training import History, train

EPOCHS, BATCH = 4, 8
KILLS = 4


def batches(rows: int, seed: int | None) -> Batches:
    """Rows of mixed lengths; the answer is whether there are more ids above 10 than below."""
    random = np.random.default_rng(rows)
    inputs = [random.integers(1, 20, t, dtype=np.int32) for t in random.integers(2, 24, rows)]
    targets = [int(np.mean(row > 10) > 0.5) for row in inputs]
    return Batches(inputs, targets, batch_size=BATCH, seed=seed, buckets=[9, 24])


def network(units: int = 6) -> keras.Model:
    keras.utils.set_random_seed(3)
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(20, 5, mask_zero=True)(inputs)
    hidden = layers.LSTM(units, dropout=0.2)(keras.layers.Dropout(0.3)(hidden))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(hidden))


def run(state: Path | None, **changed: Any) -> tuple[list[Any], History]:
    """Train; the best weights, all bits of them, and the history."""
    model = changed.pop("model", None) or network()
    arguments: dict[str, Any] = {
        "loss": keras.losses.BinaryCrossentropy(),
        "optimizer": keras.optimizers.Adam(0.01, clipnorm=1.0),
        "metrics": [keras.metrics.BinaryAccuracy("accuracy")],
        "epochs": EPOCHS,
        "schedule": "cosine",
        "state": state,
        "fingerprint": "lengths",
        "save_every": 0.0,
    }
    history = train(model, batches(150, seed=4), batches(30, None), **arguments | changed)
    return [np.asarray(v.value).copy() for v in model.variables], history


class Sending(Progress):
    """Tells the parent process of every batch, and waits for leave to go on."""

    def __init__(self, connection: Any) -> None:
        super().__init__()
        self._connection = connection

    def batch(self, number: int, batches: int) -> None:
        self._connection.send(number)
        self._connection.recv()


def keep_compiled(folder: Path | None) -> None:
    """Compile what this file runs once for all its processes; None: as it was."""
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", folder and str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0 if folder else 1.0)


def child(folder: Path, compiled: Path, connection: Any) -> None:
    keep_compiled(compiled)
    connection.send(run(folder, progress=Sending(connection)))


@pytest.fixture(scope="module", autouse=True)
def compiled(tmp_path_factory) -> Any:
    folder = tmp_path_factory.mktemp("compiled")
    keep_compiled(folder)
    yield folder
    keep_compiled(None)


@pytest.fixture(scope="module")
def whole(compiled) -> tuple[list[Any], History]:
    """What comes out where nothing happens."""
    return run(None)


@pytest.fixture(scope="module")
def processes() -> Any:
    context = multiprocessing.get_context("forkserver")
    # imported once, so that a process starts in no time
    context.set_forkserver_preload(["keras", "sunhwan.tasks.training", "sunhwan.layers"])
    return context


def same(one: tuple[list[Any], History], other: tuple[list[Any], History]) -> None:
    for a, b in zip(one[0], other[0], strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert one[1].figures == other[1].figures
    assert (one[1].best_epoch, one[1].stopped_why) == (other[1].best_epoch, other[1].stopped_why)


def allow(connection: Any, batches: int) -> None:
    for _ in range(batches):
        connection.send(True)


def place(folder: Path) -> tuple[int, int]:
    """Epochs and batches done, as written."""
    found = checkpoint.read(folder)
    if found is None:
        return 0, 0
    return len(found[1]["figures"].get("loss", [])), found[1]["batch"]


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path, processes, compiled, whole):
    random, before = np.random.default_rng(), (0, 0)
    for kill in range(KILLS + 1):
        parent, end = processes.Pipe()
        process = processes.Process(target=child, args=(tmp_path, compiled, end))
        process.start()
        end.close()
        if kill < KILLS:
            count = random.integers(2, 12)
            allow(parent, count + 3)
            for _ in range(count):
                parent.recv()
            time.sleep(random.uniform(0, 0.02))
            process.kill()
            process.join()
            assert place(tmp_path) > before, "states must go forward"
            before = place(tmp_path)
        else:
            allow(parent, EPOCHS * 20)
            while isinstance(result := parent.recv(), int):
                pass
            process.join()
    same(result, whole)


def test_ctrl_c_from_outside_stops_after_the_batch(tmp_path, processes, compiled, whole):
    parent, end = processes.Pipe()
    process = processes.Process(target=quiet_child, args=(tmp_path / "state", compiled, end))
    process.start()
    end.close()
    allow(parent, 10)
    for _ in range(7):
        parent.recv()
    os.kill(process.pid, signal.SIGINT)
    allow(parent, EPOCHS * 20)
    while isinstance(message := parent.recv(), int):
        pass
    process.join()
    assert process.exitcode == 0
    epochs, done = place(tmp_path / "state")
    assert message == (
        f"stopped after batch {done} of 20 in epoch {epochs + 1}; "
        f"`sunhwan resume {tmp_path}` goes on"
    )
    same(run(tmp_path / "state"), whole)


def quiet_child(folder: Path, compiled: Path, connection: Any) -> None:
    try:
        child(folder, compiled, connection)
    except KeyboardInterrupt as stopped:
        connection.send(str(stopped))


class Pressing(Progress):
    """Ctrl-C in a batch of an epoch, both from 1; ``times`` it."""

    def __init__(self, epoch: int, batch: int, times: int = 1) -> None:
        super().__init__()
        self.now, self.at, self.times, self.batches = 1, (epoch, batch), times, 0

    def batch(self, number: int, batches: int) -> None:
        self.batches += 1
        if (self.now, number) == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)

    def epoch(self, number: int, logs: Any) -> None:
        self.now = number + 1


@pytest.mark.parametrize("at", [(1, 1), (2, 11), (3, 20)])
def test_ctrl_c_loses_no_batch(tmp_path, at, whole):
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=f"batch {at[1]} of 20 in epoch {at[0]};"):
        run(tmp_path, progress=Pressing(*at), save_every=1e9)
    assert signal.getsignal(signal.SIGINT) is before
    assert place(tmp_path) == (at[0] - 1, at[1])
    rest = Pressing(9, 9)
    same(run(tmp_path, progress=rest), whole)
    assert rest.batches == (EPOCHS - at[0] + 1) * 20 - at[1]


def test_ctrl_c_at_the_end_of_an_epoch(tmp_path, whole):
    class AtEnd(Progress):
        def epoch(self, number: int, logs: Any) -> None:
            if number == EPOCHS:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match=f"stopped after epoch {EPOCHS};"):
        run(tmp_path, progress=AtEnd())
    same(run(tmp_path, progress=AtEnd()), whole)


def test_a_second_ctrl_c_waits_for_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path, progress=Pressing(1, 3, times=2), save_every=1e9)
    assert not str(caught.value)
    assert place(tmp_path) == (0, 0)


def test_ctrl_c_without_a_state_leaves_the_best_weights():
    stopped, one = network(), network()
    with pytest.raises(KeyboardInterrupt, match="nothing was kept"):
        run(None, model=stopped, progress=Pressing(2, 3), schedule="constant")
    best, _ = run(None, model=one, epochs=1, schedule="constant")
    for variable, value in zip(stopped.variables, best, strict=True):
        np.testing.assert_array_equal(variable.value, value)


def test_a_finished_training_is_found_finished(tmp_path, whole):
    same(run(tmp_path), whole)
    rest = Pressing(9, 9)
    same(run(tmp_path, progress=rest), whole)
    assert rest.batches == 0


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    """The state of a training that was stopped in its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        run(folder, progress=Pressing(1, 2))
    return folder


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"fingerprint": "other data"}, "`fingerprint` 'lengths', received 'other data'"),
        ({"epochs": 5}, "`epochs` 4, received 5"),
        ({"schedule": "constant"}, "`schedule` 'cosine', received 'constant'"),
        ({"optimizer": keras.optimizers.Adam(0.02)}, "`learning_rate` 0.01, received 0.02"),
        ({"optimizer": keras.optimizers.SGD(0.01)}, "another model: its `optimizer`"),
        ({"metrics": []}, "another model: its `metrics`"),
    ],
)
def test_a_state_of_other_arguments_is_refused(stopped, changed, message):
    with pytest.raises(UsageError, match=message) as caught:
        run(stopped, **changed)
    assert "another folder" in caught.value.hint


def test_a_state_of_another_model_is_refused(stopped):
    with pytest.raises(UsageError, match="another model: its `trainable`"):
        run(stopped, model=network(units=7))


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_damaged_state_is_refused(stopped, tmp_path, length):
    name = "training.safetensors"
    content = (stopped / name).read_bytes()
    (tmp_path / name).write_bytes(content[:length])
    with pytest.raises(DataError, match=r"training\.safetensors .* damaged") as caught:
        run(tmp_path)
    assert "`sunhwan train` it anew" in caught.value.hint


def test_arrays_of_each_shape_and_type_come_back(tmp_path):
    row = [np.float32(2.5), np.arange(6, dtype=np.uint32).reshape(2, 3).T, np.zeros((0, 3)), True]
    checkpoint.write(tmp_path, {"a": row, "b": [np.int32(n) for n in range(12)]}, {"n": [1, "é"]})
    (tmp_path / ".training.safetensors.x1").write_bytes(b"left by a killed process")
    arrays, record = checkpoint.read(tmp_path)
    assert record == {"n": [1, "é"]}
    for before, after in zip(row, arrays["a"], strict=True):
        assert np.asarray(before).dtype == after.dtype
        np.testing.assert_array_equal(before, after)
        assert np.shape(before) == after.shape
    assert [int(value) for value in arrays["b"]] == list(range(12))
    assert [path.name for path in tmp_path.iterdir()] == ["training.safetensors"]
    assert checkpoint.read(tmp_path / "nowhere") is None
