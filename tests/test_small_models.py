"""What spares small models fixed cost: grouped steps, compiled answers, few shapes for few rows."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from learner_examples import numbers, prepared, sentences
from sunhwan import layers
from sunhwan.engine import native
from sunhwan.tasks import steps

pytestmark = pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
#: 5 batches of 6 rows and one of 4
_ROWS, _BATCH = 34, 6


def texts() -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Ids with padding behind each row, and two classes."""
    rng = np.random.default_rng(3)
    x = rng.integers(1, 20, (_ROWS, 9)).astype(np.int32)
    x[np.arange(9) >= rng.integers(2, 10, _ROWS)[:, None]] = 0
    return x, (x[:, 0] > 9).astype(np.float32)[:, None]


def model(cell: Any, steps_per_execution: int = 1) -> Any:
    keras.utils.set_random_seed(5)
    built = keras.Sequential(
        [
            keras.Input((9,), dtype="int32"),
            layers.Embedding(20, 5, mask_zero=True),
            cell(7),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    loss = "binary_crossentropy"
    built.compile("adam", loss, metrics=["accuracy"], steps_per_execution=steps_per_execution)
    return built


class Seen(keras.callbacks.Callback):  # type: ignore[misc]
    """The batches after which a callback was called."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[int] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.batches.append(batch)


def test_steps_taken_together_change_no_bit() -> None:
    x, y = texts()
    weights, histories, seen = [], [], []
    for together in (1, 4):
        keras.utils.set_random_seed(6)
        trained, watching = model(layers.LSTM, together), Seen()
        # shuffled, with class weights, and a last batch that is smaller and ends a group early
        history = trained.fit(
            x,
            y,
            batch_size=_BATCH,
            epochs=2,
            class_weight={0: 1.0, 1: 2.5},
            callbacks=[watching],
            verbose=0,
        )
        weights.append(trained.get_weights())
        histories.append(history.history)
        seen.append(watching.batches)
    assert histories[0] == histories[1]
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))
    # Keras's callbacks hear of every group, by the number that its last batch would have
    assert seen == [[0, 1, 2, 3, 4, 5] * 2, [3, 7] * 2]


@pytest.mark.parametrize(("cell", "rows"), [(layers.LSTM, 1), (layers.GRU, 3)])
def test_a_compiled_model_answers_with_the_bits_of_predict(cell: Any, rows: int) -> None:
    built, x = model(cell), texts()[0][:rows]
    variables = (built.trainable_variables, built.non_trainable_variables)
    # copies, since `predict_on_batch` uses up the arrays that the variables have now
    values = [[jax.numpy.array(v.value) for v in some] for some in variables]
    compiled = jax.jit(lambda x: built.stateless_call(*values, x, training=False)[0])
    answers = np.asarray(compiled(x))
    assert np.array_equal(answers, built.predict_on_batch(x))
    assert np.array_equal(np.asarray(compiled(x)), answers)
    assert np.ptp(answers) > 0 or rows == 1


@pytest.mark.parametrize(("task", "examples"), [("regress", numbers(40)), ("tag", sentences(40))])
def test_few_rows_are_answered_in_few_shapes(
    monkeypatch: pytest.MonkeyPatch, task: str, examples: Any
) -> None:
    learner = prepared(task, examples)
    encoded = learner.encode(examples)
    together = learner.answer(encoded)
    shapes = set()

    def watched(model: Any) -> Any:
        def forward(trainable: Any, other: Any, x: Any) -> Any:
            shapes.add(jax.tree.leaves(x)[0].shape[:2])
            return compiled(trainable, other, x)

        return forward

    compiled = steps.forward_pass(learner.model)
    monkeypatch.setattr(steps, "forward_pass", watched)
    alone = [learner.answer(encoded[row : row + 1])[0] for row in range(12)]
    three = [
        answer for row in range(12, 24, 3) for answer in learner.answer(encoded[row : row + 3])
    ]
    assert len({len(row) for row in encoded[:24]}) > 4
    assert shapes == {(1, 16), (4, 16)}
    for given, wanted in zip([*alone, *three], together[:24], strict=True):
        assert np.shape(given) == np.shape(wanted)
        np.testing.assert_allclose(given, wanted, rtol=1e-5)
