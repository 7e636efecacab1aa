"""What runs say in English: notes and reasons from the code that makes them, case by case."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image

from said_captions import caption_cases
from sunhwan.data import values
from sunhwan.data.affixes import Affixes
from sunhwan.data.clips import Frames
from sunhwan.data.columns import Columns, guess
from sunhwan.data.conllu import read_conllu
from sunhwan.data.examples import Examples, Rejected
from sunhwan.data.folders import find_layout, from_folder
from sunhwan.data.rows import Row, open_rows
from sunhwan.data.sequences import Numbers
from sunhwan.data.series import SeriesSet, read_series
from sunhwan.data.sounds import LogMel, Sound
from sunhwan.data.table_examples import to_examples
from sunhwan.data.tokens import Characters, Jamo, Subwords, Words
from sunhwan.tasks import forecast_baselines as naive
from sunhwan.tasks import forecasting_figures as figures
from sunhwan.tasks import pieces, run_records, sources
from sunhwan.tasks.baselines import baselines_for
from sunhwan.tasks.forecast_judging import judge
from sunhwan.tasks.forecasting_preparation import fill_gaps, guess_season, split
from sunhwan.tasks.forecasting_scaling import Scaler
from sunhwan.tasks.forecasting_windows import windows

#: the table of translations, and a sentence
Said = tuple[str, str]


def every_case(folder: Path) -> list[Said]:
    """All that the cases below say; `folder` is an empty one."""
    return [*_tables(folder), *_fields(), *_guesses(), *_folders(folder), *_sounds(folder),
            *_clips(folder), *_sequence_files(folder), *_words(folder), *_series(), *_seasons(),
            *_forecasts(), *_encoders(), *_baselines(), *caption_cases(folder / "captions"),
            *((table, said) for table, all_of in _WRITTEN.items() for said in all_of)]  # fmt: skip


def _notes(lines: Iterable[str]) -> Iterator[Said]:
    return (("sentence", line) for line in lines)


def _rejected(rows: Iterable[Rejected]) -> Iterator[Said]:
    for row in rows:
        yield "place", row.place
        yield "sentence", row.reason


def _tables(folder: Path) -> Iterator[Said]:
    """Files of rows: how they are written, and what is wrong with their lines."""
    faulty = b'text,label\ngood,\nso,"so\nbad,1,2\n\xb0\xa1,1\na\x00b,1\n'
    contents = {
        "a.csv": faulty, "b.csv": b"x;y\n1;2\n3;4\n", "c.csv": b"x|y\n1|2\n",
        "d.tsv": b"x\ty\n1\t2\n", "e.csv": b"text\nso it is\n",
        "f.jsonl": b'{"a": 1}\n[1]\n{"a": }\n{"a": "\\ud800"}\n{"a": NaN}\n{"a": 1, "a": 2}\n\n'
                   b'{"a": "\xb0"}\n',
    }  # fmt: skip
    _write(folder, contents)
    for name in contents:
        rows = open_rows(folder / name)
        yield from _notes(rows.notes)
        list(rows)
        yield from _rejected(rows.rejected)
    columns = Columns("text", text="text", label="label")
    rows = open_rows(folder / "a.csv")
    yield from _rejected(to_examples(rows, columns, "classify", checked=False).rejected)
    step: dict[str, Any] = {"time": ("t",), "id": "id", "features": ("x",), "target": "y"}
    steps = _table(id=["a", "a", "a", None, "b"], t=[1, 1, 2, 3, 1], x=[1] * 5, y=[1, 1, 2, 1, 1])
    columns = Columns("long", **step)
    yield from _rejected(to_examples(steps, columns, "regress", checked=False).rejected)
    columns = Columns("long", **{**step, "id": None})
    yield from _rejected(to_examples(steps, columns, "tag", checked=False).rejected)
    lists = _table(x=[[1, 2], [[1, 2]], [1], 3], y=[[1, 2], [1], [1, 2], [1]])
    columns = Columns("lists", features=("x",), target="y")
    yield from _rejected(to_examples(lists, columns, "tag", checked=False).rejected)
    columns = Columns("lists", text="x", label="y")
    lists = _table(x=["a b", ["a"]], y=[["A"], ["A", "B"]])
    yield from _rejected(to_examples(lists, columns, "tag", checked=False).rejected)
    yield from _notes(run_records.rejected_notes([Rejected("a.csv, line 2", "")] * 201))
    lines = io.BytesIO(b"fine\n\xb0\n")
    for chunk in sources.read_text_lines({"columns": {"text": "text"}}, "classify", lines):
        yield from _rejected(chunk.examples.rejected)


def _table(**columns: Sequence[Any]) -> list[Row]:
    rows = zip(*columns.values(), strict=True)
    named = (dict(zip(columns, row, strict=True)) for row in rows)
    return [Row("a.parquet", number, row, "row") for number, row in enumerate(named, 1)]


def _fields() -> Iterator[Said]:
    """Fields that cannot be used."""
    faulty: dict[Callable[..., Any], list[Any]] = {
        values.to_number: ["", "NA", "low", "1e99", math.nan],
        values.to_label: [" ", ["a"]], values.to_text: ["", ["a"]],
        values.to_time: ["2020-13-01", "noon"], values.to_sequence: ["a", [], [[1], [1, 2]]],
    }  # fmt: skip
    for parse, fields in faulty.items():
        for field in fields:
            try:
                parse(field, "some column")
            except values.FieldError as error:
                yield "sentence", str(error)


def _guesses() -> Iterator[Said]:
    """What columns are, for every reason that there is."""
    text = ["a fine film", "the worst of films", "so so, as they say"]
    one, two, three = [4, 2, 9], [1.5, 2.5, 0.0], [7, 8, 6]
    words, numbers = [["a", "b"]] * 3, [[1, 2]] * 3
    steps = {f"{name}{n}": one for n in (1, 2, 3) for name in "xy"}
    long = {"key": list("aabb"), "x": [1.5, 2.0, 1.0, 4.0], "kind": list("uuvv")}
    dated = {"x": [1.5, 2.0, 9.0], "day": ["2020-01-01", "2020-01-02", "2020-01-03"]}
    parts = {"year": [2020] * 3, "month": [1, 2, 3]}
    for task, named, columns in (
        ("classify", {}, {"review": text, "label": one, "extra": two}),
        ("classify", {"text": "a"}, {"a": text, "b": one}),
        ("classify", {}, {"a": text, "b": one}),
        ("classify", {}, {**steps, "digit": one}),
        ("regress", {}, {"x1": one, "x2": two, "x3": three, "price": two}),
        ("classify", {}, {"curve": numbers, "label": one}),
        ("classify", {}, long),
        ("tag", {}, {"a": words, "tags": words}),
        ("tag", {}, {"words": words, "b": words}),
        ("tag", {"target": "x"}, {**dated, "y2k": one}),
        ("forecast", {}, {**dated, "rate": two} | {"x": ["a", "b", "b"]}),
        ("forecast", {"target": "x"}, {**parts, "x": two, "other": three}),
    ):
        found: Columns = guess(_table(**columns), task, named)
        yield from _notes(found.describe())


def _write(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def _read(path: Path, task: Any = "classify", **named: str) -> Iterator[Said]:
    layout = find_layout(path, task, named)
    yield from _notes(layout.describe())
    yield from _rejected(from_folder(path, task, layout=layout, checked=False).rejected)


def _folders(folder: Path) -> Iterator[Said]:
    """Texts in folders, and files that cannot be used."""
    ours = {f"{label}/{n}.txt": b"fine" for label in ("good", "bad") for n in range(4)}
    faulty = {"good/b.txt": b" ", "good/c.txt": b"\xb0", "good/d.csv": b"x", "good/e": b""}
    root = _write(folder / "texts", ours | faulty)
    _write(folder / "elsewhere", {"x.txt": b"x", "bad/y.txt": b"y"})
    (root / "good" / "out.txt").symlink_to(folder / "elsewhere" / "x.txt")
    (root / "good" / "again").symlink_to(root / "bad")
    (root / "good" / "gone.txt").symlink_to(root / "nowhere.txt")
    yield from _read(root)
    yield from _read(root, pattern="{label}/{n}")
    yield from _read(root, "regress", pattern="good/{target}")
    named = {f"{label}_{who}_{n}.txt": b"fine" for label in "ab" for who in "uv" for n in "12"}
    yield from _read(_write(folder / "named", named))
    yield from _read(_write(folder / "bare", {f"{label}-{n}.txt": b"x" for label in "ab"
                                              for n in "12"}))  # fmt: skip


def _sound(rate: int = 8000, seconds: float = 0.1) -> bytes:
    file = io.BytesIO()
    wave = np.sin(np.arange(int(rate * seconds)) / 3)
    soundfile.write(file, wave, rate, format="WAV")
    return file.getvalue()


def _sounds(folder: Path) -> Iterator[Said]:
    """Sounds that cannot be read, in an archive, and what is heard of the others."""
    whole = _sound()
    contents = {f"{label}_{who}_{n}.wav": whole for label in "ab" for who in "uv" for n in "123"}
    contents |= {"a_u_4.wav": b"RIFF and nothing", "a_u_5.wav": b"ID3", "a_u_6.wav": _sound(500),
                 "a_u_7.wav": whole[:900], "a_u_8.md": b"read me"}  # fmt: skip
    archive = folder / "sounds.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name, content in contents.items():
            packed.writestr(name, content)
    yield from _read(archive)
    rates = [Sound(_sound(rate), "x.wav") for rate in (8000, 8000, 4000, 16000)]
    yield from _notes(LogMel(mels=8).fit(rates).describe(rates))
    yield from _notes(LogMel(mels=8, deltas=True).fit(rates).describe(rates[:2]))


def _clips(folder: Path) -> Iterator[Said]:
    """Clips of a table that cannot be read or have other answers, and what is told of the rest."""
    root = _write(folder / "clips", {"f.gif": b"GIF89a", "g/a.png": b"", "h/n.txt": b"x"})
    arrays = {"a": (3, 4, 5), "b": (2, 4, 5), "c": (3, 4, 6), "d": (3, 4, 5, 7)}
    for name, shape in arrays.items():
        np.save(root / f"{name}.npy", np.zeros(shape, np.uint8))
    (root / "e.npy").write_bytes((root / "a.npy").read_bytes()[:-1])
    two = [Image.new("L", (4, height)) for height in (4, 5)]
    two[0].save(root / "i.tif", save_all=True, append_images=two[1:])
    names = ["a.npy,u d u", "b.npy,u d u", "c.npy,u d u", "d.npy,u", "e.npy,u", "f.gif,u", "g/,u",
             "h/,u", "i.tif,u", "no.gif,u"]  # fmt: skip
    table = _write(root, {"clips.csv": "\n".join(["clip,motion", *names]).encode()}) / "clips.csv"
    source = sources.read_source("tag", [table], {})
    yield from _notes(source.notes)
    yield from _rejected(source.examples.rejected)
    yield from _notes(Frames().fit(source.examples.inputs).describe(source.examples.inputs))


def _sequence_files(folder: Path) -> Iterator[Said]:
    """A table for each sequence, with their answers beside them or in their names."""
    tables = {f"{n}.csv": b"t,x\n1,2\n2,4\n" for n in range(1, 9)}
    answers = b"no,kind,who\n" + b"".join(b"%d,%c,w\n" % (n, b"uv"[n % 2]) for n in range(1, 8))
    answers += b"7,u,w\n99,v,w\n3,,w\n"
    broken = {"9.csv": b"PK\x03\x04", "10.csv": b"", "11.csv": b"\xb0,x\n", "12.csv": b"1,2\n3,4\n",
              "13.csv": b"x,x\n1,2\n", "14.csv": b"a\rb\n", "15.csv": b'"a\n'}  # fmt: skip
    root = _write(folder / "tables", {**tables, "all.csv": answers, **broken})
    yield from _read(root, label="kind", group="who")
    yield from _read(root, label="kind")
    again = _write(folder / "again", {**tables, "all.csv": answers.replace(b",who", b",w")})
    with_one = b"no,class\n" + b"".join(b"%d,%c\n" % (n, b"uv"[n % 2]) for n in range(1, 9))
    yield from _read(_write(again, {"all.csv": with_one}))


def _words(folder: Path) -> Iterator[Said]:
    """A treebank, and lines of it that are malformed."""
    rest = "\t_" * 6
    good = f"1\tIt\tit\tPRON{rest}\n2\truns\trun\tVERB{rest}\n\n"
    faulty = ["1\tIt", f"2\tIt\tit\tPRON{rest}", f"1\t \tit\tPRON{rest}", f"1\tIt\tit\t_{rest}",
              f"1.1\tIt\tit\tX{rest}", f"1\tI\0t\tit\tX{rest}"]  # fmt: skip
    text = good + "".join(f"{line}\n\n" for line in faulty)
    path = _write(folder, {"a.conllu": text.encode()}) / "a.conllu"
    yield from _rejected(read_conllu(path).rejected)
    yield from _notes(sources.read_source("tag", [path], {"label": "upos"}).notes)


def _days(numbers: Sequence[float | None], **columns: Sequence[Any]) -> SeriesSet:
    days = (np.datetime64("2020-01-01") + np.arange(len(numbers))).astype(str).tolist()
    return read_series({"day": days, "y": list(numbers), **columns}, target="y")


def _series() -> Iterator[Said]:
    """Series with gaps, in disorder, and with columns that are of no use."""
    y = [None, 1.0, 2.0, None, 4.0, *[None] * 8, 3.0, 1.0, None]
    n = len(y)
    rain = [None, *[1.5, 0.2] * 8][:n]
    found = _days(y, rain=rain, number=range(1, n + 1), nothing=[None] * n,
                  name=["a"] * n, wind=list("NS" * n)[:n])  # fmt: skip
    for fill in ("linear", "carry"):
        yield from _notes(fill_gaps(found, fill).notes)
    many = [f"name {k}" for k in range(60)]
    yield from _notes(_days(range(60), name=many).notes)
    disorder = {"month": ["2020-02", "2020-01", "2020-03", None], "y": [1, 2, 3, 4]}
    mixed = read_series(disorder)
    yield from _notes(mixed.notes)
    yield from _rejected(mixed.rejected)
    yield from _notes(read_series({"y": [1, 2, 5]}, time=(), target="y").notes)
    slips = np.sin(np.arange(90.0)).round(3)
    slips[[7, 30, 60]] = 9999, 2e4, -700
    yield from _notes(_days(slips.tolist()).notes)
    slips[[7, 30, 60]] = -999
    yield from _notes(_days(slips.tolist()).notes)
    quarters = {"t": ["2020-01-01 00:00", "2020-01-01 00:15", "2020-01-01 00:30"], "y": [1, 5, 2]}
    yield from _notes(read_series(quarters).notes)


def _seasons() -> Iterator[Said]:
    """Series with and without a season, a level and a spread that grows."""
    random = np.random.default_rng(3)
    t = np.arange(400)
    week = np.sin(2 * np.pi * t / 7) + 0.1 * random.normal(size=400)
    for numbers in (
        week, 20 + week, np.exp(t / 60) * (3 + week), np.sin(2 * np.pi * t / 11) + 4,
        10 + random.normal(size=400).cumsum(), [5.0] * 40, 30 + random.normal(size=400),
    ):  # fmt: skip
        data = _days(list(numbers))
        cuts = split(data)
        season, why = guess_season(data, cuts)
        scaler = Scaler.fit(data, cuts, horizon=3, season=season)
        yield from _notes([why, *scaler.notes])
    hours = (np.datetime64("2020-01-01T00", "m") + 60 * np.arange(1000)).astype(str).tolist()
    wave = np.sin(np.arange(1000) * np.pi / 12) + 0.1 * random.normal(size=1000)
    hourly = read_series({"hour": hours, "y": wave.tolist()})
    yield from _notes([guess_season(hourly, split(hourly))[1]])
    row = read_series({"y": list(20 + week)}, time=(), target="y")
    yield from _notes(Scaler.fit(row, split(row), horizon=3, season=1).notes)


def _forecasts() -> Iterator[Said]:
    """Forecasts that are judged: on a long series and on a short one."""
    random = np.random.default_rng(5)
    for count, season in ((300, 7), (60, 1)):
        data = fill_gaps(_days(list(random.normal(size=count).cumsum())))
        cuts = split(data)
        scaler = Scaler.fit(data, cuts, horizon=4, season=season)
        parts = [windows(data, scaler, cuts, part, input_length=8, horizon=4)
                 for part in ("train", "validation", "test")]  # fmt: skip
        widths, notes = figures.fit_intervals(parts[1], parts[1].target * 0.9)
        yield from _notes(notes)
        one = parts[1].take(np.array([0]))
        yield from _notes(figures.fit_intervals(one, one.target * 0.9)[1])
        compared = naive.baselines(*parts)
        yield from _notes(one.note for one in compared if one.note)
        yield from _notes(f"baseline: {one.name}" for one in compared)
        part = parts[2]
        said = np.repeat(figures.last_values(part)[:, None], 4, axis=1)
        ends = figures.intervals(part, np.zeros_like(said), widths)
        for median in (said, part.truth):
            yield from _notes(judge(part, median, ends, compared, seed=1)["notes"])


def _encoders() -> Iterator[Said]:
    """Lines of encoders on what they learnt and on what they are given."""
    some, others = ["so it is", "it was so", "so so"], ["so what is it", "", "so it is not so"]
    for kind in (Words, Characters, Jamo, Subwords):
        for keep in ("start", "end"):
            encoder = kind(max_length=2, keep=keep, min_count=1).fit(some)
            yield from _notes(encoder.describe(others))
    yield from _notes(Affixes().fit([["so", "it"]]).describe([["so", "what"]]))
    for options in (
        {},
        {"differences": True},
        {"missing": "carry", "max_length": 2},
        {"missing": "carry", "differences": True, "max_length": 2, "keep": "end"},
    ):
        steps = [[[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]]]
        numbers = Numbers(**options).fit(steps)
        yield from _notes(numbers.describe(steps))


def _baselines() -> Iterator[Said]:
    """How the baselines work."""
    random = np.random.default_rng(1)
    x = [random.normal(size=(5, 2)) for _ in range(20)]
    labels, numbers = list("ab" * 10), [n / 7 for n in range(20)]
    words = [text.split() for text in ("a fine film", "a bad film") * 10]
    for task, kind, inputs, targets in (
        ("classify", "numbers", x, labels),
        ("regress", "numbers", x, numbers),
        ("regress", "text", [" ".join(text) for text in words], numbers),
        ("tag", "numbers", x, [list("abbab")] * 20),
        ("tag", "numbers", x, [row[:, 0] for row in x]),
        ("tag", "tokens", words, [list("aba")] * 20),
    ):
        part = Examples(kind, inputs, targets, [f"line {n}" for n in range(20)])
        for baseline in baselines_for(task, part, part, seed=1):
            yield "sentence", baseline.detail
            yield "sentence", f"baseline: {baseline.name}"


#: what takes long, or a machine of another kind, to be said
_WRITTEN: dict[str, tuple[str, ...]] = {
    "sentence": (
        "a.gif: expected at most 256 MiB of frames, received more than 9,320 frames of 96 x 100 "
        "pixels",
        "4 characters are too few to hold some of them out: all figures are of what was learnt by "
        "heart",
        "characters to learn from: 953,662, to stop in time by: 50,193, to judge by: 111,539",
        "tokens: words (of the next 100 words about 5 will be new)",
        "tokens: characters (65 different ones write the texts)",
        "tokens: characters (1,265 different ones write the texts, 1,180 of them Hangul)",
        "writing at temperature 0.5",
        "how far the gradient flows back",
        "how far back inputs count",
        "what gates and states do",
        "what answers rest on",
        "never met while learning, and read as unknown: 'ë' '가'",
        "how often each token occurs in training",
        "how often each token occurs in training, from 4,194,304 of 7,138,499 training tokens",
        "looks at 6 tokens, of 1 to 8, chosen on the validation part; modified Kneser-Ney "
        "smoothing",
        "looks at 1 token, of 1 to 8, chosen on the validation part; modified Kneser-Ney smoothing",
        "rows without an answer: 3 of 120",
        "written: answers.csv (1,200 rows)",
        "labels that differ in capitals or spaces alone: 'Billing' and 'billing'",
        "texts to judge by that are also learnt from: 12 of 158",
        "the source as it is",
        "the target of the training source that is most alike: cosine of the TF-IDF of 1 to 4 "
        "letters",
        "the target of the training source that is most alike: cosine of the TF-IDF of 1 to 4 "
        "letters, from 200,000 of 310,204 training rows",
        "baseline: copy of the source",
        "baseline: nearest neighbour",
        "answering 350 sources",
        "source: a (the first of the two columns of texts)",
        "target: b (the second of the two columns of texts)",
        "target: b (the only column of texts left)",
        "the source has 537 tokens, more than `max_length` 500",
        "the source has 10,000 tokens, more than twice `max_length` 60",
        "standard input: there is no line to answer",
        "tokens never met while learning, and read as unknown: 34 of 1,205",
        "the target has 1,537 tokens, more than `max_length` 500",
        "pairs that are the same as one before: 12 of 3,029",
        "sources with several targets: 206",
        "2,000 of 3,000 pairs are tied together by equal targets, so targets of the parts to judge "
        "by may have been learnt; equal sources are on one side",
        "longer than 16 MiB",
        "baseline: unigram",
        "the text is empty",
        "is a table; tables are read where they are named themselves",
        "always a film, and more, the answer of 7.0% in training",
        "a.parquet: Parquet",
        "baseline: feed-forward net",
        "baseline: n-gram logistic regression",
        "last 20 words, Embedding 8, Flatten, Dense, 40 epochs",
        "TF-IDF of words and their pairs, the 20,000 that tell most, stopped after 300 "
        "iterations, from 200,000 of 310,204 training rows",
        "TF-IDF of 2 to 4 letters of a word, the 50,000 that tell most",
        "TF-IDF of tokens and their pairs; penalty 0.01",
        "words: 20,000, each with 6 parts, learnt from 9 of 10 sequences",
        "sub-words: vocabulary of 8,000, learnt from 20,000 of 31,204 texts",
        "last 20 words, Embedding 8, Flatten, Dense, 3 epochs, from 9 of 10 training rows",
        "each step with the 3 before, from 50,000 of 71,204 training steps, stopped after "
        "1000 iterations",
        "12 values a season before are missing; the last one stands in",
        "a season of 24 steps, as was asked for",
        "predictions.jsonl has 2,000 of 3,000 windows",
        "judged from 2020-01 on",
        "windows that read 24 steps and forecast 12: 258 train, 31 validation, 73 test",
        "1,258 examples to train on, 31 to stop in time by, 73 to judge by",
        "rows dropped: 3 of 1,200; the report names them",
        "rows dropped: 3 of 1,200; the first: the text is empty",
        "rows left out: 3",
        "val loss 0.6707 in epoch 4; all epochs are done (6 s)",
        "val loss 1.2e-05 in epoch 4; no better val_loss than that of epoch 4 for 1 epoch (4 min)",
        "val loss 12 in epoch 2; no better val_loss than that of epoch 2 for 3 epochs (2 h 5 min)",
        "labels with one example, too few to be judged by: sales, other and 3 more",
        pieces.describe(1, 17),
        "baselines",
        "too short, or a gap is where it is read",
        "cycles read: day, week, year",
        "3 missing values of covariates were filled with the last one known",
        "larger than 256 MiB",
        "longer than 16 MiB",
        "cannot be read (Bad CRC-32 for file 'a.txt')",
        "a.zip/b.csv, line 7: the gzip data is cut off",
        "a.zip/b.csv, line 7: the file cannot be read (Error -3)",
        "a.zip/b.csv, line 7: longer than 16 MiB, which is no row of a table",
        "the gzip data grows more than 200 times when it is expanded, as no text does",
        "a.csv is data that this run learnt from: these figures say nothing about new data",
    ),
    "place": (
        "series 'north'",
        "macro.csv, line 2, steps 113 to 120",
        "macro.parquet, row 1, steps 113 to 120",
    ),
    "title": (
        "classify: reviews.csv",
        "regress: wear.csv",
        "tag: ko_kaist.conllu",
        "generate: input.txt",
        "translate: pairs.tsv",
        "forecast: airline-passengers.csv",
    ),
    "kernel": (
        "memory (LSTM): fused avx512",
        "memory (LSTM): fused avx2, in float32",
        "memory (LSTM): fused avx2, in float32 (avx2 has no products of bfloat16)",
        "memory (LSTM): fused avx512, products of bfloat16, sums in float32",
        "memory (LSTM): plain JAX, because dtype=float64 has no kernel",
        "memory (LSTM): plain JAX, because SUNHWAN_ISA=none switches the kernels off",
        "memory (LSTM): plain JAX, because the kernels were not built",
        "memory (LSTM): plain JAX, because variable dtype=bfloat16 has no kernel",
        "memory (LSTM): Keras's own, because it is keras.layers.LSTM, not sunhwan.layers.LSTM",
        "memory (LSTM): Keras's own loop, because cell=StackedRNNCells has no kernel",
        "memory (LSTM): Keras's own loop, because use_cudnn=True asks for cuDNN",
        "memory (LSTM): Keras's own loop, because activation=gelu has no kernel",
        "memory (LSTM): Keras's own loop, because quantization_mode=int8 has no kernel",
        "memory (LSTM): Keras's own loop, because Keras's backend is torch, not jax",
        "memory (LSTM): plain JAX, because JAX's default device is a gpu",
        "memory (LSTM): cuDNN by Keras, because JAX's default device is a gpu",
    ),
}
