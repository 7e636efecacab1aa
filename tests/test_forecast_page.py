"""What the report of a forecast says: windows, what its bands rest on, intervals that are there."""

from __future__ import annotations

import re

import pytest

from results_cases import classify, forecast
from sunhwan.runs.results_comparison import table, verdict
from sunhwan.runs.results_page import render_results
from sunhwan.runs.wording import Words
from test_results_page import said

LANGUAGES = ("en", "ko")


def _parts(lang: str) -> str:
    results = forecast()
    results["data"] = {"train": 53, "validation": 4, "test": 18, "rejected": []}
    results["config"] = {"input_length": 24, "horizon": 12}
    page = said(render_results(results, lang))
    return page[page.index("The data" if lang == "en" else "데이터 훈련") :]


def test_the_parts_of_a_forecast_are_counted_in_windows() -> None:
    english, korean = map(_parts, LANGUAGES)
    assert "part windows training 53 validation 4 test 18" in english
    assert "A window is 24 steps that are read and the 12 after them" in english
    assert "구분 윈도 수 훈련 53 검증 4 테스트 18" in korean
    assert "입력으로 읽는 24단계와 그 뒤에 예측하는 12단계" in korean
    # rejected are rows, and stand apart
    assert "test 18 rejected" not in english
    assert "Every row could be used" in english
    assert re.findall(r"\brows\b", english) == []


def test_the_parts_of_other_tasks_are_counted_in_rows() -> None:
    page = said(render_results(classify()))
    assert "part rows training 20,000 validation 5,000 test 25,000 rejected 2" in page
    assert "windows" not in page


def _without_intervals() -> dict:
    results = forecast()
    results["intervals"] = {}
    for row in results["baselines"]:
        row["intervals"] = {}
        row.pop("difference", None)
    return results


@pytest.mark.parametrize("lang", LANGUAGES)
def test_intervals_that_are_not_drawn_are_not_explained(lang) -> None:
    words = Words(lang)
    drawn, alone = (said(render_results(case(), lang)) for case in (forecast, _without_intervals))
    figure, too_few = (" ".join(words(f"baselines.{key}").split()) for key in ("figure", "alone"))
    assert (figure in drawn, too_few in drawn) == (True, False)
    assert (figure in alone, too_few in alone) == (False, True)
    assert words("baselines.overlap") not in alone
    head = words("baselines.interval")
    assert head in table(forecast(), words).head
    assert head not in table(_without_intervals(), words).head
    assert words("verdict.too_short") in verdict(_without_intervals(), words)
    assert words("verdict.too_short") not in verdict(forecast(), words)


def test_rows_of_the_table_are_as_wide_as_its_head() -> None:
    for results in (forecast(), _without_intervals()):
        found = table(results, Words("en"))
        assert {len(row) for row in found.rows} == {len(found.head)}


@pytest.mark.parametrize(
    ("windows", "key"), [(1, "one_window"), (4, "few_windows"), (19, "few_windows"), (20, None)]
)
@pytest.mark.parametrize("lang", LANGUAGES)
def test_bands_of_few_windows_are_called_a_guess(windows, key, lang) -> None:
    results = forecast()
    results["data"]["validation"] = windows
    results["coverage"] = {"0.8": 0.7123, "0.95": 0.9}
    page, words = said(render_results(results, lang)), Words(lang)
    for one in ("one_window", "few_windows"):
        assert (words(f"forecasts.{one}", count=windows) in page) == (one == key)
    assert words("forecasts.held_two", wide="90.0%", dark="71.2%") in page
    assert words("forecasts.same") not in page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_two_bands_that_are_the_same_are_drawn_as_one(lang) -> None:
    results, words = forecast(), Words(lang)
    two = render_results(results, lang)
    for entry in results["forecasts"]:
        entry |= {"low_80": entry["low"], "high_80": entry["high"]}
    results["coverage"] = {"0.8": 0.9, "0.95": 0.9}
    one = render_results(results, lang)
    assert two.count("fill-opacity: 0.2") == 2 * one.count("fill-opacity: 0.2")
    assert words("forecasts.same") in said(one)
    assert words("forecasts.dark") not in said(one)
    assert words("forecasts.held", wide="90.0%") in said(one)


def test_a_forecast_without_bands_says_nothing_of_them() -> None:
    results = forecast()
    for entry in results["forecasts"]:
        for name in ("low", "high", "low_80", "high_80"):
            del entry[name]
    results["data"]["validation"] = 1
    page = said(render_results(results))
    assert "From the upright line on" in page
    assert " band" not in page
    assert "rough guess" not in page
