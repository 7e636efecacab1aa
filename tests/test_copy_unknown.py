"""Unknown tokens of an answer, written as the token of the source that was looked at."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sunhwan.errors import UsageError
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs

NAMES = ("Bo", "Ada", "Kim", "Lee", "Max", "Eve", "Zoe", "Ian", "Uma", "Sam", "Ray", "Joy")
THINGS = ("tea", "rice", "soup", "milk", "fish", "cake")
#: so few words fit that no name does: a name is unknown on both sides
SMALL: dict[str, Any] = {"units": 32, "embedding": 16, "dropout": 0.0, "token_dropout": 0.0,
                         "batch_size": 8, "epochs": 30, "learning_rate": 0.01, "patience": 30,
                         "source_tokens": "words", "target_tokens": "words",
                         "vocabulary": 9, "attention": "multiplicative"}  # fmt: skip


def pairs_of(names: tuple[str, ...]) -> Pairs:
    sources = [f"{name} eats {thing}" for name in names for thing in THINGS]
    targets = [f"{thing} for {name}" for name in names for thing in THINGS]
    return Pairs(sources, targets, [f"line {number}" for number in range(len(sources))])


@pytest.fixture(scope="module")
def learner() -> TranslateLearner:
    made = TranslateLearner(TranslateConfig(**SMALL, copy_unknown=True))
    pairs = pairs_of(NAMES)
    made.prepare(pairs)
    made.short_enough(pairs)
    made.fit(pairs, pairs)
    return made


def test_a_name_that_no_vocabulary_holds_is_copied(learner: TranslateLearner) -> None:
    assert not any(name in token for token in learner.encoder.target.tokens for name in NAMES)
    pairs = pairs_of(("Quirin", "홍길동"))
    said = learner.answer(pairs.sources)
    right = np.mean([one == wanted for one, wanted in zip(said, pairs.targets, strict=True)])
    assert right > 0.8, said
    assert all("\ufffd" not in one for one in said)


def test_without_it_no_answer_is_unknown(learner: TranslateLearner) -> None:
    learner.config = learner.config.model_copy(update={"copy_unknown": False})
    try:
        said = learner.answer(["Quirin eats soup"])[0]
    finally:
        learner.config = learner.config.model_copy(update={"copy_unknown": True})
    assert "Quirin" not in said
    assert "\ufffd" not in said


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"attention": "none", "source_tokens": "words"}, "attention"),
        ({"source_tokens": "bpe"}, "sources of characters or words"),
    ],
)
def test_what_cannot_be_copied_is_refused(options: dict[str, Any], what: str) -> None:
    config = TranslateConfig(copy_unknown=True, **options)
    with pytest.raises(UsageError, match=what):
        config.settled(config.source_tokens, "words", 100)
