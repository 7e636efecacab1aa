"""Keras's own test files for these layers, with our classes in the place of Keras's.

The files come inside the installed ``keras`` package. They run in two processes side by side, with
`keras_suite_plugin` putting our classes where the tests look for Keras's.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import keras
import pytest

import keras_suite_plugin
import subprocesses

_LAYERS = Path(keras.__file__).parent / "src" / "layers"
#: file -> how many of its tests pass at least; a version of Keras may add some
FILES: dict[str, int] = {
    "rnn/simple_rnn_test.py": 5,
    "rnn/lstm_test.py": 6,
    "rnn/gru_test.py": 8,
    "rnn/bidirectional_test.py": 9,
    "rnn/time_distributed_test.py": 6,
    "core/embedding_test.py": 45,
    "rnn/rnn_test.py": 9,
    "rnn/stacked_rnn_cells_test.py": 7,
    "rnn/dropout_rnn_cell_test.py": 1,
}
#: two processes of about equal length
GROUPS = (tuple(FILES)[:7], tuple(FILES)[7:])
#: test that cannot apply to our classes -> why
CANNOT_APPLY: dict[str, str] = {}


def _start(files: tuple[str, ...], folder: Path) -> subprocess.Popen[str]:
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    skip = [f"--deselect={test}" for test in CANNOT_APPLY]
    options = ["-q", "-p", "no:cacheprovider", "-p", "keras_suite_plugin", "--noconftest"]
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "pytest", *options, *skip),
            *("-W", "ignore", "-c", str(folder / "pytest.ini"), f"--rootdir={folder}"),
            *("--tb=short", "-o", "junit_family=xunit1", f"--junitxml={folder / 'results.xml'}"),
            *(str(_LAYERS / name) for name in files),
        ],
        # compiling such small layers takes far longer than running them
        env=subprocesses.environment(XLA_FLAGS="--xla_backend_optimization_level=0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, str]]]:
    """Run everything once; return (test, outcome) by file."""
    folders = [tmp_path_factory.mktemp(f"keras{n}") for n in range(len(GROUPS))]
    processes = [_start(*pair) for pair in zip(GROUPS, folders, strict=True)]
    found: dict[str, list[tuple[str, str]]] = {name: [] for name in FILES}
    texts = [process.communicate(timeout=600)[0] for process in processes]
    for text, folder in zip(texts, folders, strict=True):
        results = folder / "results.xml"
        assert results.is_file(), text[-4000:]
        assert keras_suite_plugin.SENTENCE in text
        for case in ElementTree.parse(results).iter("testcase"):
            (name,) = [name for name in FILES if case.attrib["file"].endswith(name)]
            problems = [child for child in case if child.tag in ("failure", "error", "skipped")]
            outcome = f"{problems[0].tag}: {problems[0].text}" if problems else "passed"
            found[name].append((case.attrib["name"], outcome))
    return found


@pytest.mark.parametrize("name", FILES)
def test_keras_own_tests_pass_with_our_classes(name: str, outcomes: dict) -> None:
    bad = {test: why for test, why in outcomes[name] if why.startswith(("failure", "error"))}
    assert bad == {}
    passed = [test for test, outcome in outcomes[name] if outcome == "passed"]
    assert len(passed) >= FILES[name], outcomes[name]
