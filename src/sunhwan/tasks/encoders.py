"""The encoder for a kind of data, new or from a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sunhwan.data.examples import Examples, Kind
from sunhwan.errors import DataError
from sunhwan.tasks.config import Config

_SUBWORDS = ("bpe", "unigram")


def fit_encoder(config: Config, examples: Examples) -> Any:
    """The encoder that a settled configuration asks for, learnt from training inputs."""
    encoder = _new_encoder(config, examples).fit(examples.inputs)
    if examples.kind == "text" and config.max_length is None:
        encoder.max_length = encoder.guess_max_length(examples.inputs)
    return encoder


def _new_encoder(config: Config, examples: Examples) -> Any:
    if examples.kind == "text":
        return _text_encoder(config, examples.inputs)
    if examples.kind == "tokens":
        from sunhwan.data.affixes import Affixes

        return Affixes(config.vocabulary or 20_000, max_length=_most_steps(config))
    if examples.kind == "sound":
        from sunhwan.data.sounds import LogMel

        return LogMel()
    if examples.kind == "clip":
        from sunhwan.data.clips import Frames

        return Frames(max_length=_most_steps(config))
    from sunhwan.data.sequences import Numbers

    return Numbers(max_length=_most_steps(config))


def _most_steps(config: Config) -> int | None:
    """Steps behind which a sequence is cut; where each has an answer, it is read in pieces."""
    return None if config.task == "tag" else config.max_length


def _text_encoder(config: Config, texts: Sequence[str]) -> Any:
    from sunhwan.data.korean import guess_text_encoder
    from sunhwan.data.tokens import TEXT_ENCODERS

    name = guess_text_encoder(texts)[0] if config.tokens == "auto" else config.tokens
    options: dict[str, Any] = (
        {} if config.vocabulary is None else {"vocabulary_size": config.vocabulary}
    )
    if name in _SUBWORDS:
        name, options = "subwords", {**options, "algorithm": name}
    encoder = TEXT_ENCODERS[name](**options)
    encoder.max_length = config.max_length
    return encoder


def encoder_from_config(config: dict[str, Any], kind: Kind) -> Any:
    """The encoder of a kind of data whose ``config`` gave this.

    Raises
    ------
    DataError
        It names no encoder of that kind, or is not as that encoder writes it.
    """
    from sunhwan.data.affixes import Affixes
    from sunhwan.data.clips import Frames
    from sunhwan.data.sequences import Numbers
    from sunhwan.data.sounds import LogMel
    from sunhwan.data.tokens import TEXT_ENCODERS, text_encoder_from_config

    name = config.get("name")
    if kind == "text" and isinstance(name, str) and name in TEXT_ENCODERS:
        return text_encoder_from_config(config)
    others: dict[Kind, Any]
    others = {"tokens": Affixes, "numbers": Numbers, "sound": LogMel, "clip": Frames}
    if kind in others and name == others[kind].name:
        return others[kind].from_config(config)
    raise DataError(f"there is no encoder of {kind} called {str(name)[:50]!r}")
