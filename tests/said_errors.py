"""What stops a command, in English from the code that says it: mistakes that newcomers make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from said_captions import caption_mistakes
from sunhwan.cli import app
from sunhwan.data.columns import Columns
from sunhwan.data.rows import open_rows
from sunhwan.data.series import read_series
from sunhwan.errors import SunhwanError
from sunhwan.runs.folder import RunFolder
from sunhwan.tasks import generate_run, run_records, running, translate_run
from sunhwan.tasks.config import make_options
from sunhwan.tasks.generate_sources import read_texts
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.sources import find_data, read_source
from sunhwan.tasks.splits import hold_out
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_parts import split_pairs, within_length
from sunhwan.tasks.translate_sources import read_pairs

#: the table of translations, and an error or its hint
Said = tuple[str, str]

LONG = "so long a text which nobody would take for the name of a column"

#: tables that cannot be learnt from, with the task and what is said of their columns
TABLES: dict[str, tuple[str, dict[str, Any], str]] = {
    "no such column": ("classify", {"label": "lable"}, "text,label\na b,x\n"),
    "no such column at all": ("classify", {"label": "zzzz"}, "text,label\na b,x\n"),
    "one column twice": ("classify", {"text": "a", "label": "a"}, "a,b\nc d,x\n"),
    "which label": ("classify", {"text": "a"}, "a,b,c\ngood it is,x,y\nbad it is,y,x\n"),
    "no label": ("classify", {"text": "a"}, "a\ngood it is\n"),
    "no text": ("classify", {}, "label,b\nx,\ny,\n"),
    "no features": ("tag", {"label": "b"}, "t,b,c\n1,x,d\n2,y,e\n"),
    "text or steps": ("classify", {}, "what,x1,x2,x3,x4,label\n"
                      + "".join(f"so long it was {n},1,{n},3,4,{'uv'[n % 2]}\n" for n in range(9))),
    "which answer": ("tag", {"time": "t"}, "t,u,v\n1,1.5,2\n2,2.5,3\n3,1.5,9\n"),
    "no header": ("classify", {"text": LONG, "label": "x"}, f"{LONG},x\n{LONG} it is,x\nno,y\n"),
    "a number for a header": ("classify", {}, "good,1\nbad,0\n"),
    "two columns of clips": ("tag", {"features": "a,b"}, "a,b,motion\n1.gif,2.gif,up\n"),
    "a name twice": ("classify", {}, "a,a\nb,c\n"),
    "a target to classify": ("classify", {"target": "a"}, "a,b\nc,d\n"),
    "a label to regress": ("regress", {"label": "a"}, "a,b\nc,d\n"),
    "no rows": ("classify", {}, "text,label\n"),
    "no row that is right": ("regress", {"target": "y"}, "text,y\nso it is,low\nit was so,high\n"),
    "one label": ("classify", {}, "text,label\nso it is,x\nit was so,x\n"),
    "one target": ("regress", {"target": "y"}, "text,y\nso it is,4\nit was so,4\n"),
    "a label each": ("classify", {"label": "b"},
                     "text,b\n" + "".join(f"so it is,a{n}\n" for n in range(300))),
    "empty": ("classify", {}, ""),
    "a workbook": ("classify", {}, "PK\x03\x04"),
}  # fmt: skip

#: calls of `sunhwan train` that are wrong
CALLS = (
    ["classify", "x.csv", "--lable", "a"], ["classify", "x.csv", "--zzzzz"], ["classify"],
    ["classify", "x.csv"], ["classify", "x.csv", "--out"],
    ["classify", "x.csv", "--out", "r", "--epochs", "a"],
    ["classify", "x.csv", "--out", "r", "--dropout", "a"],
)  # fmt: skip

#: options that do not fit
OPTIONS: tuple[dict[str, Any], ...] = (
    {"task": "classify", "units": 0}, {"task": "classify", "units": 10_000},
    {"task": "classify", "learning_rate": 0}, {"task": "classify", "validation": 1},
    {"task": "classify", "cell": "lsmt"}, {"task": "clasify"},
    {"task": "forecast", "pooling": "max"}, {"task": "classify", "hidden_size": 4},
)  # fmt: skip

#: what takes long to be said, or another helper of the command line to say it
WRITTEN: tuple[Said, ...] = (
    ("failure", "no row could be answered"),
    ("hint", "standard error names each"),
    ("failure", "`--lang` must be en or ko, received 'de'"),
    ("failure", "new.csv: no row can be used"),
    ("failure", "new.csv: has no column of answers to judge by"),
    ("hint", "`sunhwan predict runs/a b DATA` needs none"),
    ("failure", "there must be at least two labels to tell apart, received only 'a'"),
    ("hint", "check which column is the label"),
    ("failure", "a.csv, line 2: label 'x' did not occur in training, whose labels are a, b"),
    ("failure", "the loss must stay finite, received nan in epoch 3, batch 12"),
    ("hint", "a smaller learning rate, or `clipnorm` of the optimizer, keeps the weights from "
             "running away"),
    ("failure", "`length` must be a whole number from 1, received 0"),
    ("failure", "`length` must be at most 1,000,000,000, received 1000000000000"),
    ("failure", "none of the 3 pairs to judge by can be used; a.tsv, line 2: the source has 900 "
                "tokens, more than twice `max_length` 60"),
    ("failure", "a network that reads clips cannot be exported yet"),
    ("hint", "`sunhwan predict RUN DATA` answers with it"),
    ("failure", "stopped"),
    ("failure", "stopped; nothing was kept"),
    ("failure", "stopped; `sunhwan resume 'a b'` goes on"),
    ("failure", "stopped after epoch 3; `sunhwan resume runs/a` goes on"),
    ("failure", "stopped after batch 5 of 1020 in epoch 2; `sunhwan resume runs/a` goes on"),
    ("failure", "secret.csv: cannot be opened (Permission denied)"),
    ("hint", "`sunhwan resume runs/a` goes on; name another folder, or give `--overwrite` to "
             "remove this one"),
)  # fmt: skip


def every_error(folder: Path) -> list[Said]:
    """Errors and their hints; `folder` is an empty one."""
    said = list(WRITTEN)
    for say in (_tables, _texts, _files, _runs, _calls):
        for error in say(folder):
            said.append(("failure", error.message))
            said += [("hint", error.hint)] if error.hint else []
    return said


def _error(call: Callable[..., Any], *arguments: Any) -> SunhwanError:
    with pytest.raises(SunhwanError) as caught:
        call(*arguments)
    return caught.value


def _tables(folder: Path) -> Iterator[SunhwanError]:
    for number, (task, named, content) in enumerate(TABLES.values()):
        path = folder / f"{number}.csv"
        path.write_text(content, encoding="utf-8")
        yield _error(read_source, task, [path], named)
    path = folder / "excel.csv"
    path.write_bytes("글,레이블\n좋은 영화,긍정\n지루한 영화,부정\n".encode("cp949"))
    yield _error(read_source, "classify", [path], {})
    path.write_bytes(b"text,label\nfine,good\ndull,bad\n" + "좋은 영화,긍정\n".encode("cp949"))
    yield _error(read_source, "classify", [path], {})
    yield _error(read_source, "classify", [_file(folder, "a.xlsx", "a")], {})
    yield _error(open_rows, [_file(folder, "a.csv", "a,b\n"), _file(folder, "b.csv", "a,c\n")])
    yield _error(Columns("text", text="글", label="감정").check, ["내용", "감정"], "새 글.csv")
    days = "".join(f"2024-01-0{n},{n % 3},{n * n}\n" for n in range(1, 8))
    series = _file(folder, "s.csv", "day,a,b\n" + days)
    yield _error(lambda: read_series(series))
    yield _error(lambda: read_series(series, target="c"))
    yield _error(lambda: read_series(series, target="bb"))
    wrong = _file(
        folder,
        "w.csv",
        "day,a\n"
        + "".join(f"2024-01-{n:02},{'many' if n == 5 else n * n}\n" for n in range(1, 30)),
    )
    yield _error(lambda: read_series(wrong, target="a", time="day"))


def _texts(folder: Path) -> Iterator[SunhwanError]:
    """What `generate` and `translate` cannot learn from."""
    names = ("a.txt", "b.txt", "c.tsv", "d.tsv", "e.csv", "f.tsv")
    contents = ("", "좋은 글\n", "text\none\ntwo\n", "a\tb\tc\nso it is\tit is\tis\nno\tno no\to\n",
                f"{LONG}\n{LONG} it is\nno\n", "a\tb\nGo.\t가.\nGo.\t가.\n")  # fmt: skip
    files = [_file(folder, *pair) for pair in zip(names, contents, strict=True)]
    files[1].write_bytes("좋은 글\n".encode("cp949"))
    for path in (*files[:2], files[4]):
        yield _error(read_texts, [path])
    yield _error(read_texts, [files[1], files[2]])
    for path in files[2:5]:
        yield _error(read_pairs, [path])
    yield _error(read_pairs, [_file(folder, "g.tsv", "Go now, they said.\tGo.\nHi.\t안녕.\n")])
    bare = _file(folder, "h.tsv", "a\tb\n\t가.\n")
    yield _error(read_pairs, [bare], {"source": "a", "target": "b"})
    yield _error(split_pairs, read_pairs([files[5]]))
    counts = np.array([9, 9])
    yield _error(within_length, counts, counts, ["a.tsv, line 2", "a.tsv, line 3"], 5)


def _file(folder: Path, name: str, content: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def _files(folder: Path) -> Iterator[SunhwanError]:
    yield _error(find_data, folder / "no.csv")
    yield _error(lambda: list(open_rows(folder / "no.csv")))
    yield _error(lambda: list(open_rows(folder)))
    for task, name in (("classify", "mp3/a.mp3"), ("classify", "flat/abc.txt")):
        yield _error(read_source, task, [_file(folder, name, "so").parent], {})
    one = read_source("classify", [_file(folder, "c.csv", "text,label\nso it is,x\nno,y\n")], {})
    yield _error(hold_out, one.examples.take([0]), 0.2, 1)


def _runs(folder: Path) -> Iterator[SunhwanError]:
    yield _error(RunFolder.open, folder / "none")
    yield _error(RunFolder.open, _file(folder, "d.csv", "a"))
    yield _error(RunFolder.open, folder)
    yield _error(RunFolder.check_free, folder)
    yield _error(RunFolder.check_free, folder / "d.csv")
    run = RunFolder.create(folder / "run", "classify")
    yield _error(running.resume, run.path)
    run.write("environment.json", {"files": []})
    yield _error(run_records.check_files, run, [{"name": "a.csv", "sha256": "0"}])
    run.state = "finished"
    run._save()
    yield _error(running.resume, run.path)
    yield _error(RunFolder.check_free, run.path)
    yield _error(generate_run.load, run.path)
    yield _error(translate_run.load, run.path)
    for mistake in caption_mistakes(folder, run.path):
        yield _error(mistake)
    yield _error(SamplingOptions, -1.0)
    yield _error(SamplingOptions, 1.0, None, 3)


def _calls(folder: Path) -> Iterator[SunhwanError]:
    train = get_command(app).commands["train"]  # type: ignore[attr-defined]
    for words in CALLS:
        yield _error(train.make_context, "train", list(words))
    path = str(_file(folder, "reviews.csv", "text,label\nso it is,x\nit was so,y\n"))
    yield _error(train.make_context, "train", [path, "--out", "r"])
    for options in OPTIONS:
        yield _error(make_options, options)
    for attention, tokens in (("none", "words"), ("additive", "bpe")):
        config = TranslateConfig(copy_unknown=True, attention=attention)  # type: ignore[arg-type]
        yield _error(config.settled, tokens, "words", 9)
