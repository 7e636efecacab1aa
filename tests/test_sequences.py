"""Sequences of numbers: scales, gaps, differences, cuts, and configurations that come back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sunhwan.data.number_encoder import learn_scales
from sunhwan.data.sequences import NUMBER_ENCODERS, Numbers, number_encoder_from_config
from sunhwan.errors import DataError, UsageError

NAN = np.nan


def _sequences(seed=0, count=6, width=3):
    """Sequences of unequal length; each feature has a mean and a scale of its own."""
    random = np.random.default_rng(seed)
    offset, scale = np.array([100.0, -3.0, 0.02])[:width], np.array([7.0, 0.1, 40.0])[:width]
    return [
        (random.normal(0, 1, (length, width)) * scale + offset).astype(np.float32)
        for length in random.integers(1, 30, count)
    ]


# scales


def test_scales_are_those_of_all_training_steps():
    training, other = _sequences(1), _sequences(2)
    encoder = Numbers().fit(training)
    steps = np.concatenate(training).astype(float)
    for sequence in [*training, *other]:
        encoded = encoder.encode(sequence)
        assert encoded.dtype == np.float32
        expected = (sequence - steps.mean(axis=0)) / steps.std(axis=0)
        np.testing.assert_allclose(encoded, expected, rtol=1e-5, atol=1e-5)
    assert encoder.features == encoder.width == 3


def test_scales_over_many_chunks_are_those_of_the_whole(monkeypatch):
    arrays = [array.astype(float) for array in _sequences(3, 50)]
    arrays[7][0, 1] = NAN
    monkeypatch.setattr("sunhwan.data.number_encoder._CHUNK", 40)
    mean, scale = learn_scales(arrays)
    steps = np.concatenate(arrays)
    np.testing.assert_allclose(mean, np.nanmean(steps, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale, np.nanstd(steps, axis=0), rtol=1e-12)


def test_large_offsets_lose_nothing():
    ramp = np.arange(10.0)[:, None] + 2.0**23
    encoded = Numbers().fit([ramp]).encode(ramp)[:, 0]
    np.testing.assert_allclose(encoded, (np.arange(10) - 4.5) / np.std(np.arange(10)), rtol=1e-6)


def test_without_normalising_numbers_stay_as_they_are():
    sequences = _sequences()
    encoder = Numbers(normalise=False).fit(sequences)
    np.testing.assert_array_equal(encoder.encode(sequences[2]), sequences[2])


def test_features_that_never_change_are_said_and_become_zero():
    sequences = [np.column_stack([np.full(4, 2.5), np.arange(4.0)]), np.array([[2.5, 9.0]])]
    encoder = Numbers().fit(sequences)
    assert encoder.scale[0] == 0
    np.testing.assert_array_equal(encoder.encode(sequences[0])[:, 0], 0)
    assert encoder.encode([[4.5, 0.0]])[0, 0] == 2.0
    lines = encoder.describe(sequences)
    assert lines[0] == "numbers: 2 a step"
    assert lines[1:] == ["feature 1 is always 2.5 in training: it tells nothing"]
    again = number_encoder_from_config(json.loads(json.dumps(encoder.config())))
    assert again.describe(sequences) == lines


@pytest.mark.parametrize("value", [[[1], [2]], np.array([[True], [False]]), np.float16([[1], [3]])])
def test_any_kind_of_number_is_taken(value):
    encoded = Numbers().fit([value]).encode(value)
    np.testing.assert_allclose(np.abs(encoded), 1, atol=1e-6)


# gaps


def test_a_missing_number_is_refused_with_its_place():
    training = _sequences()
    training[3][:, 1] = NAN
    with pytest.raises(DataError, match=r'^sequence 4 of 6: step 1, feature 2: .*\n.*"carry"'):
        Numbers().fit(training)
    encoder = Numbers().fit(_sequences())
    with pytest.raises(DataError, match=r"^step 2, feature 3: the number is missing"):
        encoder.encode([[1, 2, 3], [4, 5, NAN]])
    with pytest.raises(DataError, match=r"^sequence 1 of 1: step 1, feature 1: "):
        encoder.describe([[[NAN, 2, 3]]])


def test_the_last_known_number_is_carried_on_and_gaps_are_marked():
    gaps = [[NAN, 5.0], [3.0, NAN], [NAN, NAN], [1.0, 8.0]]
    encoder = Numbers(normalise=False, missing="carry").fit([gaps, [[5.0, 5.0]]])
    # before the first known number: the mean of 3, 3, 1, 5
    expected = [[3, 5, 1, 0], [3, 5, 0, 1], [3, 5, 1, 1], [1, 8, 0, 0]]
    np.testing.assert_array_equal(encoder.encode(gaps), expected)
    assert (encoder.width, encoder.features) == (2, 4)
    lines = encoder.describe([gaps, [[5.0, 5.0]]])
    assert lines[0] == "numbers: 2 a step, marks where they are missing"
    assert lines[1] == "4 of 10 numbers are missing: the last known is carried on"


def test_marks_stay_0_and_1_when_numbers_are_scaled():
    sequences = _sequences(4, 20)
    for sequence in sequences[::2]:
        sequence[len(sequence) // 2, 0] = NAN
    encoder = Numbers(missing="carry").fit(sequences)
    encoded = np.concatenate([encoder.encode(sequence) for sequence in sequences])
    np.testing.assert_array_equal(encoded[:, 3:], np.isnan(np.concatenate(sequences)))
    np.testing.assert_allclose(np.abs(encoded[:, :3].mean(axis=0)), 0, atol=0.1)
    # nothing known at all: the mean of training, which is 0 on the scale
    np.testing.assert_array_equal(encoder.encode([[NAN] * 3])[0], [0, 0, 0, 1, 1, 1])


def test_a_feature_that_is_always_missing_is_named():
    with pytest.raises(
        DataError, match=r"^feature 2 is missing in all of the 1 training sequences"
    ):
        Numbers(missing="carry").fit([[[1.0, NAN], [2.0, NAN]]])


# differences and cuts


def test_differences_are_taken_after_gaps_are_filled_and_before_a_cut():
    stroke = [[0.0, 1.0], [2.0, NAN], [3.0, 7.0], [9.0, 5.0]]
    options = {"normalise": False, "missing": "carry", "differences": True}
    encoder = Numbers(**options).fit([stroke])
    expected = [
        [0, 1, 0, 0, 0, 0],
        [2, 1, 2, 0, 0, 1],
        [3, 7, 1, 6, 0, 0],
        [9, 5, 6, -2, 0, 0],
    ]
    np.testing.assert_array_equal(encoder.encode(stroke), expected)
    for keep, part in (("start", slice(2)), ("end", slice(2, None))):
        short = Numbers(**options, max_length=2, keep=keep).fit([stroke])
        np.testing.assert_array_equal(short.encode(stroke), expected[part])
        assert short.describe([stroke, stroke[:2]])[-1] == (
            f"1 of 2 sequences are cut to their {'first' if keep == 'start' else 'last'} 2 steps"
        )


def test_scales_are_learnt_from_what_a_cut_leaves():
    encoder = Numbers(max_length=2, keep="end").fit([[[1000.0], [1.0], [3.0]]])
    np.testing.assert_allclose(encoder.encode([[50.0], [1.0], [3.0]]), [[-1], [1]])


# odd input


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1.0, 2.0]], "expected 3 numbers a step, received 2"),
        ([1.0, 2.0, 3.0], r"received the shape \(3,\)"),
        (np.zeros((0, 3)), r"received the shape \(0, 3\)"),
        ([], r"received the shape \(0,\)"),
        ([[1.0, 2.0, 3.0], [4.0]], "steps of equal length"),
        ([["a", "b", "c"]], "expected numbers, received <U1"),
        ([[None, 1, 2]], "expected numbers, received object"),
        ([[1j, 2, 3]], "expected numbers, received complex128"),
        ([[1, 2, 3], [1, -np.inf, 3]], "step 2, feature 2: expected a number .* received -inf"),
        ([[1, 2, 1e300]], r"step 1, feature 3: expected a number .* received 1e\+300"),
    ],
)
def test_what_is_no_sequence_is_refused(value, message):
    encoder = Numbers(missing="carry").fit(_sequences())
    with pytest.raises(DataError, match=message):
        encoder.encode(value)
    with pytest.raises(DataError, match=f"^sequence 7 of 7: .*{message}"):
        Numbers(missing="carry").fit([*_sequences(), value])


def test_numbers_too_far_from_training_are_refused():
    encoder = Numbers().fit([[[0.0], [1e-30]]])
    with pytest.raises(DataError, match="step 1, feature 1: the number is too far from those of"):
        encoder.encode([[1e30]])


def test_fit_comes_first_and_needs_sequences():
    with pytest.raises(UsageError, match="call `fit` first"):
        Numbers().encode([[1.0]])
    with pytest.raises(UsageError, match="call `fit` first"):
        Numbers().config()
    with pytest.raises(DataError, match="received none"):
        Numbers().fit([])
    assert Numbers().features == 0


@pytest.mark.parametrize(
    "options",
    [{"normalise": 1}, {"missing": "drop"}, {"differences": None}, {"max_length": 0},
     {"max_length": 2.0}, {"max_length": True}, {"keep": "middle"}],
)  # fmt: skip
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}` must be"):
        Numbers(**options)


# configuration


@pytest.mark.parametrize("differences", [False, True])
def test_an_encoder_comes_back_from_json(differences):
    sequences = _sequences()
    encoder = Numbers(missing="carry", differences=differences, max_length=9, keep="end")
    config = json.loads(json.dumps(encoder.fit(sequences).config()))
    again = number_encoder_from_config(config)
    assert again.config() == config
    assert again.features == (9 if differences else 6)
    for sequence in sequences:
        np.testing.assert_array_equal(again.encode(sequence), encoder.encode(sequence))


@pytest.mark.parametrize(
    ("part", "value"),
    [("name", "log-mel"), ("name", "pickle"), ("name", None), ("normalise", "yes"),
     ("max_length", -1), ("mean", []), ("mean", [0.0] * 5), ("mean", [0.0, True, 1.0, 0, 0, 0]),
     ("mean", [float("nan")] * 6), ("mean", [[0.0]] * 6), ("scale", {}), ("scale", [1.0] * 4),
     ("scale", [-0.5] * 6), ("keep", ["start"])],
)  # fmt: skip
def test_a_tampered_configuration_is_refused(part, value):
    config = Numbers(differences=True).fit(_sequences()).config()
    with pytest.raises(DataError):
        number_encoder_from_config(config | {part: value})
    with pytest.raises(DataError, match="must have the parts"):
        number_encoder_from_config({k: v for k, v in config.items() if k != "keep"})
    with pytest.raises(DataError, match="must have the parts"):
        number_encoder_from_config(config | {"module": "os"})


def test_an_odd_number_of_means_does_not_fit_differences():
    config = Numbers(differences=True).fit(_sequences()).config()
    with pytest.raises(DataError, match="`mean` must have an even length"):
        number_encoder_from_config(config | {"mean": [0.0] * 5, "scale": [1.0] * 5})


@pytest.mark.parametrize("config", [None, [], "numbers", {}, {"name": ["numbers"]}])
def test_what_is_no_configuration_is_refused(config):
    with pytest.raises(DataError, match="must have a `name` out of numbers, log-mel"):
        number_encoder_from_config(config)
    assert all(encoder.name == name for name, encoder in NUMBER_ENCODERS.items())


# real strokes


@pytest.mark.skipif("SUNHWAN_DATA" not in os.environ, reason="SUNHWAN_DATA is not set")
def test_pen_strokes_get_their_direction():
    path = Path(os.environ["SUNHWAN_DATA"]) / "pen-digits/train.csv"
    strokes = np.loadtxt(path, delimiter=",", skiprows=1, usecols=range(16)).reshape(-1, 8, 2)
    encoder = Numbers(differences=True).fit(list(strokes))
    encoded = np.stack([encoder.encode(stroke) for stroke in strokes])
    assert encoded.shape == (7494, 8, 4)
    flat = encoded.reshape(-1, 4)
    np.testing.assert_allclose(flat.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.std(axis=0), 1, atol=1e-4)
    moved = encoded * encoder.scale + encoder.mean
    np.testing.assert_allclose(moved[:, 1:, 2:], np.diff(strokes, axis=1), atol=1e-3)
    assert encoder.describe(list(strokes)) == ["numbers: 2 a step, their differences"]
