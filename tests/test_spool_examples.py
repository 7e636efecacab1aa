"""Data that is larger than the memory meant for it: the same examples, weights and baselines."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import numpy as np
import pytest

from learner_examples import numbers, prepared, sentences, texts
from subprocesses import printed
from sunhwan.data import long_tables, tokens
from sunhwan.data.batches import Batches
from sunhwan.data.columns import Columns
from sunhwan.data.conllu import read_conllu
from sunhwan.data.drawing import draw_part
from sunhwan.data.examples import Examples
from sunhwan.data.folders import from_folder
from sunhwan.data.rows import open_rows
from sunhwan.data.spool import MEMORY_VARIABLE, Spool, Spooled
from sunhwan.data.table_examples import to_examples
from sunhwan.tasks import baselines, baselines_text
from sunhwan.tasks.judging import judge, lengths_of, prediction_rows
from sunhwan.tasks.splits import hold_out

random = np.random.default_rng(12)


def plain(values: Any) -> Any:
    """Values as JSON knows them, so that they can be compared."""
    if isinstance(values, np.ndarray | np.generic):
        return [str(values.dtype), values.tolist()]
    return [plain(v) for v in values] if isinstance(values, list | Spooled) else values


def same(one: Examples, other: Examples) -> None:
    for name in ("kind", "inputs", "targets", "places", "groups", "rejected"):
        assert plain(getattr(one, name)) == plain(getattr(other, name)), name


def spooled(examples: Examples) -> Examples:
    """The same examples, their parts in files where nothing may stay in memory."""
    targets = examples.targets
    if isinstance(targets[0], list):
        targets = Spool(targets).items()
    return Examples(
        examples.kind, Spool(examples.inputs).items(), targets, Spool(examples.places).items()
    )


def _table(tmp_path, name, *lines):
    path = tmp_path / name
    path.write_text("\n".join(lines) + "\n")
    return open_rows(path)


def _texts(tmp_path):
    lines = [f"{'good' if n % 3 else 'bad'} film {n},{'yes' if n % 3 else 'no'},g{n % 2}"
             for n in range(9)]  # fmt: skip
    rows = _table(tmp_path, "texts.csv", "text,label,who", *lines, ",yes,g1", "cut off")
    return to_examples(rows, Columns("text", text="text", label="label", group="who"), "classify")


def _wide(tmp_path):
    rows = _table(tmp_path, "wide.csv", "x1,x2,x3,x4,y", *(f"{n},2,3,{n / 7},{n * n}"
                                                          for n in range(6)))  # fmt: skip
    names = ("x1", "x2", "x3", "x4")
    return to_examples(rows, Columns("wide", target="y", features=names, width=2), "regress")


def _lists(tmp_path):
    lines = [json.dumps({"w": [f"w{k}" for k in range(n + 1)], "t": list("ABCABC"[: n + (n < 4)])})
             for n in (0, 1, 4, 2)]  # fmt: skip
    rows = _table(tmp_path, "lists.jsonl", *lines)
    return to_examples(rows, Columns("lists", text="w", label="t"), "tag")


def _long(tmp_path, task, **roles):
    """Steps of five sequences in a mess; a time twice, an answer that changes, a field amiss."""
    draw = np.random.default_rng(3)
    steps = [(f"s{k}", t, round(float(draw.normal()), 3)) for k in range(5) for t in range(k + 2)]
    lines = [f"{key},{t},{x},{x * 2},{'up' if key < 's2' else 'down'},{x + 1}"
             for key, t, x in (steps[n] for n in draw.permutation(len(steps)))]  # fmt: skip
    lines += ["s1,0,9,9,up,1", "s4,9,9,9,up,1", "s3,8,x,9,down,1"]
    rows = _table(tmp_path, "long.csv", "id,t,x,z,label,y", *lines)
    columns = Columns("long", id="id", time=("t",), **roles)
    return to_examples(rows, columns, task)


def _conllu(tmp_path):
    words = [f"{n}\tw{n}\tw\t{'NOUN' if n % 2 else 'VERB'}" + "\t_" * 6 for n in range(1, 4)]
    path = tmp_path / "a.conllu"
    path.write_text("\n".join([*words, "", *words[:2], "", "1\tbroken", ""]) + "\n")
    return read_conllu(path)


def _folder(tmp_path):
    for name in ("neg/1.txt", "neg/2.txt", "pos/1.txt", "pos/2.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("" if name == "pos/2.txt" else f"text of {name}")
    return from_folder(tmp_path)


def _folder_of_tables(tmp_path):
    for n in range(4):
        lines = [f"{k},{k * n}" for k in range(n + 2)]
        (tmp_path / f"walk_{n}.csv").write_text("\n".join(["x,z", *lines]) + "\n")
    lines = [f"{n},{'ab'[n % 2]}" for n in range(4)]
    (tmp_path / "answers.csv").write_text("\n".join(["walk,label", *lines]) + "\n")
    return from_folder(tmp_path)


_READERS = {
    "texts": _texts,
    "wide": _wide,
    "lists": _lists,
    "long": partial(_long, task="classify", features=("x", "z"), label="label"),
    "long of numbers": partial(_long, task="tag", features=("x",), target="y"),
    "long of tokens": partial(_long, task="tag", text="x", label="label"),
    "conllu": _conllu,
    "folder": _folder,
    "folder of tables": _folder_of_tables,
}


@pytest.mark.parametrize("name", _READERS)
def test_what_is_read_is_the_same_on_disk(monkeypatch, tmp_path, name) -> None:
    few = _READERS[name](tmp_path)
    assert isinstance(few.inputs, list)
    assert len(few) >= 2
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    for waiting in (long_tables._WAITING, 3):
        monkeypatch.setattr(long_tables, "_WAITING", waiting)
        many = _READERS[name](tmp_path)
        assert isinstance(many.inputs, Spooled)
        assert isinstance(many.places, Spooled)
        same(few, many)
    for part, other in zip(hold_out(few, 0.4, 1), hold_out(many, 0.4, 1), strict=True):
        same(part, other)


def _quick(x, y, test, seed):
    """In place of the net, which takes its time."""
    return baselines_text.logistic(x, y, test)


@pytest.mark.parametrize(
    ("task", "examples", "options"),
    [
        ("classify", texts(40), {"tokens": "bpe", "class_weights": "balanced"}),
        ("regress", numbers(40), {}),
        ("tag", sentences(40), {"class_weights": "balanced"}),
    ],
    ids=["texts", "numbers", "tags"],
)
def test_weights_and_figures_are_the_same_on_disk(monkeypatch, task, examples, options) -> None:
    monkeypatch.setattr(baselines_text, "feed_forward", _quick)
    results = []
    for memory in ("1", "0"):
        monkeypatch.setenv(MEMORY_VARIABLE, memory)
        given = spooled(examples)
        assert isinstance(given.inputs, Spooled) == (memory == "0")
        training, validation = hold_out(given, 0.3, 1)
        options = {"bidirectional": False, "batch_size": 32, **options}
        learner = prepared(task, training, **options)
        learner.fit(training, validation)
        encoded = learner.encode(training), learner.encode(validation)
        assert isinstance(encoded[0], Spooled) == (memory == "0")
        judged = judge(learner, validation, encoded[1])
        answers = judged.pop("answers")
        given = dict(zip(("encoded_train", "encoded_test"), encoded, strict=True))
        given = given if examples.kind == "numbers" else {}
        found = baselines.baselines_for(task, training, validation, seed=1, **given)
        results.append(
            (
                [weights.tobytes() for weights in learner.model.get_weights()],
                learner.encoder.config(),
                learner.encoder.describe(validation.inputs),
                judged,
                list(prediction_rows(learner, validation, answers)),
                [(b.name, b.detail, plain(b.predictions)) for b in found],
                lengths_of(encoded[0]),
            )
        )
    assert results[0] == results[1]


def test_batches_of_rows_on_disk_are_those_of_rows_in_memory(monkeypatch) -> None:
    counts = random.integers(1, 30, 200)
    rows = [random.normal(size=(n, 2)).astype(np.float32) for n in counts]
    answers = [random.normal(size=n) for n in counts]
    weights = [random.uniform(0, 1, n) for n in counts]
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    on_disk = [Spool(items).items() for items in (rows, answers, weights)]
    one, other = (
        Batches(x, y, sample_weights=w, batch_size=16, seed=3, per_step=True)
        for x, y, w in ((rows, answers, weights), on_disk)
    )
    assert one.weight == other.weight == pytest.approx(sum(w.sum() for w in weights))
    assert (len(one), one.buckets) == (len(other), other.buckets)
    for index in range(len(one)):
        ((x, mask), y, w), ((x2, mask2), y2, w2) = one[index], other[index]
        for a, b in ((x, x2), (mask, mask2), (y, y2), (w, w2)):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())


def test_a_vocabulary_is_learnt_from_a_part_of_very_many_texts(monkeypatch) -> None:
    many = [f"common word{n % 7} only{n}" for n in range(1000)]
    whole = tokens.Words().fit(many)
    assert "learnt from" not in whole.describe(many)[0]
    monkeypatch.setattr(tokens, "draw_part", partial(draw_part, most=6000))
    one = tokens.Words().fit(many)
    said = one.describe(many)[0]
    assert "learnt from" in said
    assert said.endswith("of 1,000 texts")
    assert {"common", *(f"word{n}" for n in range(7))} <= set(one.tokens)
    assert len(one.tokens) < len(whole.tokens) / 2
    monkeypatch.setenv(MEMORY_VARIABLE, "0")
    assert tokens.Words().fit(Spool(many).items()).config() == one.config()


@pytest.mark.parametrize("limit", ["MOST_ROWS", "MOST_SIZE"])
def test_baselines_say_from_how_many_rows_they_learnt(monkeypatch, limit) -> None:
    monkeypatch.setattr(baselines_text, "feed_forward", _quick)
    training, test = hold_out(texts(300), 0.3, 1)
    size = sum(map(len, training.inputs))
    monkeypatch.setattr(baselines, limit, 100 if limit == "MOST_ROWS" else size // 2)
    majority, *others = baselines.baselines_for("classify", training, test, seed=1)
    assert "from" not in majority.detail
    share = training.targets.count(majority.predictions[0]) / len(training)
    assert f"{share:.1%}" in majority.detail
    for baseline in others:
        count = int(baseline.detail.split(", from ")[1].split()[0])
        assert 100 <= count <= 110
        assert baseline.detail.endswith(f"of {len(training)} training rows")
        right = [p == t for p, t in zip(baseline.predictions, test.targets, strict=True)]
        assert np.mean(right) > 0.6


_PEAK = """
import sys
from pathlib import Path
from sunhwan.data.batches import Batches
from sunhwan.data.spool import take
from sunhwan.data.tokens import Words
from sunhwan.tasks.sources import read_source
from sunhwan.tasks.splits import hold_out

def status(name):
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if name in l)
    return int(line.split()[1]) / 1024

def whole(path):
    source = read_source("classify", [path], {})
    training, test = hold_out(source.examples, 0.2, 1)
    words = Words(max_length=200).fit(take(training.inputs, range(100)))
    encoded = words.encode_all(training.inputs)
    batches = Batches(encoded, [0] * len(encoded), batch_size=64, seed=1)
    return sum(int(batches[n][0].sum()) for n in range(len(batches)))

small, large = sys.argv[1:]
whole(small)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
print(whole(large), status("VmHWM") - before)
"""


def test_memory_does_not_grow_with_the_data(tmp_path) -> None:
    words = [f"word{n}".ljust(25, "x") for n in range(500)]
    line = [" ".join(random.choice(words, 110)) for _ in range(50)]
    for name, rows in (("small", 200), ("large", 12_000)):
        with (tmp_path / f"{name}.csv").open("w") as file:
            file.write("text,label\n")
            for n in range(rows):
                file.write(f"{line[n % 50]} {n},{'yes' if n % 2 else 'no'}\n")
    paths = [str(tmp_path / "small.csv"), str(tmp_path / "large.csv")]
    size = (tmp_path / "large.csv").stat().st_size / 2**20
    found = {}
    for memory in ("1", "10000"):
        total, grown = printed(_PEAK, *paths, **{MEMORY_VARIABLE: memory}).split()
        found[memory] = (int(total), float(grown))
    assert found["1"][0] == found["10000"][0]
    assert found["10000"][1] > size
    assert found["1"][1] < size / 2
