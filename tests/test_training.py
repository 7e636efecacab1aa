"""The training loop: figures of the data alone, best weights, stopping, schedules, NaN."""

from __future__ import annotations

import math
import threading

import jax
import keras
import numpy as np
import pytest

from sunhwan import layers
from sunhwan.data.batches import Batches
from sunhwan.errors import ShapeError, TrainingError, UsageError
from sunhwan.runs.progress import Progress
from sunhwan.tasks.pace import Pace
from sunhwan.tasks.steps import evaluate, predict
from sunhwan.tasks.training import train

random = np.random.default_rng(11)
MSE = keras.losses.MeanSquaredError()


def line():
    """A network of one weight, 0 at first: the answer is that weight times the mean of the row."""
    x, mask = keras.Input((None, 1)), keras.Input((None,), dtype="bool")
    mean = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    return keras.Model(
        [x, mask], keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")(mean)
    )


def weight(model):
    return float(model.trainable_variables[0].value[0, 0])


def ones(count, target, batch_size=4, seed=0):
    rows = [np.ones((1 + n % 3, 1), np.float32) for n in range(count)]
    return Batches(rows, np.full(count, target), batch_size=batch_size, seed=seed, buckets=1)


def fit(model, batches, validation=None, *, rate=0.1, **changed):
    arguments = {"loss": MSE, "optimizer": keras.optimizers.SGD(rate), "epochs": 20}
    return train(model, batches, validation, **arguments | changed)


def test_early_stopping_and_best_weights_as_computed_by_hand():
    # w goes 0.2, 0.36, 0.488, 0.5904, 0.67232: towards 1, past the 0.5 of the validation
    model = line()
    history = fit(model, ones(4, 1.0), ones(4, 0.5), patience=2)
    assert history.best_epoch == 3
    assert history.epochs == 5
    assert weight(model) == pytest.approx(0.488)
    assert history.stopped_why == "no better val_loss than that of epoch 3 for 2 epochs"
    wanted = [(w - 0.5) ** 2 for w in (0.2, 0.36, 0.488, 0.5904, 0.67232)]
    assert history.figures["val_loss"] == pytest.approx(wanted, rel=1e-4)
    before = [(w - 1) ** 2 for w in (0, 0.2, 0.36, 0.488, 0.5904)]
    assert history.figures["loss"] == pytest.approx(before, rel=1e-4)
    assert history.figures["learning_rate"] == [0.1] * 5
    assert history.seconds > 0


def test_without_patience_all_epochs_are_trained_and_the_best_is_kept_still():
    model = line()
    history = fit(model, ones(4, 1.0), ones(4, 0.5), epochs=7)
    assert (history.epochs, history.best_epoch) == (7, 3)
    assert history.stopped_why == "all epochs are done"
    assert weight(model) == pytest.approx(0.488)


def test_a_figure_that_should_be_large():
    class Weight(keras.metrics.MeanMetricWrapper):
        """The mean answer, which grows with the weight."""

        def __init__(self):
            super().__init__(lambda wanted, given: given, name="weight")

    model = line()
    history = fit(
        model, ones(4, 1.0), ones(4, 0.5), metrics=[Weight()], monitor="val_weight", mode="max",
        epochs=5, patience=2,
    )  # fmt: skip
    assert history.best_epoch == 5
    assert history.figures["val_weight"][-1] == pytest.approx(0.67232)
    assert weight(model) == pytest.approx(0.67232)


def test_a_row_counts_the_same_in_a_batch_that_is_filled_up():
    # 3 rows in batches of 2: 1.5 a batch, so a step is 2 * 0.1 * (2 or 1) / 1.5 of the way to 1
    model = line()
    fit(model, ones(3, 1.0, batch_size=2), epochs=1, monitor="loss")
    assert weight(model) == pytest.approx(1 - (1 - 0.4 / 1.5) * (1 - 0.2 / 1.5))


def test_sample_weights_scale_the_step_of_their_row():
    rows = [np.ones((1, 1), np.float32)] * 2
    batches = Batches(rows, [1.0, -1.0], batch_size=2, sample_weights=[3.0, 1.0])
    model = line()
    history = fit(model, batches, epochs=1, monitor="loss")
    assert weight(model) == pytest.approx(0.1 * 2 * (3 - 1) / 4)
    assert history.figures["loss"] == [1.0]


LENGTHS = random.integers(1, 30, 61)
IDS = [random.integers(1, 40, t, dtype=np.int32) for t in LENGTHS]


def network(classes=3, per_step=False):
    inputs = keras.Input((None,), dtype="int32")
    hidden = layers.Embedding(40, 6, mask_zero=True)(inputs)
    hidden = layers.LSTM(7, return_sequences=per_step)(hidden)
    return keras.Model(inputs, keras.layers.Dense(classes, "softmax")(hidden))


def test_figures_are_those_of_the_rows_however_they_are_batched():
    model, labels = network(), random.integers(0, 3, 61)
    weights = random.uniform(0, 2, 61)
    answers = predict(model, Batches.for_prediction(IDS, batch_size=16, buckets=(8, 30)))
    assert answers.shape == (61, 3)
    np.testing.assert_allclose(answers[5], model(IDS[5][None])[0], rtol=1e-5)
    nats = -np.log(answers[np.arange(61), labels])
    wanted = {
        "loss": np.average(nats, weights=weights),
        "accuracy": np.average(answers.argmax(-1) == labels, weights=weights),
    }
    loss = keras.losses.SparseCategoricalCrossentropy()
    metrics = [keras.metrics.SparseCategoricalAccuracy("accuracy")]
    for buckets, seed in ((1, None), ((8, 30), 3)):
        batches = Batches(
            IDS, labels, batch_size=16, seed=seed, sample_weights=weights, buckets=buckets
        )
        assert evaluate(model, batches, loss=loss, metrics=metrics) == pytest.approx(wanted)
    # with a learning rate of 0 the figures of training are those of evaluation
    history = fit(model, batches, batches, rate=0.0, loss=loss, metrics=metrics, epochs=1)
    for name, value in wanted.items():
        assert history.figures[name] == pytest.approx([value])
        assert history.figures[f"val_{name}"] == pytest.approx([value])


def test_figures_of_steps_leave_padding_out():
    model = network(per_step=True)
    tags = [random.integers(0, 3, t) for t in LENGTHS]
    answers = predict(model, Batches.for_prediction(IDS, batch_size=8, per_step=True, buckets=2))
    assert [len(answer) for answer in answers] == LENGTHS.tolist()
    flat, wanted = np.concatenate(answers), np.concatenate(tags)
    batches = Batches(IDS, tags, batch_size=8, seed=1, per_step=True, buckets=2)
    figures = evaluate(
        model, batches, loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy("accuracy")],
    )  # fmt: skip
    assert figures["loss"] == pytest.approx(-np.log(flat[np.arange(len(wanted)), wanted]).mean())
    assert figures["accuracy"] == pytest.approx((flat.argmax(-1) == wanted).mean())


def test_a_loss_of_several_numbers_a_row_is_their_mean():
    rows = [np.ones((2, 1), np.float32)] * 3

    class Apart(keras.losses.Loss):
        def call(self, wanted, given):
            return keras.ops.square(wanted - given)

    batches = Batches(rows, random.normal(size=(3, 4)), batch_size=2)
    x, mask = keras.Input((None, 1)), keras.Input((None,), dtype="bool")
    model = keras.Model([x, mask], keras.layers.Dense(4)(x[:, 0]))
    assert evaluate(model, batches, loss=Apart()) == pytest.approx(
        evaluate(model, batches, loss=MSE)
    )


def test_each_shape_is_compiled_once_in_training_and_once_for_all_answers(caplog):
    model, labels = network(), random.integers(0, 3, 61)
    still = Batches(IDS, labels, batch_size=16, buckets=(10, 30))
    batches = Batches(IDS, labels, batch_size=16, seed=0, buckets=still.buckets)
    loss = keras.losses.SparseCategoricalCrossentropy()
    with jax.log_compiles(), caplog.at_level("WARNING"):
        fit(model, batches, still, loss=loss, optimizer=keras.optimizers.Adam(), epochs=3)
        predict(model, still)
        evaluate(model, still, loss=loss)
    for function in ("jit(step)", "jit(forward)"):
        assert sum(f"Compiling {function}" in text for text in caplog.messages) == 2


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("constant", [0.1] * 4),
        # at the last of two batches of each epoch
        ("cosine", [0.05 * (1 + math.cos(math.pi * done / 8)) for done in (1, 3, 5, 7)]),
    ],
)
def test_the_learning_rate_of_each_schedule(schedule, wanted):
    history = fit(line(), ones(8, 1.0), monitor="loss", epochs=4, schedule=schedule)
    assert history.figures["learning_rate"] == pytest.approx(wanted)


def test_a_plateau_lowers_the_rate_after_half_of_patience():
    model = line()
    history = fit(model, ones(4, 1.0), ones(4, 0.5), patience=4, schedule="plateau")
    # epoch 3 is best; epochs 4 and 5 are not better, nor are 6 and 7
    assert history.best_epoch == 3
    assert history.figures["learning_rate"] == pytest.approx([0.1] * 5 + [0.03] * 2)


@pytest.mark.parametrize(
    ("figures", "rate"),
    [
        ([], 1.0),
        ([5, 4, 3], 1.0),
        ([5, 4, 4, 4], 1.0),
        ([5, 4, 4, 4, 4], 0.3),
        ([5, 4, 4, 4, 4, 3, 3, 3], 0.3),
        ([5, 4, 4, 4, 4, 3, 3, 3, 3], 0.09),
        ([5, 6, 6, 6, 6, 6, 6], 0.09),
    ],
)
def test_plateaus_as_counted_by_hand(figures, rate):
    pace = Pace(1.0, epochs=99, schedule="plateau")
    assert pace.rate(figures, 0.0) == pytest.approx(rate)
    mirrored = Pace(1.0, epochs=99, schedule="plateau", mode="max")
    assert mirrored.rate([-figure for figure in figures], 0.0) == pytest.approx(rate)


def test_the_clipping_of_the_optimizer_is_heeded():
    model = line()
    # the slope is -2, clipped to -0.5
    fit(model, ones(4, 1.0), monitor="loss", epochs=1,
        optimizer=keras.optimizers.SGD(0.1, clipnorm=0.5))  # fmt: skip
    assert weight(model) == pytest.approx(0.05)


def test_penalties_of_layers_are_followed():
    x, mask = keras.Input((None, 1)), keras.Input((None,), dtype="bool")
    dense = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", kernel_regularizer="l2"
    )
    model = keras.Model([x, mask], dense(x[:, 0]))
    fit(model, ones(4, 1.0), monitor="loss", epochs=1)
    assert weight(model) == pytest.approx(1 - 0.1 * 2 * 0.01)


@pytest.mark.parametrize("batch", [1, 2, 9])
def test_a_loss_that_is_not_finite_stops_and_names_the_batch(batch):
    rows = [np.ones((1, 1), np.float32) for _ in range(9)]
    targets = np.zeros(9)
    targets[batch - 1] = 3e30  # its square is beyond float32
    with pytest.raises(TrainingError, match=f"received inf in epoch 1, batch {batch}\n") as caught:
        fit(line(), Batches(rows, targets, batch_size=1), monitor="loss")
    assert "smaller learning rate" in caught.value.hint
    assert "clipnorm" in caught.value.hint


def test_a_loss_that_runs_away_keeps_the_best_weights_and_the_state(tmp_path):
    model = line()
    with pytest.raises(TrainingError, match=r"(inf|nan) in epoch [1-9]\d, batch 1"):
        fit(model, ones(4, 1.0), monitor="loss", rate=60.0, epochs=99, state=tmp_path)
    # the first epoch has the smallest loss, and its step goes 2 * 60 of the way
    assert weight(model) == pytest.approx(120)
    with pytest.raises(TrainingError, match="batch 1"):
        fit(line(), ones(4, 1.0), monitor="loss", rate=60.0, epochs=99, state=tmp_path)


def test_a_validation_loss_that_is_not_finite_is_told():
    with pytest.raises(TrainingError, match=r"^`val_loss` must stay finite, .* in epoch 1\n"):
        fit(line(), ones(4, 1.0), ones(4, 3e30))


def test_weights_that_the_last_step_spoilt_are_told():
    with pytest.raises(TrainingError, match=r"^`weights` must stay finite, .* in epoch 1\n"):
        fit(line(), ones(4, 1e10), rate=3e38, monitor="loss", epochs=1)


def test_progress_is_told_of_each_batch_and_epoch():
    calls = []

    class Noting(Progress):
        def begin(self, label, epochs):
            calls.append(("begin", label, epochs))

        def batch(self, number, batches):
            calls.append(("batch", number, batches))

        def epoch(self, number, logs):
            calls.append(("epoch", number, sorted(logs)))

        def end(self, summary):
            calls.append(("end", summary))

    fit(line(), ones(8, 1.0), ones(4, 1.0), epochs=1, progress=Noting(), label="lstm")
    assert calls[:-1] == [
        ("begin", "lstm", 1),
        ("batch", 1, 2),
        ("batch", 2, 2),
        ("epoch", 1, ["loss", "val_loss"]),
    ]
    assert calls[-1][1].startswith("val loss 0.4096 in epoch 1; all epochs are done (")


def test_it_trains_in_a_thread_too():
    model = line()
    thread = threading.Thread(target=fit, args=(model, ones(4, 1.0)), kwargs={"monitor": "loss"})
    thread.start()
    thread.join()
    assert weight(model) > 0.9


def test_same_arguments_same_bits():
    answers = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        model = network()
        fit(model, Batches(IDS, LENGTHS % 3, batch_size=16, seed=2, buckets=1), epochs=2,
            loss=keras.losses.SparseCategoricalCrossentropy(), monitor="loss",
            optimizer=keras.optimizers.Adam())  # fmt: skip
        answers.append([np.asarray(v.value).copy() for v in model.variables])
    for one, other in zip(*answers, strict=True):
        np.testing.assert_array_equal(one, other)


SCHEDULE = keras.optimizers.schedules.CosineDecay(0.1, 10)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"monitor": "val_loss"}, "`monitor` must be one of loss, received 'val_loss'"),
        ({"epochs": 0}, "`epochs`.*received 0"),
        ({"patience": 0}, "`patience`.*received 0"),
        ({"mode": "low"}, "`mode` must be one of min, max, received 'low'"),
        ({"schedule": "warm"}, "constant, cosine, plateau, received 'warm'"),
        ({"optimizer": keras.optimizers.SGD(SCHEDULE)}, "SGD must be a number"),
        ({"metrics": [keras.metrics.Mean("loss")]}, "a name of its own"),
    ],
)
def test_arguments_that_do_not_fit_are_named(changed, message):
    with pytest.raises(UsageError, match=message):
        fit(line(), ones(4, 1.0), **{"monitor": "loss"} | changed)


def test_batches_without_targets_cannot_train():
    empty = Batches.for_prediction(IDS, batch_size=4)
    with pytest.raises(UsageError, match="`batches` must have targets"):
        fit(line(), empty, monitor="loss")
    with pytest.raises(UsageError, match="`validation` must have targets"):
        fit(line(), ones(4, 1.0), empty)


def test_an_answer_a_row_where_one_a_step_is_wanted_is_refused():
    tags = [random.integers(0, 3, t) for t in LENGTHS]
    batches = Batches(IDS, tags, batch_size=8, per_step=True, buckets=1)
    with pytest.raises(ShapeError, match=r"each of the \(8, 29\) weights"):
        fit(network(classes=29), batches, monitor="loss")
