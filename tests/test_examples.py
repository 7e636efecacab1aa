"""The scripts in examples/: they call what exists, and their table says what was kept."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from sunhwan.tasks.config import OPTIONS

ROOT = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(ROOT.glob("*.sh"))


def _keep() -> ModuleType:
    spec = importlib.util.spec_from_file_location("keep", ROOT / "keep.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _words(script: Path, folder: Path, *arguments: str) -> list[str]:
    """What the script would run, word by word."""
    stand_in = folder / "sunhwan"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    # what draws data first has tests of its own
    drawing = folder / "python"
    drawing.write_text("#!/bin/sh\n")
    drawing.chmod(0o755)
    path = f"{folder}:{os.environ['PATH']}"
    environment = {"PATH": path, "SUNHWAN_DATA": os.environ.get("SUNHWAN_DATA", "/nowhere")}
    done = subprocess.run(
        ["sh", str(script), *arguments], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_chooses_nothing_but_data_and_columns(script: Path, tmp_path: Path) -> None:
    words = _words(script, tmp_path)
    assert words[0] == "train"
    assert words[-2:] == ["--out", f"runs/{script.stem}"]
    assert not {word[2:].replace("-", "_") for word in words if word[:2] == "--"} & set(OPTIONS)
    if "SUNHWAN_DATA" in os.environ and "$SUNHWAN_DATA" in script.read_text(encoding="utf-8"):
        files = [word for word in words if word.startswith(os.environ["SUNHWAN_DATA"])]
        assert files
        assert all(Path(name).is_file() for name in files)
    assert _words(script, tmp_path, "else/where")[-1] == "else/where"


def test_every_script_has_its_figures_and_the_table_is_theirs() -> None:
    kept = {path.stem for path in (ROOT / "results").glob("*.json")}
    assert kept == {script.stem for script in SCRIPTS}
    assert _keep().table() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_keeping_a_run_that_is_no_example_is_refused(tmp_path: Path) -> None:
    from sunhwan.errors import DataError

    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "results.json").write_text("{}")
    with pytest.raises(DataError, match="expected the name of a script"):
        _keep().keep(tmp_path / "mine")


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*.json")), ids=lambda p: p.stem)
def test_kept_figures_name_no_folder_of_a_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "/" not in text.replace("Linux/", "")
    assert json.loads(text)["baselines"]
