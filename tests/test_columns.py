"""Which column is what, and the examples that come of it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import polars
import pytest

from sunhwan.data.column_facts import NAMES, find_steps, fits
from sunhwan.data.column_finder import ROLES
from sunhwan.data.columns import Columns, guess
from sunhwan.data.rows import Row, open_rows
from sunhwan.data.table_examples import to_examples
from sunhwan.data.values import FieldError, to_label, to_number, to_sequence, to_time
from sunhwan.errors import DataError, UsageError

DATA = os.environ.get("SUNHWAN_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="SUNHWAN_DATA names no folder")


def _rows(columns, *rows):
    names = columns.split(",")
    return [
        Row("a.csv", number, dict(zip(names, row, strict=True)))
        for number, row in enumerate(rows, 2)
    ]


REVIEWS = _rows(
    "no,review,date,grade",
    ("1", "a fine film, all in all", "2020-01-02", "good"),
    ("2", "the worst of all films", "2020-01-02", "bad"),
    ("3", "so, so, to be honest", "2020-01-03", "good"),
)
WIDE = _rows(
    "x1,x2,x3,y1,y2,y3,kind",
    *[[str(10 * r + c) for c in range(6)] + ["ab"[r % 2]] for r in range(4)],
)
LONG = _rows(
    "speaker,id,t,a,b,mood",
    ("z", "7", "2", "1.5", "-1", "up"),
    ("z", "7", "1", "0.5", "-2", "up"),
    ("y", "8", "1", "9", "3", "down"),
    ("y", "8", "2", "8", "4", "down"),
    ("y", "8", "10", "7", "5", "down"),
)


# the guess


@pytest.mark.parametrize(
    ("rows", "task", "named", "expected"),
    [
        (REVIEWS, "classify", {}, Columns("text", text="review", label="grade")),
        (REVIEWS, "classify", {"label": "date"}, Columns("text", text="review", label="date")),
        (WIDE, "classify", {}, "x1,y1,x2,y2,x3,y3 2 kind"),
        (WIDE, "classify", {"features": "y1,y2,y3", "label": "kind"}, "y1,y2,y3 1 kind"),
        (WIDE, "classify", {"features": ["x2", "y1"], "label": "kind"}, "x2,y1 1 kind"),
        (WIDE, "regress", {"target": "y3"}, "x1,x2,x3 1 y3"),
    ],
)
def test_rows_that_are_sequences(rows, task, named, expected):
    columns = guess(rows, task, named)
    if isinstance(expected, str):
        features, width, answer = expected.split()
        assert columns.layout == "wide"
        assert columns.features == tuple(features.split(","))
        assert (columns.width, columns.label or columns.target) == (int(width), answer)
    else:
        assert columns == expected


def test_rows_that_are_steps():
    columns = guess(LONG, "classify")
    answers = {"label": "mood", "group": "speaker"}
    assert columns == Columns("long", id="id", time=("t",), features=("a", "b"), **answers)
    assert columns.reasons["label"] == "the same throughout each sequence"
    assert guess(LONG, "tag", {"label": "mood"}) == columns
    assert guess(LONG, "tag", {"target": "b"}).features == ("a",)
    twice = [row._replace(fields=row.fields | {"x": row.fields["mood"]}) for row in LONG]
    with pytest.raises(UsageError, match="the label could be any of mood, x"):
        guess(twice, "classify")


def test_lists_in_fields():
    sample = _rows(
        "words,pos,wave,kind", (["a", "b"], ["X", "Y"], [1, 2.5], "k"), (["c"], ["X"], [3], "l")
    )
    assert guess(sample, "tag") == Columns("lists", text="words", label="pos")
    columns = guess(sample, "classify", {"label": "kind"})
    assert columns == Columns("lists", label="kind", features=("wave",))


def test_what_is_guessed_is_told_with_its_reason():
    lines = guess(REVIEWS, "classify", {"label": "grade"}).describe()
    assert lines == [
        "text: review (its name says so)",
        "label: grade (--label)",
        "not used: no, date",
    ]
    assert guess(WIDE, "classify").describe()[1] == (
        "features: x1, y1, x2, y2, x3, y3 (numbered names: 3 steps of 2 numbers each)"
    )


def test_korean_and_spelled_names():
    sample = _rows("번호,리뷰,감성", ("1", "좋은 영화", "긍정"), ("2", "나쁜 영화", "부정"))
    assert guess(sample, "classify") == Columns("text", text="리뷰", label="감성")
    assert fits("ClassLabel", "label")
    assert fits("review_text", "text")
    assert not fits("text_length", "text")
    assert set(NAMES) == set(ROLES) - {"features"}


def test_forecast_takes_the_parts_of_a_date_and_leaves_the_row_number():
    sample = _rows(
        "No,year,month,hour,pm,temp,wind",
        *[
            (str(n), "2010", "1", str(n), "NA" if n == 1 else str(n * n), "3", "NW")
            for n in range(1, 9)
        ],
    )
    columns = guess(sample, "forecast", {"target": "pm"})
    assert (columns.time, columns.target) == (("year", "month", "hour"), "pm")
    assert (columns.features, columns.unused) == (("temp",), ("No", "wind"))


@pytest.mark.parametrize(
    ("rows", "task", "named", "says"),
    [
        (
            REVIEWS,
            "classify",
            {"text": "reveiw"},
            "no column 'reveiw', did you mean 'review'. the col.*no,",
        ),
        (REVIEWS, "classify", {"text": "qqqq"}, "no column 'qqqq'; the columns are no, review"),
        (REVIEWS, "classify", {"txt": "review"}, "no role 'txt', did you mean 'text'"),
        (REVIEWS, "classify", {"text": "review", "label": "review"}, "both the text and the label"),
        (REVIEWS, "classify", {"target": "grade"}, "classify takes --label"),
        (
            REVIEWS,
            "regress",
            {},
            "no column is left for the target among no, .*\nhint: give --target",
        ),
        (REVIEWS, "cluster", {}, "`task` must be one of classify, regress, tag, forecast"),
        (WIDE, "classify", {"features": "x1,x1"}, "--features names a column twice"),
        (WIDE, "tag", {}, "answer for each step could be any of x1.*\nhint: give --label NAME"),
        (LONG, "forecast", {"series": "id"}, "target could be any of a, b\nhint: give --target"),
        (
            _rows("a,b", ("x", "y"), ("z", "y")),
            "classify",
            {},
            "no column holds a text.*a, b\nhint",
        ),
        (
            _rows("english,korean,kind", ("come in please", "어서 들어오세요", "a")),
            "classify",
            {},
            "the text could be any of english, korean\nhint: give --text NAME",
        ),
        (
            _rows("text,class,category", ("so be it", "x", "y")),
            "classify",
            {},
            "the label could be any of class, category\nhint: give --label NAME",
        ),
        (
            _rows("q1,q2,q3,said,kind", ("1", "2", "3", "a long answer", "x")),
            "classify",
            {},
            "the text 'said' or the sequence q1, q2, q3\nhint: give --text",
        ),
    ],
)
def test_what_is_not_clear_is_asked(rows, task, named, says):
    with pytest.raises(UsageError, match=says):
        guess(rows, task, named)


def test_no_rows_and_columns_that_are_gone(tmp_path):
    with pytest.raises(DataError, match="no row could be read"):
        guess([], "classify")
    path = tmp_path / "b.csv"
    path.write_text("review,x\nfine,1\n")
    with pytest.raises(
        DataError, match=r"b.csv: expected the columns .*'grade' is missing from rev"
    ):
        to_examples(open_rows(path), Columns("text", text="review", label="grade"), "classify")


def test_columns_come_back_from_their_config():
    columns = guess(LONG, "classify")
    assert Columns.from_config(json.loads(json.dumps(columns.config()))) == columns
    assert columns.without_answers().used() == {
        "id": "id",
        "group": "speaker",
        "time": "t",
        "features": "a, b",
    }
    with pytest.raises(DataError, match="expected the columns of a run"):
        Columns.from_config({"layout": "text"})


def test_steps_need_numbers_without_a_hole():
    assert find_steps(["x1", "x2", "x4"]) is None
    assert find_steps(["x1", "x2"]) is None
    assert find_steps(["t 10", "t 9", "t 11"]) == (["t 9", "t 10", "t 11"], 1)
    assert find_steps(["acc_x_0", "acc_y_0", "acc_x_1", "acc_y_1", "acc_x_2", "acc_y_2"]).width == 2


# values


@pytest.mark.parametrize(
    "value", ["", " NA ", "1_000", "1,5", "inf", "nan", "1e39", True, [], None, "٣x"]
)
def test_what_is_no_number(value):
    with pytest.raises(FieldError, match="`x`"):
        to_number(value, "x")


def test_times_are_ordered_whatever_their_form():
    forms = ["1990-01", "1990/2", "1990.03.05", "1990-03-05 10:30", "1990-03-05T11:00:00+00:00"]
    times = [to_time(form, "t") for form in forms]
    assert times == sorted(times)
    assert to_time("1990.5", "t") == 1990.5
    with pytest.raises(FieldError, match="`t` must be a date, received '1990-13'"):
        to_time("1990-13", "t")


def test_labels_and_lists():
    assert [to_label(value, "y") for value in ("1", 1, 1.5, False)] == ["1", "1", "1.5", "false"]
    for value in ("", None, float("nan"), [1]):
        with pytest.raises(FieldError, match="`y`"):
            to_label(value, "y")
    assert to_sequence([[1, 2], [3, 4]], "x").tolist() == [[1.0, 2.0], [3.0, 4.0]]
    for value in ([], [[1], [2, 3]], [[]], "1 2", [None]):
        with pytest.raises(FieldError, match="`x`"):
            to_sequence(value, "x")


# the examples


def test_texts_and_labels_as_written():
    columns = guess(REVIEWS, "classify")
    empty = Row("a.csv", 9, {"no": "4", "review": " ", "date": "", "grade": "bad"})
    unlabelled = Row("a.csv", 10, {"no": "5", "review": "x", "date": "", "grade": ""})
    found = to_examples([*REVIEWS, empty, unlabelled], columns, "classify")
    assert found.kind == "text"
    assert found.targets == ["good", "bad", "good"]
    assert found.places == ["a.csv, line 2", "a.csv, line 3", "a.csv, line 4"]
    assert [(r.place, r.reason) for r in found.rejected] == [
        ("a.csv, line 9", "`review` is empty"),
        ("a.csv, line 10", "`grade` is empty"),
    ]
    assert to_examples([unlabelled], columns.without_answers(), "classify").targets is None


def test_wide_rows_become_steps():
    columns = guess(WIDE, "classify")
    bad = WIDE[0]._replace(line=9, fields=WIDE[0].fields | {"y2": "nan"})
    found = to_examples([*WIDE, bad], columns, "classify")
    assert found.inputs[1].dtype == np.float32
    assert found.inputs[1].tolist() == [[10, 13], [11, 14], [12, 15]]
    assert found.targets == ["a", "b", "a", "b"]
    assert found.rejected[0].reason == "`y2` is empty (nan)"
    number = to_examples(WIDE, guess(WIDE, "regress", {"target": "y3"}), "regress")
    assert number.inputs[2].tolist() == [[20], [21], [22]]
    assert number.targets == [5.0, 15.0, 25.0, 35.0]


def test_long_rows_are_sorted_by_time_within_their_sequence():
    columns = guess(LONG, "classify")
    again = LONG[0]._replace(line=20)
    other = LONG[0]._replace(line=21, fields=LONG[0].fields | {"a": "?", "t": "5"})
    lost = LONG[0]._replace(line=22, fields=LONG[0].fields | {"id": ""})
    found = to_examples([LONG[3], *LONG[:3], LONG[4], again, other, lost], columns, "classify")
    assert [x.tolist() for x in found.inputs] == [
        [[9, 3], [8, 4], [7, 5]],
        [[0.5, -2], [1.5, -1]],
    ]
    assert (found.targets, found.groups) == (["down", "up"], ["y", "z"])
    assert found.places == ["a.csv, line 5", "a.csv, line 2"]
    assert [(r.place, r.reason) for r in found.rejected] == [
        ("a.csv, line 21", "`a` is empty (?)"),
        ("a.csv, line 22", "`id` is empty"),
        ("a.csv, line 20", "has the time of a.csv, line 2 in 7"),
    ]
    tags = to_examples(LONG, guess(LONG, "tag", {"target": "b"}), "tag")
    assert [t.tolist() for t in tags.targets] == [[-2, -1], [3, 4, 5]]
    assert tags.targets[0].dtype == np.float32


def test_a_sequence_with_two_answers_is_rejected():
    columns = guess(LONG, "classify")
    mixed = LONG[1]._replace(fields=LONG[1].fields | {"mood": "sideways"})
    rest = [row._replace(fields=row.fields | {"id": "9", "mood": "up"}) for row in LONG[2:]]
    found = to_examples([LONG[0], mixed, *LONG[2:], *rest], columns, "classify")
    assert found.targets == ["down", "up"]
    assert found.rejected[0].reason == "the answer of sequence 7 is not one but 'sideways' and 'up'"


def test_tokens_a_row_and_tokens_a_list():
    words = _rows(
        "sent_id,token,upos",
        *[("1", w, w.upper()) for w in "abc"],
        ("2", "d", "A"),
        ("2", "e", "B"),
    )
    found = to_examples(words, guess(words, "tag"), "tag")
    assert (found.kind, found.inputs, found.targets) == (
        "tokens",
        [["a", "b", "c"], ["d", "e"]],
        [["A", "B", "C"], ["A", "B"]],
    )
    lists = _rows(
        "tokens,tags",
        (["a", "b"], ["X", "Y"]),
        (["c"], ["X", "Y"]),
        ([], []),
        (["a", ""], ["X", "Y"]),
    )
    found = to_examples(lists, Columns("lists", text="tokens", label="tags"), "tag")
    assert (found.inputs, len(found.rejected)) == ([["a", "b"]], 3)
    assert found.rejected[0].reason == "1 steps, but 2 answers"


def test_lists_of_numbers_from_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    waves = [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]], [[7.0]], []]
    polars.DataFrame({"wave": waves, "kind": ["a", "b", "a", "b"]}).write_parquet(path)
    rows = open_rows(path)
    found = to_examples(rows, Columns("lists", label="kind", features=("wave",)), "classify")
    assert [x.shape for x in found.inputs] == [(2, 2), (1, 2)]
    assert [r.place for r in found.rejected] == ["a.parquet, row 3", "a.parquet, row 4"]
    assert found.rejected[0].reason.startswith("expected 2 numbers at each step")


@pytest.mark.parametrize(
    ("texts", "labels", "task", "says"),
    [
        (["a", "b"], ["1", "1"], "classify", "all 2 examples have the label '1', so nothing"),
        (["a", "b"], ["1", "1"], "regress", "all 2 examples have the target 1.0"),
        (
            ["", " "],
            ["1", "2"],
            "classify",
            "none of the 2 rows can be used; a.csv, line 2: `t` is",
        ),
        ([], [], "classify", "expected rows after the header, received none"),
        (
            list("abcdefghijkl"),
            [*"abcdefghijkl"],
            "classify",
            "12 examples have 12 different labels",
        ),
        (["a", "b"], ["x", "y"], "regress", "none of the 2 .*`y` must be a number, received 'x'"),
    ],
)
def test_what_cannot_be_learnt_is_refused(texts, labels, task, says):
    rows = _rows("t,y", *zip(texts, labels, strict=True))
    answer = {"label": "y"} if task == "classify" else {"target": "y"}
    columns = Columns("text", text="t", **answer)
    with pytest.raises(DataError, match=says):
        to_examples(rows, columns, task)
    assert to_examples(rows, columns, task, checked=False).kind == "text"


def test_forecast_has_no_examples():
    with pytest.raises(UsageError, match=r"sunhwan\.data\.series"):
        to_examples(LONG, Columns("long"), "forecast")


@needs_data
def test_real_tables_need_no_option():
    def read(name, task, **named):
        rows = open_rows(Path(DATA) / name)
        columns = guess(rows.sample(), task, named)
        return columns, to_examples(rows, columns, task) if task != "forecast" else None

    columns, digits = read("pen-digits/train.csv", "classify")
    assert (columns.label, columns.width, digits.inputs[0].shape) == ("digit", 2, (8, 2))
    assert digits.inputs[0][:2].tolist() == [[47, 100], [27, 81]]
    assert (len(digits), len(set(digits.targets)), digits.rejected) == (7494, 10, [])
    columns, _ = read("reuters/test.tsv.gz", "classify")
    assert (columns.text, columns.label) == ("text", "topic")
    columns, stories = read("nsmc/test.tsv.gz", "classify")
    assert (columns.text, len(stories), set(stories.targets)) == ("document", 25000, {"0", "1"})
    columns, macro = read("series/korea-macro-monthly.csv", "tag", target="kospi")
    assert (macro.inputs[0].shape, macro.targets[0].shape) == ((419, 3), (419,))
    for name, target in (("airline-passengers", "Passengers"), ("daily-min-temperatures", "Temp")):
        columns, _ = read(f"series/{name}.csv", "forecast")
        assert columns.target == target
    columns, _ = read("series/pollution.csv", "forecast", target="pm2.5")
    assert columns.time == ("year", "month", "day", "hour")


def test_a_slip_in_a_column_of_numbers_costs_a_row_and_not_the_column() -> None:
    lines = [(f"{n}", f"{n * 7 % 11}", f"{n % 5}", "ab"[n % 2]) for n in range(40)]
    lines[17] = ("3", "oops", "4", "b")
    sample = _rows("x1,x2,x3,kind", *lines)
    columns = guess(sample, "classify")
    assert columns.features == ("x1", "x2", "x3")
    assert columns.label == "kind"
    half = _rows(
        "x1,x2,x3,kind", *(("1", "oops" if n % 2 else "5", "2", "ab"[n % 2]) for n in range(40))
    )
    with pytest.raises(UsageError):
        guess(half, "classify")


def test_a_file_of_another_encoding_is_refused_and_not_thinned_out(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    lines = [
        f"the film number {n} was {'naïve' if n % 3 else 'fine'},{'ab'[n % 2]}" for n in range(60)
    ]
    path.write_bytes("\n".join(["text,label", *lines, ""]).encode("latin-1"))
    rows = open_rows(path)
    columns = guess(rows.sample(), "classify")
    with pytest.raises(
        DataError, match=r"latin.csv, line 3: not UTF-8.*as in 40 of 60 rows"
    ) as caught:
        to_examples(rows, columns, "classify")
    assert "windows-1252" in str(caught.value.hint)


def test_labels_that_are_nearly_all_different_are_refused() -> None:
    texts = [f"a film of {n} minutes" for n in range(30)]
    rows = _rows("text,label", *((text, str(max(n, 3))) for n, text in enumerate(texts)))
    with pytest.raises(DataError, match="30 examples have 27 different labels"):
        to_examples(rows, Columns("text", text="text", label="label"), "classify")


def test_a_file_without_a_header_does_not_lose_its_first_row() -> None:
    sample = _rows(
        "정말 좋은 영화,긍정",
        ("너무 지루하고 길었던 영화", "부정"),
        ("꼭 한 번 더 보고 싶다", "긍정"),
    )
    with pytest.raises(UsageError, match="it seems to be a row and not the names of the columns"):
        guess(sample, "classify")
    spam = _rows("message,spam", ("win a prize now", "spam"), ("see you at nine o'clock", "ham"))
    assert guess(spam, "classify").label == "spam"


def test_names_that_never_come_again_are_no_labels():
    """As of a table of visitors, what each of them said, and whether they come again."""
    rows = [(f"v{n}", f"the {n}th coffee was {n % 7} times cold", "yes" if n % 3 else "no")
            for n in range(30)]  # fmt: skip
    columns = guess(_rows("visitor,comment,again", *rows), "classify")
    assert (columns.text, columns.label) == ("comment", "again")
    # of few rows none may come again, and then one must be named
    few = [(f"v{n}", f"the {n}th coffee was cold", f"w{n}") for n in range(5)]
    with pytest.raises(UsageError, match="the label could be any of visitor, again"):
        guess(_rows("visitor,comment,again", *few), "classify")
