"""Frames and columns of pandas, in all that they hold in their own way, as inputs in Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sunhwan.data.series import SeriesSet, read_series
from sunhwan.errors import DataError, UsageError
from sunhwan.tasks.inputs import read_examples, read_inputs

pd: Any = pytest.importorskip("pandas")

TEXTS = ["so so", "good", "dire"]
ODD = [7, 3, 7]


def labelled(y: Any) -> tuple[list[Any], str]:
    examples, kind = read_examples(pd.Series(TEXTS, index=ODD), y, "classify")
    assert list(examples.inputs) == TEXTS
    return list(examples.targets), kind


def steps(x: Any) -> list[Any]:
    return [row.tolist() for row in read_inputs(x, "classify").inputs]


@pytest.mark.parametrize("dtype", [object, "str", "string", "category"])
def test_texts_of_any_index_and_dtype(dtype: Any) -> None:
    column = pd.Series(TEXTS, index=ODD, dtype=dtype)
    assert read_inputs(column, "classify").inputs == TEXTS
    assert read_inputs(column.to_frame("text"), "classify").inputs == TEXTS
    column.iloc[1] = None
    with pytest.raises(DataError, match="row 1 of `X` must be a text, received"):
        read_inputs(column, "classify")


@pytest.mark.parametrize(
    ("values", "dtype", "targets", "kind"),
    [
        (["x", "y", "x"], "category", ["x", "y", "x"], "str"),
        (["x", "y", "x"], "string", ["x", "y", "x"], "str"),
        ([3, 5, 3], "category", ["3", "5", "3"], "int"),
        ([1, 2, 1], "Int64", ["1", "2", "1"], "int"),
        ([1, 2, 1], "uint8", ["1", "2", "1"], "int"),
        ([True, False, True], "boolean", ["True", "False", "True"], "bool"),
    ],
)
def test_labels_of_any_dtype(values: Any, dtype: str, targets: list[str], kind: str) -> None:
    # rows go together by their order, whatever the index says
    column = pd.Series(values, index=[3, 7, 7], dtype=dtype)
    assert labelled(column) == (targets, kind)
    assert labelled(column.to_frame()) == (targets, kind)
    assert labelled(pd.Index(values)) == (targets, kind)


@pytest.mark.parametrize("dtype", ["category", "string", "Int64", "boolean", "float64", object])
def test_a_label_that_is_missing_is_named(dtype: Any) -> None:
    with pytest.raises(DataError, match=r"row 2 of `y` must be a label, received (nan|<NA>|None)"):
        labelled(pd.Series([1, 0, None] if dtype != "string" else ["1", "0", None], dtype=dtype))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "int16", "float32"])
def test_numbers_to_learn_of_any_dtype(dtype: str) -> None:
    column = pd.Series([1, 2, 4], index=ODD, dtype=dtype)
    assert read_examples(TEXTS, column, "regress")[0].targets == [1.0, 2.0, 4.0]
    if dtype[0].isupper():
        column.iloc[2] = pd.NA
        with pytest.raises(DataError, match="row 2 of `y` must be a number, received <NA>"):
            read_examples(TEXTS, column, "regress")


def test_named_columns_of_a_frame() -> None:
    frame = pd.DataFrame(
        {
            "who": pd.array([1, 2, 2], "Int64"),
            "text": pd.array(TEXTS, "string"),
            "label": pd.Categorical(["x", "y", "x"], categories=["y", "x", "unused"]),
        },
        index=[5, 5, 9],
    )
    examples, kind = read_examples(frame, "label", "classify", "who")
    assert (examples.inputs, examples.targets, kind) == (TEXTS, ["x", "y", "x"], "str")
    assert examples.groups == ["1", "2", "2"]
    with pytest.raises(UsageError, match="no column 'lable', but who, text, label"):
        read_examples(frame, "lable", "classify")
    with pytest.raises(DataError, match="`X` must be one column, received 3"):
        read_inputs(frame, "classify")
    with pytest.raises(DataError, match="`X` must be one column, received 2") as caught:
        read_inputs(pd.DataFrame([["a", "b"]]), "classify")
    assert caught.value.hint == "choose one, such as X[0]"


def test_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([["a", "b", "c"]], columns=["x", "y", "y"])
    for action in (
        lambda: read_inputs(frame, "classify"),
        lambda: read_examples(frame, "y", "classify"),
        lambda: read_inputs(frame[["y"]].astype(object), "classify"),
    ):
        with pytest.raises(DataError, match="`X` must have one column called 'y'"):
            action()


@pytest.mark.parametrize("dtypes", ["int64", {"a": "Int64"}, {"a": "Int64", "b": "Float32"}, "O"])
def test_rows_of_numbers_of_any_dtype(dtypes: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [5, 3]}, index=[4, 4]).astype(dtypes)
    if dtypes == "O":
        frame = frame.infer_objects()
    assert steps(frame) == [[[1.0], [5.0]], [[2.0], [3.0]]]
    assert steps([frame, frame.iloc[:1]]) == [[[1.0, 5.0], [2.0, 3.0]], [[1.0, 5.0]]]


def test_a_number_that_is_missing_is_named() -> None:
    for missing in (pd.array([1, None, 2], "Int64"), pd.array([0.5, np.nan, 2])):
        frame = pd.DataFrame({"a": pd.array([1, 2, 3], "Int64"), "b": missing})
        with pytest.raises(DataError, match=r"row 1 of `X`, step 1, feature 0: .* nan") as caught:
            read_inputs(frame, "classify")
        assert caught.value.hint == "fill the gaps"
        with pytest.raises(DataError, match=r"row 1 of `X`, step 1, feature 0: .* nan"):
            read_inputs([[1.0, 2.0], pd.Series(missing)], "classify")


def test_sequences_in_a_column() -> None:
    lists = pd.Series([[1.0, 2.0], [3.0]], index=[4, 4])
    assert steps(lists) == [[[1.0], [2.0]], [[3.0]]]
    arrays = pd.Series([np.ones((2, 3)), np.zeros((1, 3))])
    assert [row.shape for row in read_inputs(arrays, "classify").inputs] == [(2, 3), (1, 3)]
    tokens = pd.Series([["a", "b"], ["c"]])
    examples, _ = read_examples(tokens, pd.Series([["N", "V"], ["N"]], index=[9, 1]), "tag")
    assert (examples.inputs, examples.targets) == ([["a", "b"], ["c"]], [["N", "V"], ["N"]])


DAYS = [f"2024-01-0{day}" for day in range(1, 7)]
SOLD = [1.0, 2.0, 4.0, 3.0, 5.0, 9.0]


def is_daily(found: SeriesSet, values: list[float] = SOLD) -> None:
    assert found.frequency == "1d"
    np.testing.assert_array_equal(found.series[0].values, values)
    assert found.series[0].times[:2].astype("datetime64[D]").astype(str).tolist() == DAYS[:2]


def test_times_of_any_kind() -> None:
    times = pd.to_datetime(DAYS)
    columns = [times, times.to_period("D"), times.date, times.astype(str), times.as_unit("ns")]
    for column in columns:
        is_daily(read_series(pd.DataFrame({"day": column, "y": SOLD}, index=[3, 3, 1, 0, 7, 7])))


def test_an_index_of_times_is_a_column() -> None:
    times = pd.to_datetime(DAYS)
    for index in (times, times.rename("day"), times.to_period("D")):
        is_daily(read_series(pd.DataFrame({"sold": SOLD}, index=index)))
        is_daily(read_series(pd.Series(SOLD, index=index, name="sold")))
    plain = read_series(pd.Series(SOLD, index=[10, 20, 30, 40, 50, 60], name="sold"))
    assert plain.frequency == "1i"


def test_what_is_missing_is_a_gap() -> None:
    gap = [1.0, np.nan, 4.0, 3.0, 5.0, 9.0]
    for values in (gap, pd.array([1, None, 4, 3, 5, 9], "Int64"), pd.array(gap, "Float64")):
        is_daily(read_series(pd.DataFrame({"day": DAYS, "y": values})), gap)
    winds = ["north", None, "south", "north", "south", "north"]
    for dtype in ("category", "string", object):
        frame = pd.DataFrame({"day": DAYS, "y": SOLD, "wind": pd.Series(winds, dtype=dtype)})
        found = read_series(frame, target="y")
        assert found.series[0].covariates["wind"].tolist() == winds
    times = pd.Series([*pd.to_datetime(DAYS[:5]), pd.NaT])
    found = read_series(pd.DataFrame({"day": times, "y": SOLD}))
    is_daily(found, SOLD[:5])
    assert [row.place for row in found.rejected] == ["row 6"]


def test_series_of_two_columns_of_one_name_are_refused() -> None:
    frame = pd.DataFrame([["2024-01-01", 1.0, 2.0]], columns=["day", "y", "y"])
    with pytest.raises(DataError, match="more than one is called 'y'"):
        read_series(frame)
    with pytest.raises(DataError, match="more than one is called '1'"):
        read_series(pd.DataFrame({1: [1.0], "1": [2.0]}))
