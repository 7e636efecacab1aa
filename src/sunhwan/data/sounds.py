"""Recordings, and the log-mel features that a network hears them by."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sunhwan.data.mel import LOWEST, SOFTEST, mel_power, slopes
from sunhwan.data.number_encoder import NumberEncoder, check_choice, check_number, learn_scales
from sunhwan.errors import DataError

if TYPE_CHECKING:
    from soundfile import SoundFile

#: samples a second that a recording may have
_RATES = (1_000, 384_000)
#: dB; steps this far below the loudest count as pauses
_PAUSE = 25.0
#: how the files begin that are read: WAV (three kinds), FLAC, OGG
_BEGINNINGS = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS")
#: what libsndfile notes about a WAV file that ends too early
_CUT_OFF = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
#: bytes; sizes from here on are what programs write that do not know the size yet
_UNKNOWN_SIZE = 0x7FFF_F000
#: samples that are read at once
_BLOCK = 65_536


@dataclass(frozen=True)
class Sound:
    """A recording that is not read before it is needed: WAV, FLAC or OGG.

    Parameters
    ----------
    content
        The bytes of the file, or where it is.
    name
        What messages call it, such as ``recordings.zip, 7_theo_3.wav``.

    Examples
    --------
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.tile([[0.5, 0.0], [-0.5, 0.0]], (400, 1)), 8000, format="WAV")
    >>> signal, rate = Sound(file.getvalue(), "buzz.wav").read()
    >>> signal[:2].tolist(), rate
    ([0.25, -0.25], 8000)
    """

    content: bytes | Path = field(repr=False)
    name: str

    def header(self) -> tuple[int, int]:
        """Samples a second, and how many there are, without reading them.

        Raises
        ------
        DataError
            As for `read`, as far as the beginning of the file tells.
        """
        with self._open() as file:
            return file.samplerate, file.frames

    def read(self, minutes: float = 10.0) -> tuple[NDArray[np.float32], int]:
        """The signal ``float32[N]``, the mean of all channels, and its samples a second.

        Raises
        ------
        DataError
            There is no such file, or it is no WAV, FLAC or OGG, is broken or cut off, holds no
            samples, silence alone or a number that is not finite, or lasts longer than `minutes`.
        """
        with self._open() as file:
            rate, frames = file.samplerate, file.frames
            if frames > minutes * 60 * rate:
                raise DataError(
                    f"{self.name}: expected at most {minutes:g} minutes, "
                    f"received {frames / rate / 60:,.1f}",
                    hint="cut it into pieces",
                )
            size = max(1, _BLOCK // file.channels)
            # what is not finite, or gets so here, is found below
            with np.errstate(over="ignore", invalid="ignore"):
                blocks = [
                    block.mean(axis=1)
                    for block in file.blocks(blocksize=size, dtype="float32", always_2d=True)
                ]
        signal = np.concatenate(blocks) if blocks else np.empty(0, np.float32)
        if len(signal) != frames:
            raise DataError(
                f"{self.name}: the file is cut off: expected {frames:,} samples, "
                f"received {len(signal):,}",
                hint="copy the file again",
            )
        self._check(signal)
        return signal, rate

    def _check(self, signal: NDArray[np.float32]) -> None:
        if not len(signal):
            raise DataError(f"{self.name}: expected a sound, but the file holds no samples")
        wrong = ~np.isfinite(signal)
        if wrong.any():
            raise DataError(
                f"{self.name}: sample {int(wrong.argmax()) + 1:,} must be a finite number, "
                f"received {signal[wrong][0]}"
            )
        if signal.min() == signal.max():
            raise DataError(
                f"{self.name}: expected a sound, received silence: every sample is {signal[0]:g}"
            )

    @contextmanager
    def _open(self) -> Iterator[SoundFile]:
        """The open file; whatever goes wrong while it is open becomes a DataError."""
        import soundfile

        try:
            with ExitStack() as stack:
                source = stack.enter_context(self._source())
                beginning = source.read(4)
                if beginning not in _BEGINNINGS:
                    raise DataError(
                        f"{self.name}: expected a WAV, FLAC or OGG file, received one that "
                        f"begins with {beginning!r}",
                        hint="convert it first, for example with `ffmpeg -i FILE FILE.wav`",
                    )
                source.seek(0)
                # a file is given by its number: by its name, `speech.raw` would not be looked into
                opened = source.fileno() if isinstance(source, io.FileIO) else source
                file = stack.enter_context(soundfile.SoundFile(opened, closefd=False))
                self._check_header(file)
                yield file
        except (OSError, soundfile.SoundFileError) as error:
            reason = getattr(error, "error_string", None) or error
            raise DataError(f"{self.name}: the sound cannot be read ({reason})") from error

    def _source(self) -> io.BytesIO | io.FileIO:
        if not isinstance(self.content, Path):
            return io.BytesIO(self.content)
        if not self.content.is_file():
            raise DataError(f"{self.name}: expected a file, but there is none")
        return io.FileIO(self.content)

    def _check_header(self, file: SoundFile) -> None:
        low, high = _RATES
        if not low <= file.samplerate <= high:
            raise DataError(
                f"{self.name}: expected from {low:,} to {high:,} samples a second, "
                f"received {file.samplerate:,}"
            )
        cut = _CUT_OFF.search(file.extra_info)
        if cut and int(cut[2]) < int(cut[1]) < _UNKNOWN_SIZE:
            raise DataError(
                f"{self.name}: the file is cut off: expected {int(cut[1]):,} bytes of sound, "
                f"received {int(cut[2]):,}",
                hint="copy the file again",
            )


class LogMel(NumberEncoder):
    """Recordings to ``float32[T, features]``: how loud each band of pitches is, step by step.

    The power spectrum of each window is summed over triangular bands of equal width on the mel
    scale, and taken in decibels (Davis & Mermelstein 1980, "Comparison of parametric
    representations for monosyllabic word recognition in continuously spoken sentences", IEEE
    Trans. ASSP 28(4), without their last step, the cosine transform). How loud the recording is
    as a whole, and with ``normalise="recording"`` the colour of voice and microphone too, are
    taken off, so that speakers who were not there in training sound more like those who were.

    Parameters
    ----------
    rate
        Samples a second to which all recordings are brought; None takes the commonest rate of
        the training sounds, of equally common ones the lowest.
    mels
        How many bands.
    window, hop
        Seconds: the length of a window, and the step from one to the next.
    floor
        dB: whatever is softer than the loudest band of the recording by more than this counts as
        just that soft; keeps the noise of different rooms out.
    normalise
        ``recording``: from each band, take off its mean over the loud steps of the recording
        (those within 25 dB of the loudest), however long the pauses are. ``training``: leave
        bands as they are. Either way they are then scaled by what was learnt in training.
    deltas
        Whether to add the slope of each band over five steps, which doubles the features.
    minutes
        Longer recordings are refused.

    Attributes
    ----------
    learnt_rate
        Samples a second in use; 0 before `fit`.

    Examples
    --------
    >>> import soundfile
    >>> file = io.BytesIO()
    >>> soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 8000), 8000, format="WAV")
    >>> sound = Sound(file.getvalue(), "noise.wav")
    >>> LogMel(mels=20).fit([sound]).encode(sound).shape
    (98, 20)
    """

    name = "log-mel"
    _options = ("rate", "mels", "window", "hop", "floor", "normalise", "deltas", "minutes")
    _learnt = ("learnt_rate", "mean", "scale")

    def __init__(
        self,
        rate: int | None = None,
        *,
        mels: int = 40,
        window: float = 0.025,
        hop: float = 0.010,
        floor: float = 50.0,
        normalise: Literal["recording", "training"] = "recording",
        deltas: bool = False,
        minutes: float = 10.0,
    ) -> None:
        super().__init__()
        if rate is not None:
            check_number("rate", rate, *_RATES, whole=True)
        self.rate = rate
        self.mels = check_number("mels", mels, 1, 512, whole=True)
        self.window = check_number("window", window, 0.005, 1.0)
        self.hop = check_number("hop", hop, 0.001, self.window)
        self.floor = check_number("floor", floor, 10, 200)
        self.normalise = check_choice("normalise", normalise, ("recording", "training"))
        self.deltas = check_choice("deltas", deltas, (True, False))
        self.minutes = check_number("minutes", minutes, 0.01, 600)
        self.learnt_rate = 0

    @property
    def features(self) -> int:  # type: ignore[override]
        """How many numbers a step has after `encode`."""
        return self.mels * (2 if self.deltas else 1)

    def encode(self, value: Sound) -> NDArray[np.float32]:
        """``float32[T, features]`` of a recording, T = 1 + (seconds - window) / hop rounded down.

        Raises
        ------
        DataError
            The recording cannot be read, see `Sound.read`, or is shorter than one window.
        """
        self._check_fitted()
        return self._standard(self._bands(value)).astype(np.float32)

    def describe(self, inputs: Sequence[Sound]) -> list[str]:
        """Lines on the features, and on the sounds of other rates in `inputs`."""
        self._check_fitted()
        rate = self.learnt_rate
        lines = [
            f"log-mel: {self.mels} bands from {LOWEST:g} to {rate / 2:,g} Hz"
            f"{', their slopes' * self.deltas}, a step every {self.hop * 1000:g} ms"
        ]
        others = Counter(sound.header()[0] for sound in inputs)
        del others[rate]
        if others:
            found = ", ".join(f"{others[other]:,} of {other:,} Hz" for other in sorted(others))
            lines.append(
                f"{others.total():,} of {len(inputs):,} sounds are resampled to "
                f"{rate:,} Hz: {found}"
            )
        low = {other: count for other, count in others.items() if other < rate}
        if low:
            lines.append(
                f"{sum(low.values()):,} of {len(inputs):,} sounds hold nothing above "
                f"{max(low) / 2:,g} Hz, because their rate is lower"
            )
        return lines

    def _learn(self, inputs: Sequence[Sound]) -> None:
        if self.rate is None:
            rates = Counter(sound.header()[0] for sound in inputs)
            self.learnt_rate = min(rates, key=lambda rate: (-rates[rate], rate))
        else:
            self.learnt_rate = self.rate
        self.mean, self.scale = learn_scales(self._bands(sound) for sound in inputs)

    def _restore(self, config: Mapping[str, Any]) -> None:
        super()._restore(config)
        rate = check_number("learnt_rate", config["learnt_rate"], *_RATES, whole=True)
        if self.rate not in (None, rate) or len(self.mean) != self.features:
            raise DataError(
                f"`learnt_rate` {rate} and {len(self.mean)} means do not fit to `rate` "
                f"{self.rate} and {self.features} features"
            )
        self.learnt_rate = rate

    def _bands(self, sound: Sound) -> NDArray[np.float32]:
        """``float32[T, features]`` before scaling."""
        signal = self._signal(sound)
        loudest = float(np.abs(signal).max()) or 1.0
        power = mel_power(signal / loudest, self.learnt_rate, self.mels, self.window, self.hop)
        floor = max(power.max() * 10 ** (-self.floor / 10), SOFTEST)
        bands = 10 * np.log10(np.maximum(power, np.float32(floor)))
        if self.normalise == "recording":
            level = bands.max(axis=1)
            bands -= bands[level > level.max() - _PAUSE].mean(axis=0)
        else:
            bands += 20 * np.log10(loudest)
        return np.concatenate([bands, slopes(bands)], axis=1) if self.deltas else bands

    def _signal(self, sound: Sound) -> NDArray[np.float32]:
        """``float32[N]`` at the rate in use, its mean taken off, of at least one window."""
        if not isinstance(sound, Sound):
            raise DataError(f"expected a Sound, received {type(sound).__name__}")
        signal, rate = sound.read(self.minutes)
        signal = (signal - signal.mean(dtype=np.float64)).astype(np.float32)
        if rate != self.learnt_rate:
            from scipy.signal import resample_poly

            common = gcd(rate, self.learnt_rate)
            signal = resample_poly(signal, self.learnt_rate // common, rate // common)
        if len(signal) < round(self.window * self.learnt_rate):
            raise DataError(
                f"{sound.name}: expected at least one window of {self.window * 1000:g} ms, "
                f"received {len(signal) / self.learnt_rate * 1000:.1f} ms"
            )
        return signal
