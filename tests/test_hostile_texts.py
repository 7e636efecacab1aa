"""What nobody should hand to `generate` and `translate`: a sentence for each, and nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from sunhwan import TextGenerator, Translator, load
from sunhwan.cli import app
from sunhwan.errors import DataError, ShapeError, UsageError
from sunhwan.runs.folder import RunFolder

SMALL = ["--units", "4", "--embedding", "3", "--epochs", "2", "--learning-rate", "0.01"]
LETTERS = list("abcdefgh")


def invoke(*arguments: object, given: bytes = b"", lang: str = "C.UTF-8"):
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(app, words, input=given, env={"LC_ALL": lang})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    draw = np.random.default_rng(3)
    sources = ["".join(draw.choice(LETTERS, draw.integers(2, 7))) for _ in range(60)]
    return [(text, text[::-1].upper()) for text in sources]


@pytest.fixture(scope="module")
def translating(pairs: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was trained on a table with faulty rows among good ones."""
    folder = tmp_path_factory.mktemp("translate")
    lines = ["source\ttarget", *("\t".join(pair) for pair in pairs)]
    lines[3:3] = ["", "abc\t", "\tCBA", "\t", "ab\x00c\tCBA", "abc", "a" * 3_000 + "\tA"]
    table = folder / "pairs.tsv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = invoke("train", "translate", table, *SMALL, "--max-length", 60, "--out", folder / "run")
    assert done.exit_code == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def writing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("generate")
    text = folder / "song.txt"
    text.write_text("one two three\nfour five six\n" * 12, encoding="utf-8")
    done = invoke("train", "generate", text, *SMALL, "--out", folder / "run")
    assert done.exit_code == 0, done.stderr
    return folder / "run"


def test_faulty_pairs_are_counted_and_named_and_the_others_learnt(translating: Path) -> None:
    data = RunFolder.open(translating).read("results.json")["data"]
    reasons = {row["place"]: row["reason"] for row in data["rejected"]}
    assert data["train"] + data["validation"] + data["test"] == 60
    assert reasons["pairs.tsv, line 5"] == "`target` is empty"
    assert reasons["pairs.tsv, line 6"] == "`source` is empty"
    assert "NUL" in reasons["pairs.tsv, line 8"]
    assert "3,000 tokens" in reasons["pairs.tsv, line 10"]
    assert data["rejected_count"] == len(reasons)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no.tsv"),
        (b"source\ttarget\n", "expected rows after the header"),
        (b"source\none\ntwo\n", "no column is left for the target"),
        (b"text\none word\ntwo words\n", "expected two columns of texts"),
        (b"source\ttarget\n" + b"abc\tCBA\n" * 30, "30 pairs are too few"),
        (b"source\ttarget\nabc\t\ndef\t\n", "none of the 2 rows can be used"),
        ("source\ttarget\nabc\tCBA\n".encode("utf-16"), "text in UTF-16"),
        ("source\ttarget\nso\tno\n하나\t둘\n셋\t넷\n".encode("cp949"), "not UTF-8: byte 0x"),
    ],
)
def test_tables_without_pairs_are_refused_before_there_is_a_run(
    tmp_path: Path, content: bytes, said: str
) -> None:
    table = tmp_path / "no.tsv"
    table.write_bytes(content)
    result = invoke("train", "translate", table, "--out", tmp_path / "run")
    assert result.exit_code in (1, 2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_pairs_that_are_all_too_long_are_refused_before_there_is_a_run(
    tmp_path: Path, pairs: list[tuple[str, str]]
) -> None:
    table = tmp_path / "long.tsv"
    rows = [f"{source * 20}\t{target}" for source, target in pairs]
    table.write_text("source\ttarget\n" + "\n".join(rows) + "\n", encoding="utf-8")
    result = invoke("train", "translate", table, "--max-length", 8, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert "pairs are longer than `max_length`" in result.stderr
    assert not (tmp_path / "run").exists()


def test_each_line_has_its_answer_or_the_reason_why_not(translating: Path) -> None:
    before = contents(translating)
    lines = [
        b"abc", b"", b"   ", "가나다 🙂".encode(), b"\xff\xfea", b"ab\x00c", b"\x1b[31mred",
        b"a" * 10_000, "\ud800".encode("utf-8", "surrogatepass"), b"b" * 119, b"gh",
    ]  # fmt: skip
    result = invoke("translate", translating, given=b"\n".join(lines))
    assert result.exit_code == 0, result.stderr
    answers = result.stdout.split("\n")
    assert len(answers) == len(lines) + 1
    refused = [number for number, answer in enumerate(answers[:-1], 1) if not answer]
    assert refused == [2, 3, 5, 6, 8, 9]
    said = result.stderr.splitlines()
    assert [line.split(":")[0] for line in said[:6]] == [
        f"standard input, line {n}" for n in refused
    ]
    assert said[0].endswith("the text is empty")
    assert said[2].endswith("not UTF-8: byte 0xff at place 1 of the line")
    assert said[3].endswith("holds a NUL byte")
    assert said[4].endswith("the source has 10,000 tokens, more than twice `max_length` 60")
    assert said[5].endswith("not UTF-8: byte 0xed at place 1 of the line")
    assert said[6].startswith("tokens never met while learning, and read as unknown: ")
    # what stands beside a line has no part in its answer
    assert invoke("translate", translating, given=b"gh\n").stdout.strip("\n") == answers[10]
    assert contents(translating) == before


def test_nothing_to_translate_and_another_encoding_are_told(
    translating: Path, tmp_path: Path
) -> None:
    result = invoke("translate", translating)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.strip() == "standard input: there is no line to answer"
    wide = tmp_path / "wide.txt"
    wide.write_bytes("abc\n".encode("utf-16"))
    result = invoke("translate", translating, wide)
    assert result.exit_code == 1
    assert "wide.txt: expected UTF-8 text, but the file begins like text in UTF-16" in result.stderr
    for options, said in (
        (["--width", 0], "`width`"),
        (["--width", 5000], "`width`"),
        (["--length-penalty", -1], "`length_penalty`"),
        (["--length-penalty", "nan"], "`length_penalty`"),
        (["--lang", "fr"], "`lang` must be one of en, ko"),
    ):
        result = invoke("translate", translating, *options, given=b"abc\n")
        assert result.exit_code == 2, (options, result.stderr)
        assert said in result.stderr


def test_pairs_that_cannot_be_judged_are_counted(translating: Path, tmp_path: Path) -> None:
    table = tmp_path / "more.tsv"
    table.write_text(
        "source\ttarget\nabc\tCBA\n가나\t나가\nab\t\n" + "h" * 999 + "\tH\n", encoding="utf-8"
    )
    result = invoke("evaluate", translating, table, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["rows"] == 2
    assert "more.tsv, line 4: `target` is empty" in result.stderr
    assert "more than twice `max_length` 60" in result.stderr
    assert "rows left out: 2" in result.stderr
    table.write_text("source\nabc\n", encoding="utf-8")
    result = invoke("evaluate", translating, table)
    assert result.exit_code == 1
    assert "target" in result.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the text is empty"),
        (b" \n\n\t", "the text is empty"),
        ("one two\n".encode("utf-16"), "text in UTF-16"),
        ("one two\n".encode("utf-16-le"), "holds a NUL byte"),
        ("국민대학교\n".encode("cp949"), "not UTF-8: byte 0xb1"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "not UTF-8: byte 0x89"),
    ],
)
def test_files_without_text_are_refused_before_there_is_a_run(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "no.txt"
    path.write_bytes(content)
    result = invoke("train", "generate", path, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_a_file_of_one_letter_is_learnt_and_written(tmp_path: Path) -> None:
    path, run = tmp_path / "one.txt", tmp_path / "run"
    path.write_text("가", encoding="utf-8")
    done = invoke("train", "generate", path, *SMALL, "--epochs", 40, "--out", run)
    assert done.exit_code == 0, done.stderr
    assert "1 characters are too few to hold some of them out" in done.stderr
    assert invoke("suggest", run, "--count", 1).stdout.split()[1] == "가"
    assert invoke("generate", run, "--temperature", 0).stdout == "가\n"
    again = invoke("evaluate", run, path)
    assert again.exit_code == 0, again.stderr
    assert "learnt from" in again.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--length", 0], "`length` must be a whole number from 1, received 0"),
        (["--length", -5], "`length` must be a whole number from 1, received -5"),
        (["--length", 10**12], "`length` must be at most 1,000,000,000"),
        (["--temperature", -1], "`temperature` must be 0"),
        (["--temperature", "nan"], "`temperature` must be 0"),
        (["--top-p", 0], "`top_p` must be above 0 and at most 1"),
        (["--top-k", 0], "`top_k` must be a whole number from 1"),
        (["--seed", -1], "`seed` must be a whole number from 0"),
        (["--lang", "fr"], "`lang` must be one of en, ko"),
    ],
)
def test_options_that_nothing_can_be_written_with_are_refused(
    writing: Path, options: list[object], said: str
) -> None:
    before = contents(writing)
    result = invoke("generate", writing, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert contents(writing) == before


def test_a_prompt_may_be_anything_that_is_text(writing: Path) -> None:
    for prompt in ("", " ", "가나다 🙂", "\x1b[31m", "\udcff", "o" * 3_000):
        result = invoke("generate", writing, "--prompt", prompt, "--length", 5)
        assert result.exit_code == 0, (prompt, result.stderr)
        has_unknown = prompt in ("가나다 🙂", "\x1b[31m", "\udcff")
        assert ("never met while learning" in result.stderr) == has_unknown
        assert invoke("suggest", writing, "--prompt", prompt).exit_code == 0
    for given in (b"", b"one\r\n", b"a\x00b"):
        result = invoke("generate", writing, "--prompt", "-", "--length", 5, given=given)
        assert result.exit_code == 0, (given, result.stderr)
    for verb in ("generate", "suggest"):
        result = invoke(verb, writing, "--prompt", "-", given=b"one\ntw\xb1o\n")
        assert result.exit_code == 1
        assert "standard input, line 2: expected a line of text in UTF-8" in result.stderr
        assert "not UTF-8: byte 0xb1 at place 3 of the line" in result.stderr


def test_other_texts_are_judged_whatever_their_letters(writing: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.txt"
    path.write_text("가나다라 마바사\n", encoding="utf-8")
    result = invoke("evaluate", writing, path, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["loss"] > 0
    path.write_bytes(b"")
    result = invoke("evaluate", writing, path)
    assert result.exit_code == 1
    assert "the text is empty" in result.stderr


def test_it_is_told_in_korean(writing: Path, translating: Path, tmp_path: Path) -> None:
    table = invoke("suggest", writing, "--lang", "ko", "--count", 99).stdout
    assert table.split()[0] == "확률"
    assert "<끝>" in table
    assert "<end>" in invoke("suggest", writing, "--count", 99).stdout
    marks = [one["text"] for one in json.loads(invoke("suggest", writing, "--json").stdout)]
    assert "<끝>" not in marks
    wrong = invoke("generate", writing, "--length", 0, "--lang", "ko")
    assert wrong.stderr.strip() == "오류: `length` 값은 1 이상의 정수여야 합니다. 받은 값: 0"
    result = invoke("translate", translating, "--lang", "ko", given="\n가\n".encode())
    assert result.stderr.splitlines() == [
        "표준 입력, 1번째 줄: 글이 비어 있음",
        "학습할 때 나오지 않아 모르는 토큰으로 읽은 것: 1개 가운데 1개",
    ]
    path = tmp_path / "no.txt"
    path.write_bytes(b"")
    result = invoke("train", "generate", path, "--out", tmp_path / "run", lang="ko_KR.UTF-8")
    assert "쓸 수 있는 것이 하나도 없습니다" in result.stderr


def test_samples_of_one_text_go_on_from_its_test_part(writing: Path, translating: Path) -> None:
    results = RunFolder.open(writing).read("results.json")
    prompts = {sample["prompt"] for sample in results["samples"]}
    assert len(prompts) == 1
    assert prompts <= {"one two three\n", "four five six\n"}
    page = (writing / "report.html").read_text("utf-8")
    assert "Written on from the beginning of the test part" in page
    assert "Written from nothing" not in page


def test_estimators_name_the_text_that_does_not_fit(translating: Path, writing: Path) -> None:
    translator, generator = load(translating), load(writing)
    assert isinstance(translator, Translator)
    assert isinstance(generator, TextGenerator)
    assert translator.translate([]) == []
    with pytest.raises(DataError, match="text 1 is empty"):
        translator.translate(["abc", " "])
    with pytest.raises(DataError, match="text 0: the source has 10,000 tokens"):
        translator.translate("a" * 10_000)
    with pytest.raises(UsageError, match="text 1 must be a str, received NoneType"):
        translator.translate(["abc", None])  # type: ignore[list-item]
    with pytest.raises(ShapeError, match="a target for each of the 2 sources, received 1"):
        Translator().fit(["a", "b"], ["A"])
    with pytest.raises(DataError, match="source 1 is empty"):
        Translator().fit(["a", ""], ["A", "B"])


def test_half_a_letter_is_read_as_one_that_nobody_knows(tmp_path: Path) -> None:
    generator = TextGenerator(units=3, embedding=2, epochs=1).fit("ab\ud800" * 5)
    assert generator.evaluate("a\ud800")["loss"] > 0
    generator.save(tmp_path / "run")
    assert load(tmp_path / "run").generate("\udfff", 3, seed=2) == generator.generate(
        "\udfff", 3, seed=2
    )
