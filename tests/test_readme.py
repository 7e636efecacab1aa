"""The READMEs and docs: their Python runs, their commands and links exist, both tell the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click import Context
from typer.main import get_command

from sunhwan.cli import app

ROOT = Path(__file__).parents[1]
READMES = ("README.md", "README.ko.md")
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").rglob("*.md")]
)


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("name", READMES)
def test_python_of_a_readme_runs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = blocks(ROOT / name, "python")
    assert len(code) >= 3
    for number, block in enumerate(code, 1):
        exec(compile(block, f"{name}, block {number}", "exec"), {"__name__": f"readme_{number}"})
    printed = capsys.readouterr().out
    assert "gru (GRU): Keras's own loop, because activation=gelu has no kernel" in re.sub(
        r"gru_\d+ ", "gru ", printed
    )
    assert "(256, 20, 2) (256,)" in printed


def test_python_of_the_page_on_insight_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    [block] = blocks(ROOT / "docs" / "insight.md", "python")
    exec(compile(block, "insight.md", "exec"), {"__name__": "insight_page"})
    assert capsys.readouterr().out.startswith("memory (LSTM): ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["flow.svg", "model.svg"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_example_imports_keras_first_which_would_look_for_tensorflow(page: Path) -> None:
    for block in blocks(page, "python"):
        imports = re.findall(r"^(?:import|from) (keras|sunhwan)\b", block, re.M)
        assert imports[:1] in ([], ["sunhwan"]), block


def test_both_readmes_have_the_same_examples() -> None:
    english, korean = (ROOT / name for name in READMES)
    assert blocks(english, "python") == blocks(korean, "python")
    theirs = "".join(blocks(korean, "console"))
    for said, meant in (("저장소-주소", "ADDRESS-OF-THIS-REPOSITORY"), (" --lang ko", "")):
        assert said in theirs
        theirs = theirs.replace(said, meant)
    assert theirs == "".join(blocks(english, "console"))


def test_both_pages_on_the_workbench_name_the_same_options_and_files() -> None:
    english, korean = (
        (ROOT / "docs" / name).read_text("utf-8") for name in ("workbench.md", "workbench.ko.md")
    )
    for kind in (r"--[a-z][a-z-]+", r"[a-z_]+(?:/[a-z_]+)?\.(?:py|json|html|yaml|csv|safetensors)"):
        named = [set(re.findall(kind, page)) - {"--lang"} for page in (english, korean)]
        assert named[0] == named[1]
    rows = [len(re.findall(r"^\| ", page, re.M)) for page in (english, korean)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_files_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    broken = [
        link
        for link in links
        if not re.match(r"https?://", link) and not (page.parent / link).exists()
    ]
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    verbs = get_command(app).commands  # type: ignore[attr-defined]
    for verb, rest in re.findall(r"(?:`|^)sunhwan ([a-z]+)([^`\n]*)", text, re.M):
        assert verb in verbs, f"`sunhwan {verb}`"
        parameters = verbs[verb].get_params(Context(verbs[verb]))
        known = {option for parameter in parameters for option in parameter.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= known


def test_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|^)make ([a-z]+)", page.read_text("utf-8"), re.M)
    }
    assert {"demo", "test", "bench", "lint", "docs", "sanitize", "lock", "clean"} <= targets
    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_source_files_that_are_named_exist(page: Path) -> None:
    homes = (ROOT, ROOT / "src" / "sunhwan", page.parent)
    named = re.findall(r"`([a-z_]+(?:/[a-z_0-9]+)+\.(?:py|h|cc))`", page.read_text("utf-8"))
    assert [name for name in named if not any((home / name).is_file() for home in homes)] == []
