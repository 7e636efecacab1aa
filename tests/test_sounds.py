"""Sounds: what is read, what is refused, and log-mel features against their equations."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sunhwan.data import mel
from sunhwan.data.sequences import number_encoder_from_config
from sunhwan.data.sounds import LogMel, Sound
from sunhwan.errors import DataError, UsageError

RATE = 8000


def _signal(seed=0, samples=3000, channels=1):
    """Noise with an envelope and a slope: no symmetry that could hide a mistake."""
    random = np.random.default_rng(seed)
    envelope = np.linspace(0.05, 0.3, samples)[:, None]
    return (random.normal(0, 1, (samples, channels)) * envelope).clip(-0.99, 0.99)


def _file(signal, rate=RATE, format="WAV", **options):
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format=format, **options)
    return file.getvalue()


def _sound(signal, rate=RATE, name="x.wav"):
    return Sound(_file(signal, rate, subtype="FLOAT"), name)


# reading


@pytest.mark.parametrize("format", ["WAV", "WAVEX", "RF64", "FLAC", "OGG"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_a_sound_is_the_mean_of_its_channels(format, channels, tmp_path):
    signal = _signal(channels=channels)
    content = _file(signal, 16000, format)
    path = tmp_path / "speech.raw"  # the content decides, not the name
    path.write_bytes(content)
    for source in (content, path):
        sound = Sound(source, "speech")
        assert sound.header() == (16000, 3000)
        read, rate = sound.read()
        assert (read.dtype, read.shape, rate) == (np.float32, (3000,), 16000)
        mean = signal.mean(axis=1)
        if format == "OGG":  # keeps only what can be heard
            assert np.corrcoef(read, mean)[0, 1] > 0.8
        else:
            np.testing.assert_allclose(read, mean, atol=5e-5)


def test_blocks_of_a_long_sound_are_put_together_in_order():
    signal = _signal(samples=200_001, channels=2)
    read, _ = Sound(_file(signal, subtype="FLOAT"), "long.wav").read()
    np.testing.assert_allclose(read, signal.mean(axis=1), atol=1e-7)


def test_a_sound_is_not_read_before_it_is_needed(tmp_path):
    sound = Sound(tmp_path / "later.wav", "later.wav")
    with pytest.raises(DataError, match=r"later\.wav: expected a file, but there is none"):
        sound.read()
    (tmp_path / "later.wav").write_bytes(_file(_signal()))
    assert len(sound.read()[0]) == 3000
    assert repr(Sound(b"x" * 1000, "a.wav")) == "Sound(name='a.wav')"


def test_a_size_that_was_not_known_when_writing_began_is_no_mistake():
    content = _file(_signal())
    streamed = content[:40] + b"\xff\xff\xff\xff" + content[44:]
    expected, _ = Sound(content, "whole.wav").read()
    np.testing.assert_array_equal(Sound(streamed, "streamed.wav").read()[0], expected)


def _with_nan():
    signal = _signal()
    signal[6] = np.nan
    return _file(signal, subtype="FLOAT")


BROKEN = {
    "empty": (b"", "expected a WAV, FLAC or OGG file, received one that begins with b''"),
    "text": (b"hello, world", "begins with b'hell'"),
    "MP3": (_file(_signal(), format="MP3"), "expected a WAV, FLAC or OGG file"),
    "header alone": (_file(_signal())[:30], "cannot be read"),
    "no samples": (_file(np.empty(0)), "holds no samples"),
    "cut off WAV": (_file(_signal())[:3000], "cut off: expected 6,000 bytes of sound, received"),
    "cut off FLAC": (_file(_signal(), format="FLAC")[:3000], "cannot be read|cut off"),
    "cut off OGG": (_file(_signal(), format="OGG")[:2000], "cannot be read|cut off"),
    "NaN": (_with_nan(), "sample 7 must be a finite number, received nan"),
    "infinite": (_file(_signal() * np.inf, subtype="FLOAT"), "must be a finite number"),
    "two infinities": (
        _file(_signal(channels=2) + np.array([np.inf, -np.inf]), subtype="FLOAT"),
        "sample 1 must be a finite number, received nan",
    ),
    "beyond float32": (
        _file(np.full((3000, 2), 3e38), subtype="FLOAT"),
        "sample 1 must be a finite number, received inf",
    ),
    "silence": (_file(np.zeros(3000)), "received silence: every sample is 0"),
    "hum of 0 Hz": (_file(np.full(3000, 0.25)), "received silence: every sample is 0.25"),
    "slow": (_file(_signal(), 500), "expected from 1,000 to 384,000 samples a second"),
    "fast": (_file(_signal(), 2_000_000), "received 2,000,000"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_sound_is_named(name):
    content, message = BROKEN[name]
    with pytest.raises(DataError, match=rf"^{name}\.wav: .*({message})"):
        Sound(content, f"{name}.wav").read()


def test_a_folder_is_no_sound(tmp_path):
    with pytest.raises(DataError, match="expected a file"):
        Sound(tmp_path, "folder").read()


def test_a_sound_of_many_minutes_is_refused_before_it_is_read():
    sound = Sound(_file(_signal(samples=RATE * 7)), "speech.wav")
    assert len(sound.read(minutes=7 / 60)[0]) == RATE * 7
    with pytest.raises(DataError, match=r"speech\.wav: expected at most 0\.1 minutes, received 0"):
        sound.read(minutes=0.1)


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
def test_damage_anywhere_gives_a_sound_or_a_data_error(format):
    content = bytearray(_file(_signal(samples=600), format=format))
    random = np.random.default_rng(3)
    messages = []
    for trial in range(300):
        damaged = content[: random.integers(len(content))] if trial % 3 == 0 else content[:]
        for place in random.integers(0, min(len(damaged), 120) or 1, 3):
            damaged[place : place + 1] = random.bytes(1)
        try:
            Sound(bytes(damaged), "damaged").read()
        except DataError as error:
            messages.append(error.message)
    assert len(messages) > 100
    assert all(message.startswith("damaged: ") for message in messages)


# features


def _by_the_equations(signal, rate, mels, window, hop, floor):
    """Log-mel features in float64, a sum at a time, without a fast Fourier transform."""
    length, step = round(window * rate), round(hop * rate)
    signal = signal - signal.mean()
    to_mel, to_hz = lambda f: 1127 * np.log(1 + f / 700), lambda m: 700 * (np.exp(m / 1127) - 1)
    edges = to_hz(np.linspace(to_mel(20), to_mel(rate / 2), mels + 2))
    size = mel._mel_weights(rate, mels, length)[1]
    assert size >= length
    time = np.arange(length)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * time / length)
    power = np.zeros((1 + (len(signal) - length) // step, mels))
    for t in range(len(power)):
        part = signal[t * step : t * step + length] * hann
        for k in range(size // 2 + 1):
            frequency = k * rate / size
            energy = abs(np.sum(part * np.exp(-2j * np.pi * k * time / size))) ** 2
            for b in range(mels):
                low, middle, high = edges[b : b + 3]
                rise, fall = (
                    (frequency - low) / (middle - low),
                    (high - frequency) / (high - middle),
                )
                power[t, b] += energy * max(0, min(rise, fall))
    bands = 10 * np.log10(np.maximum(power, power.max() / 10 ** (floor / 10)))
    loud = bands.max(axis=1)
    return bands - bands[loud > loud.max() - 25].mean(axis=0)


def test_features_follow_the_equations():
    signal = _signal(4, 1100)[:, 0]
    signal[:300] *= 1e-3  # a pause, below the floor in some bands
    options = {"mels": 7, "window": 0.02, "hop": 0.008, "floor": 30.0}
    encoder = LogMel(**options).fit([_sound(signal)])
    expected = _by_the_equations(signal.astype(np.float32).astype(float), RATE, **options)
    np.testing.assert_allclose(encoder.encode(_sound(signal)) * encoder.scale + encoder.mean,
                               expected, atol=2e-3)  # fmt: skip
    assert np.abs(expected).max() > 5


def test_no_band_is_left_without_a_bin():
    for rate, mels, window in [(8000, 40, 0.025), (8000, 200, 0.005), (48000, 128, 0.01)]:
        weights, _ = mel._mel_weights(rate, mels, round(rate * window))
        assert ((weights > 0).sum(axis=0) >= 1).all()


def test_long_recordings_are_worked_on_in_parts(monkeypatch):
    signal = _signal(5, 9000)[:, 0].astype(np.float32)
    whole = mel.mel_power(signal, RATE, 20, 0.025, 0.010)
    monkeypatch.setattr(mel, "_BLOCK", 2000)
    np.testing.assert_allclose(mel.mel_power(signal, RATE, 20, 0.025, 0.010), whole, rtol=1e-5)


def test_scales_are_those_of_the_training_sounds_alone():
    training = [_sound(_signal(seed, 2000 + 500 * seed)) for seed in range(4)]
    encoder = LogMel(mels=12, deltas=True).fit(training)
    steps = np.concatenate([encoder.encode(sound) for sound in training])
    assert steps.dtype == np.float32
    assert steps.shape[1] == encoder.features == 24
    np.testing.assert_allclose(steps.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(steps.std(axis=0), 1, atol=1e-4)
    before = encoder.config()
    encoder.encode(_sound(_signal(9) * 0.01))
    assert encoder.config() == before


def test_volume_pauses_and_a_hum_make_no_difference():
    signal = _signal(6, 4000)[:, 0]
    signal[-400:] *= 1e-4  # so that no window is loud in part when silence is added
    signal -= signal.mean()
    encoder = LogMel().fit([_sound(signal)])
    expected = encoder.encode(_sound(signal))
    for changed in (signal * 0.01, -signal, signal + 0.3, signal * 1e12):
        np.testing.assert_allclose(encoder.encode(_sound(changed)), expected, atol=0.02)
    later = encoder.encode(_sound(np.concatenate([signal, np.zeros(2000)])))
    assert len(later) == len(expected) + 25
    np.testing.assert_allclose(later[: len(expected)], expected, atol=0.02)


def test_recordings_are_levelled_only_if_asked():
    signal = _signal(6)[:, 0]
    encoder = LogMel(normalise="training").fit([_sound(signal)])
    louder = encoder.encode(_sound(signal * 2)) - encoder.encode(_sound(signal))
    np.testing.assert_allclose(louder * encoder.scale, 20 * np.log10(2), atol=0.01)


def test_deltas_are_slopes():
    ramp = np.outer(np.arange(9), [1.0, -2.0]).astype(np.float32)
    slopes = mel.slopes(ramp)
    np.testing.assert_allclose(slopes[2:-2], np.tile([1.0, -2.0], (5, 1)), rtol=1e-6)
    fitted = np.polyfit(range(-2, 3), ramp[[0, 0, 0, 1, 2]], 1)[0]
    np.testing.assert_allclose(slopes[0], fitted, rtol=1e-5)


def _tone(frequency, rate, seconds=0.5):
    time = np.arange(int(rate * seconds)) / rate
    return 0.3 * np.sin(2 * np.pi * frequency * time) + _signal(1, len(time))[:, 0] * 1e-3


def test_the_commonest_rate_is_taken_and_others_are_resampled():
    sounds = [
        _sound(_tone(f, rate), rate) for f, rate in [(700, 16000), (900, 16000), (700, 22050)]
    ]
    slow = _sound(_tone(700, 8000), 8000)
    encoder = LogMel(mels=30, normalise="training").fit([*sounds, slow])
    assert encoder.learnt_rate == 16000
    native, _, from_22050 = (
        encoder.encode(sound) * encoder.scale + encoder.mean for sound in sounds
    )
    assert from_22050.shape == native.shape
    tone = native.mean(axis=0).argmax()
    np.testing.assert_allclose(from_22050[:, tone], native[:, tone], atol=0.5)
    lines = encoder.describe([*sounds, slow])
    assert lines[0].startswith("log-mel: 30 bands from 20 to 8,000 Hz")
    assert lines[1:] == [
        "2 of 4 sounds are resampled to 16,000 Hz: 1 of 8,000 Hz, 1 of 22,050 Hz",
        "1 of 4 sounds hold nothing above 4,000 Hz, because their rate is lower",
    ]
    assert len(encoder.describe(sounds[:2])) == 1
    assert LogMel(mels=9).fit([sounds[0], slow]).learnt_rate == 8000  # of equals, the lowest
    assert LogMel(11025, mels=9).fit(sounds).learnt_rate == 11025


def test_a_sound_shorter_than_a_window_is_named():
    encoder = LogMel().fit([_sound(_signal())])
    assert encoder.encode(_sound(_signal(samples=200))).shape == (1, 40)
    with pytest.raises(
        DataError, match=r"click\.wav: expected at least one window of 25 ms, re.*24"
    ):
        encoder.encode(_sound(_signal(samples=199), name="click.wav"))
    with pytest.raises(DataError, match=r"click\.wav"):
        LogMel().fit([_sound(_signal()), _sound(_signal(samples=199), name="click.wav")])


def test_fit_comes_first_and_needs_sounds():
    with pytest.raises(UsageError, match="call `fit` first"):
        LogMel().encode(_sound(_signal()))
    with pytest.raises(DataError, match="received none"):
        LogMel().fit([])
    with pytest.raises(DataError, match="expected a Sound, received ndarray"):
        LogMel(8000).fit([np.zeros(3000)])


@pytest.mark.parametrize(
    "options",
    [{"mels": 0}, {"mels": 12.0}, {"mels": True}, {"rate": 10}, {"rate": "8000"}, {"hop": 0.05},
     {"window": float("nan")}, {"floor": None}, {"normalise": "speaker"}, {"deltas": 1},
     {"minutes": -1}],
)  # fmt: skip
def test_options_are_checked(options):
    with pytest.raises(UsageError, match=f"`{next(iter(options))}` must be"):
        LogMel(**options)


# configuration


@pytest.mark.parametrize("rate", [None, 6000])
def test_an_encoder_comes_back_from_json(rate):
    sounds = [_sound(_signal(seed)) for seed in range(3)]
    encoder = LogMel(rate, mels=11, deltas=True, floor=35.0).fit(sounds)
    config = json.loads(json.dumps(encoder.config()))
    again = number_encoder_from_config(config)
    assert again.config() == config
    assert (again.features, again.learnt_rate) == (22, rate or 8000)
    np.testing.assert_array_equal(again.encode(sounds[0]), encoder.encode(sounds[0]))


@pytest.mark.parametrize(
    ("part", "value"),
    [("name", "log"), ("mels", 10**9), ("mels", 13), ("learnt_rate", 0), ("learnt_rate", 16000),
     ("mean", [0.0]), ("mean", "x"), ("mean", [None] * 12), ("scale", [-1.0] * 12),
     ("scale", [float("inf")] * 12), ("window", 10**9), ("normalise", ["recording"])],
)  # fmt: skip
def test_a_tampered_configuration_is_refused(part, value):
    config = LogMel(8000, mels=12).fit([_sound(_signal())]).config()
    with pytest.raises(DataError):
        number_encoder_from_config(config | {part: value})
    with pytest.raises(DataError, match="must have the parts"):
        number_encoder_from_config({k: v for k, v in config.items() if k != "mean"})
    with pytest.raises(DataError, match="must have the parts"):
        LogMel.from_config(config | {"extra": 1})


# real recordings


@pytest.mark.skipif("SUNHWAN_DATA" not in os.environ, reason="SUNHWAN_DATA is not set")
def test_spoken_digits_of_an_unheard_speaker_are_told_apart():
    from sklearn.linear_model import RidgeClassifier

    path = Path(os.environ["SUNHWAN_DATA"]) / "spoken-digits/recordings.zip"
    with zipfile.ZipFile(path) as archive:
        takes = tuple(f"_{take}.wav" for take in range(8))
        names = [name for name in archive.namelist() if name.endswith(takes)]
        sounds = [Sound(archive.read(name), name) for name in names]
    digits, speakers = np.array([name.split("/")[-1].split("_")[:2] for name in names]).T
    heard = speakers != "jackson"
    encoder = LogMel().fit([sound for sound, use in zip(sounds, heard, strict=True) if use])
    steps = [encoder.encode(sound) for sound in sounds]
    for sound, encoded in zip(sounds, steps, strict=True):
        rate, samples = sound.header()
        assert rate == 8000
        assert encoded.shape == (1 + (samples - 200) // 80, 40)
    # twelve steps each, evenly spread
    rows = [encoded[np.linspace(0, len(encoded) - 1, 12).round().astype(int)] for encoded in steps]
    table = np.array(rows).reshape(len(rows), -1)
    model = RidgeClassifier(alpha=300).fit(table[heard], digits[heard])
    assert model.score(table[~heard], digits[~heard]) > 0.6  # 0.1 by chance
