"""The report of a run: what its first line says, what it shows, and what it survives."""

from __future__ import annotations

import copy
import json
import re
import string
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from results_cases import CASES, REVIEW, classify, forecast, regress, tag
from sunhwan.errors import UsageError
from sunhwan.runs import figures, results_figures, wording
from sunhwan.runs.results_comparison import verdict
from sunhwan.runs.results_errors import excerpt, pieces
from sunhwan.runs.results_numbers import repeats_last
from sunhwan.runs.results_page import render_results
from sunhwan.runs.wording import Words
from test_page import read

HOSTILE = "</script><img src=x onerror=alert(1)>&{0}$x$\x00\ud800"
ENGLISH = Words("en")


@pytest.fixture(scope="module")
def pages() -> dict[tuple[str, str], str]:
    languages = {"tag": ("ko",), "forecast": ("ko",)}
    return {
        (name, language): render_results(case(), language)
        for name, case in CASES.items()
        for language in languages.get(name, ("en",))
    }


@pytest.fixture
def no_figures(monkeypatch):
    for module, names in (
        (figures, ("curves", "confusion_map", "answers")),
        (results_figures, ("intervals", "calibration", "by_length", "forecast", "skill")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, lambda *_, **__: "<svg></svg>")


def said(text: str) -> str:
    return " ".join(" ".join(read(text).texts).split())


def headings(text: str) -> list[str]:
    return re.findall("<h2>(.*?)</h2>", text)


def test_pages_are_self_contained_and_every_name_in_them_is_there_once(pages):
    for text in pages.values():
        reader = read(text)
        assert all(address.startswith("#") for address in reader.addresses)
        assert "script" not in reader.tags
        assert not re.search(r"https?:|@import|url\((?!#)", text)
        names = re.findall(r'\bid="([^"]*)"', text)
        assert len(names) == len(set(names))


def test_parts_come_in_the_order_of_their_weight(pages):
    assert headings(pages["classify", "en"]) == [
        "Against the baselines", "The data", "Training", "Which classes are confused",
        "Can its probabilities be believed?", "The worst errors", "Length and error", "The model",
        "Run it again", "Measured with",
    ]  # fmt: skip
    assert headings(pages["forecast", "ko"]) == [
        "기준 모형과의 비교", "데이터", "학습 과정", "예측", "단계별 예측력", "모델",
        "다시 실행하기", "실행 환경",
    ]  # fmt: skip
    assert '<html lang="ko">' in pages["forecast", "ko"]


def test_every_figure_says_how_to_read_it(pages):
    for (name, _), text in pages.items():
        drawn, captions = text.count("<figure"), re.findall("<figcaption>(.+?)</figcaption>", text)
        assert drawn == len(captions) >= 4, name


def test_languages_have_the_same_texts_with_the_same_values():
    english, korean = wording.texts("en"), wording.texts("ko")
    assert english.keys() == korean.keys()
    for key in english:
        fields = [
            sorted({field for _, field, _, _ in string.Formatter().parse(text) if field})
            for text in (english[key], korean[key])
        ]
        assert fields[0] == fields[1], key
        is_name = key in ("metric.mae", "metric.rmse", "metric.mase", "data.sha256", "by_tag.f1",
                          "progress.line", "progress.figure")  # fmt: skip
        assert is_name or re.search("[가-힣×~]", korean[key]), key
        # 은/는, 이/가, 을/를, 로/으로 depend on how the value before them is read
        assert not re.search(r"(?<!measure)\}(은|는|이|가|을|를|과|와|로|으로)\b", korean[key]), key


def test_what_is_measured_takes_the_particle_that_follows_it():
    for key, name in wording.texts("ko").items():
        if key.startswith("measure."):
            # a syllable without a final consonant takes 는
            assert (ord(name[-1]) - ord("가")) % 28 == 0, key


def test_a_language_without_texts_is_refused():
    with pytest.raises(UsageError, match="`lang` must be one of en, ko, received 'de'"):
        render_results(classify(), "de")


@pytest.mark.parametrize(
    ("accuracy", "interval", "begins", "names"),
    [
        (0.9, [0.895, 0.905], "The network beats every baseline", "best"),
        (0.9, [0.87, 0.91], "The network does not clearly beat every baseline", "within chance"),
        (0.86, [0.85, 0.869], "The network does not beat every baseline", "baseline best reaches"),
        (0.879, [0.87, 0.89], "The network does not beat every baseline", "within chance"),
        (0.88, [0.87, 0.89], "The network does not beat every baseline", "within chance"),
    ],
)
def test_first_line_says_whether_the_network_wins(accuracy, interval, begins, names):
    results = {
        "metrics": {"accuracy": accuracy, "log_loss": 0.3},
        "intervals": {"accuracy": interval},
        "baselines": [
            {"name": "worse", "metrics": {"accuracy": 0.5}},
            {
                "name": "best",
                "metrics": {"accuracy": 0.88},
                "intervals": {"accuracy": [0.875, 0.885]},
            },
        ],
    }
    line = verdict(results, ENGLISH)
    assert line.startswith(begins)
    assert names in line
    assert f"{accuracy:.4f} (95\u00a0% interval {interval[0]:.4f} to {interval[1]:.4f})" in line
    assert "0.8800 (95\u00a0% interval 0.8750 to 0.8850)" in line
    assert "worse" not in line


def against(*rivals: tuple[float, float, dict[str, Any]]) -> dict[str, Any]:
    """A network of accuracy 0.9 and baselines: accuracy, half its interval, and difference."""
    return {
        "metrics": {"accuracy": 0.9},
        "intervals": {"accuracy": [0.88, 0.92]},
        "baselines": [
            {
                "name": f"rival {n}",
                "metrics": {"accuracy": accuracy},
                "intervals": {"accuracy": [accuracy - half, accuracy + half]},
                "difference": {"accuracy": found} if found else {},
            }
            for n, (accuracy, half, found) in enumerate(rivals)
        ],
    }


def mcnemar(value: float, p: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "p": p, "test": "McNemar"}


def by_draws(value: float, p: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "interval": [low, high], "p": p, "test": "permutation"}


BEATS, DOUBTS = "The network beats every baseline", "The network does not clearly beat every"
BEHIND = "The network does not beat every baseline"


@pytest.mark.parametrize(
    ("rivals", "begins", "holds"),
    [
        # the intervals overlap, and the paired test decides all the same
        ([(0.89, 0.02, mcnemar(0.01, 0.003, 0.004, 0.016))], BEATS, "P\u00a00.0030"),
        ([(0.89, 0.02, mcnemar(0.01, 0.06, 0.001, 0.02))], DOUBTS, "rival 0, but the difference"),
        # they do not, and it does not
        ([(0.85, 0.01, mcnemar(0.05, 0.2, -0.02, 0.12))], DOUBTS, "within chance"),
        ([(0.91, 0.02, mcnemar(-0.01, 0.001, -0.02, -0.005))], BEHIND, "rival 0 reaches 0.9100"),
        ([(0.91, 0.02, mcnemar(-0.01, 0.4, -0.03, 0.01))], BEHIND, "difference is within chance"),
        # without McNemar's test the paired interval and the permutation test decide together
        ([(0.89, 0.02, by_draws(0.01, 0.04, 0.001, 0.02))], BEATS, "+0.0010 to +0.0200"),
        ([(0.89, 0.02, by_draws(0.01, 0.06, 0.001, 0.02))], DOUBTS, "+0.0010 to +0.0200"),
        ([(0.89, 0.02, by_draws(0.01, 0.04, -0.001, 0.02))], DOUBTS, "-0.0010 to +0.0200"),
        # not the best of them, but one that is not clearly beaten
        ([(0.89, 0.0, mcnemar(0.01, 0.01, 0.004, 0.016)),
          (0.88, 0.0, mcnemar(0.02, 0.3, -0.02, 0.05))], DOUBTS, "0.8800"),
        # of a baseline that answers as the network does
        ([(0.9, 0.02, mcnemar(0.0, 1.0, 0.0, 0.0))], BEHIND, "is 0.0000 (95"),
        ([(0.89, 0.02, {})], DOUBTS, "The two intervals overlap."),
        ([(0.89, 0.02, {"value": None, "interval": [None, 0.1], "p": 1.0})], DOUBTS, "overlap."),
    ],
)  # fmt: skip
def test_first_line_speaks_from_the_paired_test(rivals, begins, holds):
    line = verdict(against(*rivals), ENGLISH)
    assert line.startswith(begins)
    assert holds in line


def test_a_forecast_is_not_called_chance_for_intervals_that_overlap():
    """As of hourly pollution: a skill of 0.147, surely above 0, and errors of wide intervals."""
    results = {
        "task": "forecast",
        "metrics": {"mae": 12.795, "skill": 0.147},
        "intervals": {"mae": [11.1, 14.6], "skill": [0.113, 0.181]},
        "baselines": [{"name": "naive", "metrics": {"mae": 15.0},
                       "intervals": {"mae": [12.9, 17.3]},
                       "difference": {"mae": by_draws(-2.2, 0.001, -2.9, -1.6)}}],
    }  # fmt: skip
    line = verdict(results, ENGLISH)
    assert line.startswith(BEATS)
    assert "network minus baseline is -2.200 (95\u00a0% interval -2.900 to -1.600" in line
    assert "앞섰습니다" in verdict(results, Words("ko"))
    assert "interval 0.1130 to 0.1810; 1 is perfect" in said(render_results(results))
    # the interval of the skill is enough, and has the last word
    del results["baselines"][0]["difference"]
    assert verdict(results, ENGLISH).startswith(BEATS)
    assert "overlap" not in verdict(results, ENGLISH)
    results["intervals"]["skill"] = [-0.01, 0.3]
    assert verdict(results, ENGLISH).startswith(DOUBTS)
    # but not over a baseline that it is not measured against
    results["intervals"]["skill"] = [0.113, 0.181]
    other = {"name": "drift", "metrics": {"mae": 14.0}, "intervals": {"mae": [12.5, 15.5]}}
    results["baselines"].append(other)
    assert "14.00" in verdict(results, ENGLISH)
    assert verdict(results, ENGLISH).startswith(DOUBTS)


def test_the_page_has_the_differences_of_all_baselines(pages):
    words = said(pages["classify", "en"])
    assert "n-gram logistic regression +0.0085 +0.0048 ~ +0.0122 5.1e-06" in words
    assert "the differences below tell" in words
    assert "the differences below tell" not in said(pages["regress", "en"])
    assert "-14.10 ~ -5.200" in said(pages["forecast", "ko"])


def test_first_line_of_an_error_takes_the_smaller_one_as_better():
    line = verdict(regress(), ENGLISH)
    assert "ridge regression on lags reaches 7.402 (95\u00a0% interval 7.150 to 7.660)" in line
    assert line.endswith("smaller is better.")
    assert "beats every baseline" in verdict(forecast(), ENGLISH)
    assert "앞서지는 못했습니다" in verdict(regress(), Words("ko"))


def test_first_line_names_every_baseline_that_is_no_worse():
    results = {
        "metrics": {"mae": 3.0},
        "baselines": [
            {"name": name, "metrics": {"mae": error}}
            for name, error in (("a", 2), ("b", 3), ("c", 4))
        ],
    }
    line = verdict(results, ENGLISH)
    assert "baseline a reaches 2.000. No worse than the network: b." in line


def test_first_line_without_baselines_or_figures_claims_nothing():
    assert "no baseline was measured" in verdict({"metrics": {"accuracy": 0.9}}, ENGLISH)
    assert "cannot be said" in verdict({"baselines": classify()["baselines"]}, ENGLISH)


def test_table_sets_the_network_first_and_the_best_baseline_next(pages):
    table = re.search("<tbody>(.*?)</tbody>", pages["regress", "en"], re.DOTALL)
    rows = re.findall('<th scope="row">(.*?)</th>', table[1])
    assert rows == ["network", "ridge regression on lags", "training mean"]
    assert '<tr class="marked"><th scope="row">network</th><td>8.113</td>' in table[1]


def test_rejected_rows_are_counted_and_named(pages):
    assert "reviews.csv, line 4021" in pages["classify", "en"]
    assert "2 columns, expected 3" in pages["classify", "en"]
    many = [{"place": f"a.csv, line {k}", "reason": "empty"} for k in range(1000)]
    words = said(render_results({"data": {"rejected": many}}))
    assert "1,000 rejected" in words
    assert "line 29" in words
    assert "line 30" not in words
    cut = {"rejected": many[:10], "rejected_count": 5000}
    assert "5,000 rejected" in said(render_results({"data": cut}))
    assert "Every row could be used." in said(render_results({"data": {"rejected": []}}))


def test_confusion_is_counted_by_true_class_in_rows():
    results = {"classes": ["no", "yes"], "confusion": [[90, 10], [30, 70]]}
    text = render_results(results)
    # 100 cases of "no", 90 of them found: sensitivity 0.9; of 120 such answers 90 are right
    assert (
        '<th scope="row">0 no</th><td>100</td><td>0.9000</td><td>0.7000</td><td>0.7500</td>' in text
    )


def test_many_classes_are_numbered_in_the_map_and_named_in_the_table(pages):
    text = pages["classify-46", "en"]
    assert '<th scope="row">45 topic-45</th>' in text
    assert "The numbers are those of the table by class." in text


def test_words_are_coloured_by_their_influence(pages):
    text = pages["classify", "en"]
    assert '<mark class="against" style="--strength: 60%">wonderful</mark>&lt;br /&gt;' in text
    assert re.search('<mark class="for" style="--strength: 49%">bad</mark>', text)
    assert "How to read the colours" in text
    assert "<mark" in pages["tag", "ko"]
    assert "배를 (NOUN → VERB)" in pages["tag", "ko"]


def test_words_are_found_where_the_text_was_cut_to_its_end():
    error = {"text": "Bad start. It was a good, bad film", "words": ["good", "bad"],
             "influence": [0.5, -1.0]}  # fmt: skip
    assert pieces(error) == [
        ("Bad start. It was a ", 0.0), ("good", 0.5), (", ", 0.0), ("bad", -1.0), (" film", 0.0),
    ]  # fmt: skip
    error["words"] = ["was \ufffd good,", "\ufffd"]
    assert pieces(error)[1] == ("was a good,", 0.5)
    error["words"] = ["good", "bad"]
    error["text"] = "cleaned away"
    assert pieces(error) == [("good", 0.5), (" ", 0.0), ("bad", -1.0)]
    error = {"text": "unable, a bl", "words": ["a", "bl"], "influence": [1.0, -1.0]}
    assert [text for text, strength in pieces(error) if strength] == ["a", "bl"]
    assert pieces(error)[0] == ("unable, ", 0.0)
    error = {"text": "cleaned away", "words": ["good", "bad"], "influence": [0.5]}
    assert pieces(error) == [("cleaned away", 0.0)]


def test_a_long_text_is_cut_around_its_strongest_words():
    filler = [(f"word{k} ", 0.01) for k in range(3000)]
    filler[700], filler[2500] = ("terrible ", 1.0), ("great ", -0.8)
    shown = "".join(text for text, _ in excerpt(filler))
    assert len(shown) < 1000
    assert re.search("… .*word699 terrible word701 .* … .*word2499 great word2501 .*…$", shown)
    plain = "".join(text for text, _ in excerpt([("x" * 10**6, 0.0), (f" {REVIEW}" * 99, 0.0)]))
    assert plain.startswith("xxx")
    assert len(plain) < 1000


def test_a_forecast_that_repeats_the_last_value_is_warned_of(pages):
    assert "주의" not in said(pages["forecast", "ko"])
    results = forecast()
    for entry in results["forecasts"]:
        entry["median"] = [entry["past"][-1][1]] * len(entry["median"])
    results["forecasts"][0]["past"][3][1] = None
    assert repeats_last(results["forecasts"])
    assert said(render_results(results)).count("repeats what it saw last") == 2


def test_bands_and_lines_of_a_forecast_are_drawn():
    steps = np.arange(12.0)
    shown = results_figures.Forecast(steps, steps, steps, steps, [(steps - 2, steps + 2)])
    svg = results_figures.forecast(shown, title="t", label="l", steps="s")
    both = results_figures.Forecast(
        steps, steps, steps, steps, [(steps - 2, steps + 2), (steps - 1, steps + 1)]
    )
    assert results_figures.forecast(both, title="t", label="l", steps="s").count(
        "fill-opacity: 0.2"
    ) == 2 * svg.count("fill-opacity: 0.2")
    assert all(colour in svg for colour in results_figures.FORECAST_COLOURS.values())


def test_hostile_texts_are_escaped_wherever_they_stand():
    for case in (classify, tag, forecast):
        results = with_texts(case(), HOSTILE)
        text = render_results(results | {"task": case.__name__}, "ko")
        reader = read(text)
        assert {"script", "img"}.isdisjoint(reader.tags)
        assert "<img" not in text
        assert "\x00" not in text
        assert "</script><img src=x onerror=alert(1)>&{0}$x$" in " ".join(reader.texts)
        assert text.encode("utf-8")


def test_nothing_is_needed():
    for results in ({}, {"task": "other"}, {"data": {}, "metrics": {}, "errors": [], "model": {}}):
        assert headings(render_results(results)) == []
    for case in CASES.values():
        empty = json.loads(json.dumps(case()), parse_int=lambda _: None, parse_float=lambda _: None)
        assert "None" not in said(render_results(empty))


def test_any_figure_may_be_null(no_figures):
    for case in (classify, tag, regress, forecast):
        whole = case()
        for path in paths(whole):
            results = copy.deepcopy(whole)
            *outer, last = path
            inner: Any = results
            for step in outer:
                inner = inner[step]
            inner[last] = None
            text = render_results(results)
            assert ">None<" not in text, path


def test_gaps_in_figures_are_left_out():
    results = regress() | {"metrics": {"mae": 1.0, "skill_by_step": [None, 0.5]}}
    results["points"]["wanted"][0] = float("nan")
    results["history"] = {"loss": [None, 1.0], "val_loss": [None, None]}
    results["by_length"]["count"][0] = None
    results["calibration"] = {"confidence": [None, 0.5], "accuracy": [0.4, None], "count": [1, 2]}
    assert "Skill over naive, step by step" in headings(render_results(results))


def paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a structure; of lists only the first two entries."""
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = list(enumerate(value))[:2]
    for key, item in entries:
        yield (*before, key)
        yield from paths(item, (*before, key))


def with_texts(value: Any, text: str) -> Any:
    """The structure with every text replaced."""
    if isinstance(value, dict):
        return {key: with_texts(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [with_texts(item, text) for item in value]
    return text if isinstance(value, str) else value
