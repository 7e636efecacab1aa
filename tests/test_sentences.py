"""Everything that a run can say is said in Korean too, and nothing is translated that never is."""

from __future__ import annotations

import ast
import re
import string
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

import sunhwan
from said_cases import Said, every_case
from said_errors import every_error
from sunhwan.cli import app, outcome
from sunhwan.runs import sentences
from sunhwan.runs.folder import RunFolder
from sunhwan.runs.results_page import render_results
from sunhwan.runs.sentences import tables, translated

PACKAGE = Path(sunhwan.__file__).parent

#: tables whose sentences are said as they are; all others stand in these
WHOLE = ("sentence", "place", "title", "kernel", "failure", "hint")


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> list[Said]:
    folders = (tmp_path_factory.mktemp(name) for name in ("said", "errors"))
    said = [*every_case(next(folders)), *every_error(next(folders))]
    return list(dict.fromkeys(said))


def test_all_that_is_said_has_a_korean_sentence(cases):
    missing = [
        (table, said)
        for table, said in cases
        # a file alone, as a place, has no words
        if " " in said.replace(":", "") and not re.search("[가-힣]", translated(said, "ko", table))
    ]
    assert missing == []


def test_every_translation_is_used(cases):
    """A template that fits no case has gone from the code, or another one takes its sentences."""
    used: set[tuple[str, str]] = set()
    for table, said in cases:
        _follow(said, table, used)
    unused = [
        (table, template)
        for table, entries in tables("ko").items()
        for template in entries
        if (table, template) not in used and table not in ("baseline", "role", *_LISTS)
    ]
    assert not unused, unused


#: tables of which the cases need not show every entry
_LISTS = ("frequency", "step", "cycles", "format", "why", "unit", "tail")


def _follow(said: str, table: str, used: set[tuple[str, str]]) -> None:
    for english, pattern, _ in sentences._templates("ko").get(table, ()):
        if found := pattern.fullmatch(said):
            used.add((table, english))
            for name, value in found.groupdict().items():
                _follow(value, name, used)
            return


def test_translations_have_the_values_of_the_english_and_no_particle_after_them():
    for table, entries in tables("ko").items():
        for english, korean in entries.items():
            names = [_fields(text) for text in (english, korean)]
            assert names[1] <= names[0], english
            assert names[0] - names[1] <= {"level_again", "file", "error"}, english
            assert not re.search(r"\}(은|는|이|가|을|를|과|와|로|으로)\b", korean), (table, korean)


def _fields(text: str) -> set[str]:
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


@pytest.mark.parametrize("table", WHOLE)
def test_what_nobody_translated_stays_as_it_is(table):
    for text in ("", "Film reviews", "words: a lot", "`a` is empty, he said", "95 % of {all}"):
        assert translated(text, "ko", table) == text
        assert translated(text, "en", table) == text


def test_english_stays_english(cases):
    assert all(translated(said, "en", table) == said for table, said in cases)


def test_values_are_put_in_as_they_are_written():
    # braces, quotes and what looks like another sentence are no templates
    said = "expected 3 fields (a}, {0}, `b` is empty), received 1"
    assert translated(said, "ko") == "필드가 3개(a}, {0}, `b` is empty)여야 하는데 1개입니다."
    assert translated("text: drift (its name says so)", "ko") == "텍스트: drift(열 이름으로 짐작)"
    assert translated("always drift", "ko") == "항상 drift 응답"
    rates = "4 of 4,000 Hz, 3 of 6,000 Hz, 2 of 9,000 Hz"
    said = translated(f"9 of 12 sounds are resampled to 8,000 Hz: {rates}", "ko")
    assert said.endswith("9개(4,000 Hz 4개, 6,000 Hz 3개, 9,000 Hz 2개)")


def test_a_text_made_to_take_long_does_not():
    start = time.perf_counter()
    for text in ("`a` is not one but " * 500, "a, line 1: " * 2_000, "(" * 9_999, "1 of " * 1_900):
        translated(text, "ko")
        translated(text, "ko", "kernel")
        translated(text, "ko", "failure")
    assert time.perf_counter() - start < 5


def test_the_page_speaks_korean():
    results = {
        "task": "classify", "title": "classify: reviews.csv",
        "data": {
            "notes": ["files: texts"],
            "rejected": [{"place": "a.csv, line 3", "reason": "`label` is empty"}],
            "columns": {"layout": "a.zip", "covariates": []},
        },
        "metrics": {"accuracy": 0.9},
        "baselines": [{"name": "drift", "detail": "always 4", "metrics": {"accuracy": 0.5}}],
        "errors": [{"place": "a.parquet, row 7", "true": 1.0, "predicted": 2.0}],
        "model": {"kernels": ["memory (LSTM): plain JAX, because use_cudnn=True asks for cuDNN"]},
    }  # fmt: skip
    page = render_results(results, "ko")
    for text in (
        "<h1>분류: reviews.csv</h1>", "파일의 내용: 글", "a.csv, 3번째 줄",
        "‘label’ 열이 비어 있습니다.", "폴더나 압축 파일", "항상 4 응답", "a.parquet, 7번째 행",
        "memory (LSTM): 순수 JAX. 까닭: use_cudnn=True: cuDNN을 요청했습니다.",
    ):  # fmt: skip
        assert text in page
    assert "<h1>classify: reviews.csv</h1>" in render_results(results)


@pytest.fixture
def two_runs(tmp_path) -> list[str]:
    """Two runs with a Korean report that were judged on the same rows."""
    for name, right in (("one", 5), ("other", 9)):
        run = RunFolder.create(tmp_path / name, "classify")
        run.write("config.json", {"data": {"lang": "ko"}})
        run.write_predictions(
            {"row": n, "true": "a", "predicted": "ab"[n >= right]} for n in range(10)
        )
    return [str(tmp_path / "one"), str(tmp_path / "other")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], ["행 10개", "정확도", "차이", "95% 신뢰구간", "P값", "차이가 확인되지 않았습니다"]),
        (["--lang", "en"], ["10 rows", "accuracy", "difference", "95 % interval", "No difference"]),
    ],
)
def test_a_comparison_speaks_the_language_of_the_first_run(two_runs, options, says):
    result = CliRunner().invoke(app, ["compare", *two_runs, *options])
    assert result.exit_code == 0
    assert [word for word in says if word not in result.output.replace("\u00a0", " ")] == []
    assert bool(re.search("[가-힣]", result.output)) == (not options)


def test_rejected_rows_are_named_in_the_language_of_the_run(two_runs, capsys):
    assert outcome.language_of(Path(two_runs[0])) == "ko"
    assert outcome.language_of(Path(two_runs[0]), "en") == "en"
    outcome.note_rejected([{"place": "a.csv, line 3", "reason": "`label` is empty"}], "ko")
    assert capsys.readouterr().err.splitlines() == [
        "a.csv, 3번째 줄: ‘label’ 열이 비어 있습니다.", "제외한 행: 1개",
    ]  # fmt: skip


# what the code can say, read from the code itself


#: calls that say something, and the place of it among their arguments
SPEAK = {"Rejected": 1, "FieldError": 0, "reject": 1, "say": 0, "take": 2, "choose": 2, "need": 2}
#: names of variables, attributes and entries that hold what is said
HOLD = {"notes", "lines", "doubts", "note", "detail", "why", "reason", "reasons", "words", "roles"}
#: modules that say nothing of a run's results; of the others those that return what is said
SILENT = re.compile(r"tuning|exporting|datasets|options|batch")
RETURN = re.compile(r"baselines|forecast|name_patterns|paths")


def test_all_that_the_code_can_say_is_among_the_cases(cases):
    """A note or a reason that is new needs a case in `said_cases`, and with it a translation."""
    known = [said for _, said in cases]
    unsaid = [
        f"{path.name}: {literal}"
        for path in [*sorted(PACKAGE.glob("data/*.py")), *sorted(PACKAGE.glob("tasks/*.py")),
                     PACKAGE / "layers" / "paths.py"]
        if not SILENT.search(path.stem)
        for literal in sorted(_literals_said(path))
        if not any(re.search(literal, said) for said in known)
    ]  # fmt: skip
    assert unsaid == []


def test_what_is_new_in_the_code_is_found(tmp_path):
    path = tmp_path / "forecast_x.py"
    path.write_text(
        "def f(n) -> str:\n"
        "    notes.append(f'{n:,} steps ' + 'are new')\n"
        "    rejected.append(Rejected(place, f'{n} is wrong'))\n"
        "    raise DataError(f'{n} is refused')\n"
        "    return 'this is said' if n else f'and that, {n}'\n"
    )
    found = {literal.replace("\\", "") for literal in _literals_said(path)}
    assert found == {".* steps ", "are new", ".* is wrong", "this is said", "and that, .*"}


def _literals_said(path: Path) -> set[str]:
    """The texts in what a module says, as regular expressions with the values left open."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {literal for node in _said(tree, path) for literal in _literals(node)}
    plain = {part: re.sub(r"\\|\.\*", "", part) for part in parts}
    return {part for part in parts if re.search(r"[A-Za-z]{3}", plain[part]) and " " in plain[part]}


def _said(tree: ast.AST, path: Path) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = SPEAK.get(_name(node.func), -1)
            if isinstance(node.func, ast.Attribute) and _name(node.func.value) in HOLD:
                place = 0
            yield from node.args[place : place + 1] if place >= 0 else []
            yield from (word.value for word in node.keywords if word.arg in HOLD)
        elif isinstance(node, ast.Assign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from [node.value] if any(_name(target) in HOLD for target in targets) else []
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (value for key, value in pairs
                        if isinstance(key, ast.Constant) and key.value in HOLD)  # fmt: skip
        elif isinstance(node, ast.FunctionDef):
            returned = ast.unparse(node.returns) if node.returns else ""
            if node.name == "describe" or (RETURN.search(path.stem) and "str" in returned):
                ends = [one for one in ast.walk(node) if isinstance(one, ast.Return)]
                yield from (one.value for one in ends if one.value is not None)


def _literals(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.JoinedStr):
        yield "".join(
            re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".*"
            for part in node.values
        )
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield re.escape(node.value)
    elif not isinstance(node, ast.Compare):
        for child in ast.iter_child_nodes(node):
            yield from _literals(child)


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return getattr(node, "id", getattr(node, "attr", ""))
