"""Folders that no estimator can be made of."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache

import sunhwan
from sunhwan import Classifier, Regressor, Tagger
from sunhwan.errors import DataError, UsageError
from sunhwan.runs.folder import RunFolder

# both compile to the same
TINY: dict[str, Any] = {"units": 5, "embedding": 3, "num_layers": 1, "batch_size": 8, "dropout": 0}
TINY |= {"bidirectional": False, "epochs": 2, "patience": 60, "validation": 0.25}
LEARNS: dict[str, Any] = TINY | {"epochs": 40, "learning_rate": 0.03}
KINDS = [Classifier, Regressor, Tagger]


@pytest.fixture(scope="module", autouse=True)
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Compile what the tests have in common once."""
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(tmp_path_factory.mktemp("compiled")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    yield
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 1.0)


def films(count: int = 24) -> tuple[list[str], list[str]]:
    """Texts of three words, of which one decides."""
    words = [("abcd"[n % 4], ["good", "bad"][n // 4 % 2]) for n in range(count)]
    random.Random(4).shuffle(words)
    return [f"{a} {b} film" for a, b in words], ["yes" if b == "good" else "no" for _, b in words]


@pytest.fixture(scope="module")
def fitted(_compiled: None) -> Classifier:
    return Classifier(**LEARNS).fit(*films())


@pytest.mark.parametrize(
    ("file", "changed", "message"),
    [
        ("config.json", {"labels": "complex"}, "the labels are not 'complex'"),
        ("config.json", {"labels": "int"}, "the labels are not 'int'"),
        ("config.json", {"labels": ["str"]}, "the labels are not"),
        ("history.json", {"figures": None}, "history.json is not"),
        ("history.json", {"best_epoch": [1]}, "history.json is not"),
        ("run.json", {"task": "tag"}, "different tasks"),
    ],
)
def test_a_damaged_folder_is_refused(
    fitted: Classifier, tmp_path: Path, file: str, changed: dict[str, Any], message: str
) -> None:
    path = fitted.save(tmp_path / "run")
    record = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(record | {"sha256": {}}))
    content = json.loads((path / file).read_text())
    (path / file).write_text(json.dumps(content | changed))
    with pytest.raises(DataError, match=message):
        sunhwan.load(path)


def test_other_runs_have_no_estimator(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", "dance")
    with pytest.raises(UsageError, match="is a run of `dance`, which has no estimator"):
        sunhwan.load(tmp_path / "run")
    with pytest.raises(DataError, match="there is none"):
        sunhwan.load(tmp_path / "nothing")
