"""Memory lengths: what is asked, what chance gets right, tiny trainings, report, command."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import typer
from scipy import integrate, stats
from typer.testing import CliRunner

from sunhwan.cli.reproduce import reproduce
from sunhwan.errors import UsageError
from sunhwan.reproduce import MemoryStudy, memory_report, overview, remembering
from sunhwan.reproduce.experiments import TOLERANCE
from sunhwan.reproduce.memory import (
    LEVEL,
    MEMORY_LENGTHS,
    Cell,
    MemorySize,
    chance,
    chance_of_mean,
    is_better,
    reach,
)
from sunhwan.reproduce.recall import RecallBatches
from sunhwan.reproduce.starts import chrono
from sunhwan.reproduce.study_runner import run
from sunhwan.runs import figures
from sunhwan.runs.files import read_json
from sunhwan.runs.progress import Progress

SIZE = MemorySize(
    units=6, batches=3, batch_size=5, learning_rate=0.01, symbols=4, remembered=2, test_rows=40
)


def asked(problem="copying", **changes):
    given = {"steps": 7, "symbols": 5, "remembered": 3, "batches": 2, "batch_size": 4, "seed": 3}
    return RecallBatches(problem, **{**given, **changes})


def test_copying_asks_for_the_symbols_before_the_blanks():
    batches = asked()
    for index in range(len(batches)):
        x, wanted, weights = batches[index]
        assert x.shape == (4, 7 + 2 * 3, 5 + 2)
        assert (x.sum(axis=-1) == 1).all()
        read = x.argmax(axis=-1)
        assert read[:, :3].tolist() == wanted.tolist()
        assert (read[:, 3:10] == 5).all()
        assert (read[:, 10:] == 6).all()
        assert weights.tolist() == [[1.0] * 3] * 4
    assert batches.answers == 3
    assert batches.weight == 2 * 4 * 3
    symbols = asked(batch_size=2_000)[0][1]
    counts = np.bincount(symbols.ravel(), minlength=5)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_multiplication_asks_for_the_product_of_the_marked():
    x, wanted, weights = asked("multiplication", batch_size=6)[1]
    assert x.shape == (6, 7, 2)
    assert weights.tolist() == [1.0] * 6
    for (marks, numbers), answer in zip(x.transpose(0, 2, 1), wanted, strict=True):
        first, second = np.flatnonzero(marks)
        assert answer.tolist() == [numbers[first] * numbers[second]]
    assert asked("multiplication").weight == 2 * 4


@pytest.mark.parametrize("problem", ["copying", "multiplication"])
def test_sequences_are_new_in_each_epoch_and_part_and_the_same_for_a_seed(problem):
    def answers(epoch=2, index=0, **changes):
        batches = asked(problem, **changes)
        batches.start(epoch)
        return batches[index][1].tolist()

    assert answers() == answers()
    others = (answers(1), answers(index=1), answers(seed=4), answers(part="test"))
    assert all(other != answers() for other in others)


@pytest.mark.parametrize(
    "wrong",
    [{"steps": 1}, {"symbols": 1}, {"remembered": 0}, {"batches": 0}, {"batch_size": 0}],
)
def test_batches_refuse_what_is_too_small(wrong):
    [(name, value)] = wrong.items()
    with pytest.raises(UsageError, match=f"`{name}` must be at least {value + 1}, received"):
        asked(**wrong)


def test_chance_is_the_most_that_a_constant_gets_right():
    def within(answer):
        low, high = max(answer - TOLERANCE, 0), min(answer + TOLERANCE, 1)
        return integrate.quad(lambda product: -np.log(product), low, high)[0]

    answers = np.linspace(0, 1, 101)
    shares = [within(answer) for answer in answers]
    assert answers[np.argmax(shares)] == pytest.approx(TOLERANCE)
    assert chance("multiplication", 8) == pytest.approx(max(shares), abs=1e-9)
    assert chance_of_mean() == pytest.approx(within(0.25), abs=1e-9)
    products = asked("multiplication", steps=3, batch_size=50_000)[0][1]
    assert abs((np.abs(products - TOLERANCE) < TOLERANCE).mean() - max(shares)) < 0.01
    assert chance("copying", 7) == 1 / 7


def test_clearly_better_means_an_interval_above_chance():
    random = np.random.default_rng(4)
    found = set()
    for _ in range(60):
        answers, by_chance = int(random.integers(20, 900)), float(random.uniform(0.05, 0.6))
        share = by_chance + random.uniform(0, 5) * np.sqrt(by_chance * (1 - by_chance) / answers)
        right = min(int(share * answers), answers)
        interval = stats.binomtest(right, answers).proportion_ci(1 - 2 * LEVEL, method="exact")
        better = is_better(right, answers, by_chance)
        assert better == (interval.low > by_chance)
        found.add(better)
    assert found == {True, False}
    assert not is_better(0, 50, 0.1)


@pytest.mark.parametrize(
    ("better", "longest"),
    [((), 0), ((False, True, True), 0), ((True, False, True), 3), ((True, True, True), 11)],
)
def test_reach_ends_at_the_first_length_that_is_not_better(better, longest):
    assert reach((3, 5, 11)[: len(better)], better) == longest


def test_right_is_within_the_tolerance_or_the_likeliest():
    def count(problem, given):
        batches = asked(problem, batch_size=50)
        wanted = batches[0][1]

        class Answers:
            trainable_variables = non_trainable_variables = ()

            def stateless_call(self, trainable, other, x, training):
                return given(wanted), []

        return remembering.count_right(Answers(), batches)

    off = np.linspace(-0.1, 0.1, 50, dtype=np.float32)[:, None]
    assert count("multiplication", lambda wanted: wanted + off) == (20, 50)
    assert count("copying", lambda wanted: np.eye(5)[wanted] * 3 - 1) == (150, 150)
    assert count("copying", lambda wanted: np.eye(5)[(wanted + 1) % 5]) == (0, 150)


def test_open_gates_remember_for_steps_up_to_the_longest():
    bias = np.asarray(chrono(40)((4 * 300,)), np.float64)
    inputs, forget, rest = bias[:300], bias[300:600], bias[600:]
    assert (inputs == -forget).all()
    assert not rest.any()
    steps = np.exp(forget)
    assert 1 <= steps.min() < 2
    assert 37 < steps.max() < 39.001


def test_a_network_learns_what_lies_two_steps_back():
    size = MemorySize(16, batches=60, batch_size=32, learning_rate=0.02, symbols=3,
                      remembered=1, test_rows=300)  # fmt: skip
    cell = Cell("simple-rnn", "SimpleRNN", "SimpleRNN")
    found = remembering.record(
        "copying", cell, 2, size, seed=1, epochs=2, progress=Progress(), label=""
    )
    assert found["answers"] == 300
    assert found["share_right"] == found["right"] / 300 > 0.8
    assert found["history"]["loss"][1] < found["history"]["loss"][0]


STUDY = MemoryStudy(
    name="small",
    title="A small one",
    problems=("multiplication", "copying"),
    cells=(Cell("gru", "a <GRU>", "GRU"),),
    lengths=(3, 5, 9),
    size=SIZE,
    epochs=3,
)


class StopsAt(Progress):
    """A display on which Ctrl-C is pressed at the end of the first epoch of a training."""

    def __init__(self, training):
        super().__init__()
        self.left = training

    def begin(self, label, epochs):
        super().begin(label, epochs)
        self.left -= 1

    def epoch(self, number, logs):
        super().epoch(number, logs)
        if not self.left:
            raise KeyboardInterrupt("stopped after epoch 1; nothing was kept")


@pytest.fixture(scope="module")
def gone_on(tmp_path_factory):
    """A quick look that was stopped in its third training and gone on with by the command."""
    folder = tmp_path_factory.mktemp("memory")
    with pytest.raises(KeyboardInterrupt) as stopped:
        run(STUDY, (1, 2), quick=True, out=folder, progress=StopsAt(4))
    assert not stopped.value.args
    kept = sorted(path.name for path in (folder / "small" / "seeds").iterdir())
    assert kept == [f"multiplication-gru-{end}.json" for end in ("3-1", "3-2", "5-1")]
    app = typer.Typer()
    app.command()(reproduce)
    with pytest.MonkeyPatch.context() as patch:
        # the name in the package is that of the function
        patch.setattr(sys.modules[reproduce.__module__], "_ALL", (STUDY,))
        arguments = ["small", "--quick", "--seeds", "2", "--out", str(folder)]
        done = CliRunner().invoke(app, arguments)
        listed = CliRunner().invoke(app, ["--list"])
    assert done.exit_code == 0, done.exception
    return done, listed, folder / "small"


def test_command_goes_on_from_finished_trainings(gone_on):
    done, listed, folder = gone_on
    lines = done.stderr.splitlines()
    again = [line for line in lines if "epoch 1/2" not in line and "epoch 2/2" not in line]
    kept = [line for line in again if "all epochs are done" not in line]
    assert len(kept) == 3
    assert "multiplication, 3 steps, a <GRU>, seed 1" in kept[0]
    assert len(again) == 2 * 2 * 2
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "results.json"]
    assert f"report: {folder / 'report.html'}" in done.stdout
    assert "next:   sunhwan reproduce small" in done.stdout
    assert "A small one" in listed.stdout


def test_results_hold_every_length_of_every_seed(gone_on):
    results = read_json(gone_on[2] / "results.json")
    assert results["quick"]
    assert not results["as_published"]
    assert results["command"] == "sunhwan reproduce small --seeds 2 --quick"
    assert results["lengths"] == [3, 5]
    assert results["problems"][1] == {"name": "copying", "chance": 0.25}
    assert [one["name"] for one in results["variants"]] == ["multiplication-gru", "copying-gru"]
    for variant, by_chance in zip(results["variants"], (0.2821, 0.25), strict=True):
        for seed, number in zip(variant["seeds"], (1, 2), strict=True):
            assert seed["seed"] == number
            assert [one["length"] for one in seed["by_length"]] == [3, 5]
            better = []
            for one in seed["by_length"]:
                assert one["answers"] == 64 * (2 if by_chance == 0.25 else 1)
                better.append(is_better(one["right"], one["answers"], by_chance))
                assert one["better"] == better[-1]
            assert seed["reach"] == reach([3, 5], better)
        reaches = [seed["reach"] for seed in variant["seeds"]]
        assert variant["summary"]["reach"]["mean"] == np.mean(reaches)


def test_a_seed_gives_the_same_bits_whatever_was_trained_before(gone_on):
    known = read_json(gone_on[2] / "results.json")["variants"][0]["seeds"][1]["by_length"][1]
    [training] = [one for one in STUDY.small().trainings() if one.name == "multiplication-gru-5"]
    found = training.record(seed=2, epochs=2, progress=Progress(), label="")
    assert found["history"] == known["history"]
    assert found["right"] == known["right"]


def test_the_report_shows_lines_chance_and_tables(gone_on):
    results = read_json(gone_on[2] / "results.json")
    page = (gone_on[2] / "report.html").read_text("utf-8")
    assert memory_report.render(results) == page
    for text in (
        "a &lt;GRU&gt;", "chance, 28.2 %", "chance, 25.0 %", "Share right by length, copying",
        "of 2", "longest, seed by seed", "a quick look", "Hochreiter &amp; Schmidhuber 1997",
        "Arjovsky, Shah &amp; Bengio 2016",
    ):  # fmt: skip
        assert text in page, text
    assert "a <GRU>" not in page
    rows = overview.rows([results])
    assert [row[1:3] for row in rows] == [
        ["Multiplication: a <GRU>", "steps remembered"], ["Copying: a <GRU>", "steps remembered"],
    ]  # fmt: skip


def test_bands_stand_by_logarithms_where_asked():
    lines, drawn = [[figures.Band([[0.9, 0.5, 0.2]])]], {"title": "T", "label": "L", "axis": "x"}
    level = figures.Reference(0.25, "chance <1 in 4>")
    names = ["1", "10", "100"]
    plain = figures.bands(lines, [1, 10, 100], names=names, **drawn)
    svg = figures.bands(lines, [1, 10, 100], names=names, level=level, log=True, **drawn)
    assert "chance &lt;1 in 4&gt;" in svg
    assert svg.count("<text") == plain.count("<text") + 1
    for text in names:
        assert f">{text}<" in svg


def test_the_study_trains_cells_alike():
    assert [cell.kind for cell in MEMORY_LENGTHS.cells] == ["SimpleRNN", "GRU", "LSTM", "LSTM"]
    assert list(MEMORY_LENGTHS.lengths) == sorted(set(MEMORY_LENGTHS.lengths))
    names = [training.name for training in MEMORY_LENGTHS.trainings()]
    assert len(set(names)) == len(names) == 2 * 4 * 5
