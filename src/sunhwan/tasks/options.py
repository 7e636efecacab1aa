"""The options that every run has, and how options by name become them."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sunhwan.errors import UnknownOptionError, UsageError

Cell = Literal["simple", "lstm", "gru"]
Optimizer = Literal["adam", "adamw", "rmsprop", "sgd", "nadam"]
#: what others call our options
ALIASES = {
    "cell_type": "cell", "rnn_type": "cell", "hidden_size": "units", "hidden_dim": "units",
    "state_size": "units", "rnn_size": "units", "n_layers": "num_layers", "layers": "num_layers",
    "num_epochs": "epochs", "n_epochs": "epochs", "max_epochs": "epochs", "lr": "learning_rate",
    "early_stop": "patience", "random_seed": "seed", "random_state": "seed",
    "bidir": "bidirectional", "vocabulary_size": "vocabulary", "max_len": "max_length",
    "maxlen": "max_length", "clip": "clipnorm", "validation_split": "validation",
    "test_split": "test",
    "window": "input_length", "lookback": "input_length", "prediction_length": "horizon",
    "steps_ahead": "horizon", "seasonality": "season", "season_length": "season",
}  # fmt: skip


class Options(BaseModel):
    """What every run may be told; None means that it is chosen by the data."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    cell: Cell | None = Field(None, description="recurrent cell")
    units: int | None = Field(None, ge=1, le=8192, description="width of each recurrent layer")
    num_layers: int | None = Field(None, ge=1, le=16, description="recurrent layers, stacked")
    dropout: float | None = Field(None, ge=0, lt=1, description="share dropped between layers")
    recurrent_dropout: float = Field(0.0, ge=0, lt=1, description="share dropped in the state")

    optimizer: Optimizer = Field("adam", description="of the training")
    learning_rate: float | None = Field(None, gt=0, le=10, description="at the start")
    schedule: Literal["constant", "cosine", "plateau"] | None = Field(
        None, description="how the learning rate falls"
    )
    clipnorm: float = Field(1.0, ge=0, description="most length of the gradient; 0: any")
    epochs: int | None = Field(None, ge=1, description="most passes over the training part")
    batch_size: int | None = Field(None, ge=1, description="rows of a step")
    patience: int | None = Field(None, ge=1, description="epochs without a better validation loss")
    validation: float = Field(0.1, gt=0, lt=1, description="share held out to stop in time")
    test: float = Field(0.2, ge=0, lt=1, description="share held out to judge, without test data")
    seed: int = Field(1, ge=0, lt=2**31, description="of everything that is drawn")

    def given(self) -> dict[str, Any]:
        """The options that somebody set, by name, without the task."""
        return {name: getattr(self, name) for name in sorted(self.model_fields_set - {"task"})}

    def new_optimizer(self) -> Any:
        """A Keras optimizer as the options, which must be settled, ask for."""
        import keras

        clip = {"clipnorm": self.clipnorm} if self.clipnorm else {}
        settings = {"learning_rate": self.learning_rate, **clip}
        return keras.optimizers.get({"class_name": self.optimizer, "config": settings})


AnyOptions = TypeVar("AnyOptions", bound=Options)
Given = ParamSpec("Given")


def make(kind: type[AnyOptions], options: Mapping[str, Any]) -> AnyOptions:
    """Options of a kind from values by name; dashes are as good as underscores.

    Raises
    ------
    UsageError
        An option that does not exist (with the name that was meant), or a value that does not fit.
    """
    given = {name.replace("-", "_"): value for name, value in options.items()}
    for name in given:
        if name not in kind.model_fields:
            hint = _meant(name, kind.model_fields) or "`sunhwan train --help` lists all options"
            raise UsageError(f"there is no option `{name}`", hint=hint)
    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"]) or "config"
        raise UsageError(
            f"`{name}`: {first['msg'][:1].lower()}{first['msg'][1:]}, received {first['input']!r}"
        ) from None


def checked_names(init: Callable[Given, None]) -> Callable[Given, None]:
    """Let a constructor that takes options by name say which one was meant by an unknown name.

    The signature, from which scikit-learn knows the parameters, stays as it is.

    Raises
    ------
    UnknownOptionError
        From the constructor: an option that it does not take; it is a TypeError too.

    Examples
    --------
    >>> class Network:
    ...     @checked_names
    ...     def __init__(self, *, units=8): ...
    >>> Network(unit=3)
    Traceback (most recent call last):
    sunhwan.errors.UnknownOptionError: `unit` is no option of Network
    hint: did you mean `units`?
    """
    _, *known = inspect.signature(init).parameters

    @functools.wraps(init)
    def checked(*given: Given.args, **options: Given.kwargs) -> None:
        for name in options:
            if name not in known:
                kind = type(given[0]).__name__
                hint = _meant(name, known) or f"its options are {', '.join(known)}"
                raise UnknownOptionError(f"`{name}` is no option of {kind}", hint=hint)
        init(*given, **options)

    return checked


def _meant(name: str, known: Collection[str]) -> str | None:
    if ALIASES.get(name) in known:
        return f"it is called `{ALIASES[name]}` here"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{near[0]}`?" if near else None


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Weights of networks built here are those of a seed.

    Keras draws each seed that it is not given from Python's own generator, whose state is the
    caller's and is put back.
    """
    import random

    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)
