"""The options of a run: what a person may set, and what is chosen where nobody did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field

from sunhwan.data.examples import Kind
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.caption_config import CaptionConfig
from sunhwan.tasks.forecast_config import ForecastConfig
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.options import ALIASES as ALIASES
from sunhwan.tasks.options import Cell, Optimizer, Options, make
from sunhwan.tasks.translate_config import TranslateConfig

Task = Literal["classify", "regress", "tag"]
#: all that a run can be told to learn
TASKS = (*get_args(Task), "forecast", "generate", "translate", "caption")
PoolingMode = Literal["last", "mean", "max", "attention"]
Tokens = Literal["auto", "words", "characters", "bpe", "unigram", "jamo", "morphemes"]
#: bytes of a file of options
_LARGEST_FILE = 2**20


class Config(Options):
    """All options of a run; None means that it is chosen by the kind of the data.

    Examples
    --------
    >>> Config(task="classify", units=32).settled("text").embedding
    32
    """

    task: Task

    bidirectional: bool | None = Field(None, description="read in both directions")
    embedding: int | None = Field(
        None, ge=1, le=4096, description="width of an id's vector, or of a frame's"
    )
    token_dropout: float | None = Field(
        None, ge=0, lt=1, description="share of ids that are hidden while training"
    )
    pooling: PoolingMode | None = Field(None, description="how the steps become one answer")
    tokens: Tokens = Field("auto", description="what a text is split into")
    vocabulary: int | None = Field(None, ge=3, le=1_000_000, description="most ids of a text")
    max_length: int | None = Field(
        None,
        ge=1,
        description="most steps; longer sequences are cut, by `tag` into pieces",
    )
    class_weights: Literal["none", "balanced"] = Field(
        "none", description="whether rare classes count more"
    )

    def settled(self, kind: Kind) -> Config:
        """The options with every None replaced by the default for a kind of data."""
        chosen = {**_DEFAULTS["all"], **_DEFAULTS[kind], **_DEFAULTS.get(self.task, {})}
        return self.model_copy(
            update={name: value for name, value in chosen.items() if getattr(self, name) is None}
        )


#: all options of all tasks, by name
OPTIONS = {
    **CaptionConfig.model_fields,
    **TranslateConfig.model_fields,
    **GenerateConfig.model_fields,
    **ForecastConfig.model_fields,
    **Config.model_fields,
}
#: the options of tasks that have other ones
_OTHERS: dict[
    Any,
    type[ForecastConfig] | type[GenerateConfig] | type[TranslateConfig] | type[CaptionConfig],
] = {
    "forecast": ForecastConfig,
    "generate": GenerateConfig,
    "translate": TranslateConfig,
    "caption": CaptionConfig,
}
#: the options of any task
RunConfig = Config | ForecastConfig | GenerateConfig | TranslateConfig | CaptionConfig

#: chosen on validation data of the sets in `examples/`; see docs/workbench.md
_DEFAULTS: dict[str, dict[str, Any]] = {
    "all": {"cell": "gru", "units": 64, "num_layers": 1, "bidirectional": True, "embedding": 64,
            "pooling": "max", "dropout": 0.5, "token_dropout": 0.0, "learning_rate": 1e-3,
            "schedule": "constant", "epochs": 20, "batch_size": 64, "patience": 3},
    "text": {"units": 48, "embedding": 32, "token_dropout": 0.3, "batch_size": 32},
    "tag": {"pooling": "last"},
    "tokens": {"learning_rate": 2e-3, "epochs": 40, "batch_size": 32,
               "patience": 5},
    "numbers": {"num_layers": 2, "pooling": "mean", "dropout": 0.2, "learning_rate": 3e-3,
                "schedule": "cosine", "epochs": 60, "patience": 20, "batch_size": 32},
    "sound": {"num_layers": 2, "pooling": "attention", "learning_rate": 2e-3, "schedule": "cosine",
              "epochs": 30, "patience": 10, "batch_size": 32},
    "clip": {"pooling": "mean", "dropout": 0.1, "learning_rate": 5e-3, "schedule": "cosine",
             "epochs": 20, "patience": 8, "batch_size": 16},
}  # fmt: skip


def make_config(options: Mapping[str, Any]) -> Config:
    """A `Config` of options by name; dashes are as good as underscores.

    Raises
    ------
    UsageError
        An option that does not exist (with the name that was meant), or a value that does not fit.

    Examples
    --------
    >>> make_config({"task": "classify", "num-layers": 2}).num_layers
    2
    """
    if options.get("task") == "tag" and options.get("pooling") not in (None, "last"):
        raise UsageError("`pooling` has no meaning for `tag`, which answers at each step")
    return make(Config, options)


def make_options(options: Mapping[str, Any]) -> RunConfig:
    """The options of the task that is among them.

    Raises
    ------
    UsageError
        As of `make_config`; names the task that an option of another one is for.

    Examples
    --------
    >>> make_options({"task": "forecast", "horizon": 6}).horizon
    6
    """
    if options.get("task") not in TASKS:
        raise UsageError(
            f"the task must be one of {', '.join(TASKS)}, received {options.get('task')!r}"
        )
    other = _OTHERS.get(options.get("task"))
    wanted: type[Options] = other or Config
    for name in (name.replace("-", "_") for name in options):
        if name not in wanted.model_fields and name in OPTIONS:
            raise UsageError(f"`{name}` has no meaning for `{options.get('task')}`")
    return make_config(options) if other is None else make(other, options)


def read_options(path: Path | str, task: str = "classify") -> dict[str, Any]:
    """The options in a YAML or JSON file, by name with underscores.

    The ``config.json`` of a run gives the options of that run.

    Parameters
    ----------
    task
        What they are for, if they do not say.

    Raises
    ------
    DataError
        The file is missing, too large, or holds anything but names with plain values.
    UsageError
        An option that does not exist, or a value that does not fit; names the file.
    """
    path = Path(path)
    found = _read_mapping(path)
    if isinstance(found.get("options"), dict):
        found = found["options"]
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | None):
            raise DataError(
                f"{path}: expected a word or a number for `{str(name)[:40]}`, "
                f"received {type(value).__name__}"
            )
    options = {name.replace("-", "_"): value for name, value in found.items()}
    try:
        make_options({"task": task, **options})
    except UsageError as error:
        raise UsageError(f"{path}: {error.message}", hint=error.hint) from None
    return {name: value for name, value in options.items() if value is not None}


def _read_mapping(path: Path) -> dict[Any, Any]:
    import yaml

    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise DataError(f"{path}: larger than {_LARGEST_FILE:,} bytes, so not a configuration")
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not JSON or YAML that can be read: {reason}") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected lines such as `units: 64`, received no names")
    return found


def choices(name: str) -> tuple[str, ...]:
    """The words that an option may be, or nothing where it is a number.

    Examples
    --------
    >>> choices("cell")
    ('simple', 'lstm', 'gru')
    """
    kinds = {"cell": Cell, "pooling": PoolingMode, "tokens": Tokens, "optimizer": Optimizer}
    return get_args(kinds[name]) if name in kinds else ()
