"""Studies: random pairs, networks that read their own words, tiny trainings, report, command."""

from __future__ import annotations

import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from sunhwan.cli.reproduce import reproduce
from sunhwan.errors import UsageError
from sunhwan.reproduce import STUDIES, contenders, overview, study_report
from sunhwan.reproduce.studies import Contender, Group, Size, Study
from sunhwan.reproduce.study_runner import run
from sunhwan.reproduce.symbols import SymbolPairs
from sunhwan.runs import figures
from sunhwan.runs.files import read_json
from sunhwan.runs.progress import Progress
from sunhwan.tasks.beam import beam_search
from sunhwan.tasks.translate_stepper import TranslationStepper

SIZE = Size(
    alphabet=4, bins=1, beyond=0, units=6, embedding=3, batches=3, batch_size=4, test_rows=50,
    learning_rate=0.02,
)  # fmt: skip


def pairs(task="copy", **changes):
    given = {"ranges": [(1, 4), (5, 9)], "batches": 2, "batch_size": 7, "seed": 3, **changes}
    return SymbolPairs(task, 6, **given)


@pytest.mark.parametrize("task", ["copy", "reverse"])
def test_pairs_are_what_their_task_says(task):
    given = pairs(task)
    steps = []
    for index in range(len(given)):
        (source, read, own, second), wanted, weights = given[index]
        steps.append(source.shape[1])
        for row in range(7):
            symbols = source[row][source[row] > 0].tolist()
            assert source[row].tolist() == symbols + [0] * (steps[-1] - len(symbols))
            assert set(symbols) <= set(range(1, 7))
            target = symbols[::-1] if task == "reverse" else symbols
            assert read[row, : len(target) + 1].tolist() == [7, *target]
            assert wanted[row, : len(target) + 1].tolist() == [*target, 7]
            assert weights[row].tolist() == [1.0] * (len(target) + 1) + [0.0] * (
                steps[-1] - len(target)
            )
        assert own.tolist() == second.tolist() == [[0.0]] * 7
    assert sorted(steps) == [4, 4, 9, 9]
    assert given.weight == sum(given[index][2].sum() for index in range(4))


def test_pairs_are_new_in_each_epoch_and_part_and_the_same_for_a_seed():
    def sources(**changes):
        given = pairs(**changes)
        given.start(2)
        return [given[index][0][0].tolist() for index in range(4)]

    assert sources() == sources()
    early = pairs()
    early.start(1)
    others = (
        sources(seed=4),
        sources(part="watch"),
        [early[index][0][0].tolist() for index in range(4)],
    )
    assert all(sorted(map(str, other)) != sorted(map(str, sources())) for other in others)
    own = pairs(shares=lambda epoch: (epoch / 4, 1.0))
    own.start(3)
    (_, _, share, second), _, _ = own[0]
    assert share.tolist() == [[0.75]] * 7
    assert second.tolist() == [[1.0]] * 7


@pytest.mark.parametrize(
    "wrong", [{"ranges": []}, {"ranges": [(0, 3)]}, {"ranges": [(4, 3)]}, {"batches": 0}]
)
def test_pairs_refuse_what_gives_none(wrong):
    with pytest.raises(UsageError, match=f"`{next(iter(wrong))}` must be"):
        pairs(**wrong)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(5)
    built = contenders._built("multiplicative", SIZE)
    random = np.random.default_rng(5)
    for variable in built.model.trainable_variables:
        variable.assign(random.normal(0, 0.8, variable.shape))
    return built


def read_by(network, source, true, share):
    """What `WithOwnWords` makes of true ids, ``int32[32, T]``."""
    own = np.full((len(true), 1), share, np.float32)
    return network.looking.predict([source, true, own], verbose=0)[0]


def test_all_own_words_are_those_of_a_greedy_search(network):
    given = SymbolPairs("reverse", 4, ranges=[(2, 9)], batches=1, batch_size=32, seed=2)
    source, true, *_ = given[0][0]
    own = read_by(network, source, true, 1.0)
    assert (own[:, 0] == given.end).all()
    stepper = TranslationStepper(network.models)
    found = beam_search(
        stepper, stepper.begin(source), true[:, 0], width=1, max_steps=9, end=given.end
    )
    lengths = set()
    for row, hypotheses in zip(own, found, strict=True):
        ids = hypotheses[0].ids
        assert tuple(row[1 : len(ids) + 1]) == ids
        lengths.add(len(ids))
    assert len(lengths) > 1
    assert np.array_equal(read_by(network, source, true, 0.0), true)


def test_a_share_of_own_words_goes_on_from_them(network):
    given = SymbolPairs("copy", 4, ranges=[(9, 9)], batches=1, batch_size=32, seed=2)
    source, true, *_ = given[0][0]
    mixed = read_by(network, source, true, 0.5)
    logits = network.models.learning([source, mixed, np.zeros((32, 1), np.float32)])
    guesses = np.asarray(logits).argmax(axis=-1)[:, :-1]
    is_own, is_true = mixed[:, 1:] == guesses, mixed[:, 1:] == true[:, 1:]
    assert (is_own | is_true).all()
    # of those that tell which they are, about half
    share = (is_own & ~is_true).sum() / (is_own ^ is_true).sum()
    assert 0.4 < share < 0.6


def test_what_stands_behind_an_early_end_is_wrong(network, monkeypatch):
    given = SymbolPairs(
        "copy", 4, ranges=[(3, 3)], batches=1, batch_size=2, seed=2,
        shares=lambda epoch: (1.0, 0.0),
    )  # fmt: skip
    wanted = given[0][1]
    found = wanted.copy()
    found[1, 1] = given.end
    logits = np.eye(6)[found]
    monkeypatch.setattr(contenders, "forward_pass", lambda model: lambda *values: (logits, []))
    right, real = contenders._right(network.model, given)
    assert real.all()
    assert right.tolist() == [[True] * 4, [True, False, False, False]]
    assert contenders._wrong_by_place(right, real) == [0.0, 0.5, 0.5, 0.5]


def test_probability_is_that_of_the_true_symbol():
    shares = np.array([[0.2, 0.7, 0.1], [0.5, 0.3, 0.2]], np.float32)
    found = contenders._probability(np.array([1, 2]), np.log(shares) + 3)
    np.testing.assert_allclose(found, [0.7, 0.2], rtol=1e-5)


def small(**changes) -> Study:
    """Two networks that learn to copy up to ten of four symbols."""
    fed = Contender("fed", "true symbols", attention="multiplicative")
    alone = Contender("alone", "own <symbols>", attention="multiplicative", own="all")
    settings = {
        "name": "small",
        "title": "A small one",
        "question": "Which is better?",
        "groups": (Group("Copying", "As it was read.", (fed, alone), SIZE),),
        "figures": ("sequences", "symbols", "epochs", "places", "looks"),
        "epochs": 2,
    }
    return Study(**{**settings, **changes})


class StopsAt(Progress):
    """A display on which Ctrl-C is pressed at the end of the first epoch of a training."""

    def __init__(self, training):
        super().__init__()
        self.left, self.skipped = training, []

    def begin(self, label, epochs):
        super().begin(label, epochs)
        self.left -= 1

    def epoch(self, number, logs):
        super().epoch(number, logs)
        if not self.left:
            raise KeyboardInterrupt("stopped after epoch 1; nothing was kept")

    def skip(self, label, epochs):
        super().skip(label, epochs)
        self.skipped.append(label)


def without_times(value):
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k != "seconds"}
    return [without_times(v) for v in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory):
    """A study that was stopped in its third training, and gone on with: result and display."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.raises(KeyboardInterrupt) as stopped:
        run(small(), (1, 2), out=folder, progress=StopsAt(3))
    assert not stopped.value.args
    kept = sorted(path.name for path in (folder / "small" / "seeds").iterdir())
    assert kept == ["fed-1.json", "fed-2.json"]
    progress = StopsAt(9)
    return run(small(), (1, 2), out=folder, progress=progress), progress


def test_a_study_goes_on_from_its_finished_seeds(interrupted):
    result, progress = interrupted
    assert progress.skipped == ["true symbols, seed 1", "true symbols, seed 2"]
    assert progress.time_left() == ""
    results = read_json(result.results_path)
    assert results == result.results
    assert sorted(path.name for path in result.results_path.parent.iterdir()) == [
        "report.html", "results.json",
    ]  # fmt: skip
    assert results["command"] == "sunhwan reproduce small --seeds 2"
    for variant in results["variants"]:
        for record, seed in zip(variant["seeds"], (1, 2), strict=True):
            assert record["seed"] == seed
            assert record["epochs_run"] == len(record["history"]["loss"]) == 2
            assert record["by_length"]["symbols"] == [record["symbols_right"]]
            # ten symbols and the end
            assert len(record["by_place"]["own"]) == len(record["by_place"]["true"]) == 11
            weights = np.array(record["look"]["weights"])
            assert weights.shape == (len(record["look"]["written"]), 20)
            np.testing.assert_allclose(weights.sum(axis=1), 1, atol=0.02)
            assert set(record["look"]["source"]) == set("abcd")
        right = [record["symbols_right"] for record in variant["seeds"]]
        assert variant["summary"]["symbols_right"]["mean"] == pytest.approx(np.mean(right))
    fed, alone = (variant["seeds"] for variant in results["variants"])
    assert without_times(fed[0]["history"]) != without_times(alone[0]["history"])


def test_a_seed_gives_the_same_bits_whatever_was_trained_before(interrupted):
    group = small().groups[0]
    found = contenders.record(
        group.contenders[1], group.size, seed=2, epochs=2, progress=Progress(), label=""
    )
    known = interrupted[0].results["variants"][1]["seeds"][1]
    assert without_times(found) == without_times(known)


def test_the_report_shows_every_network(interrupted):
    result, _ = interrupted
    page = result.report_path.read_text("utf-8")
    assert study_report.render(read_json(result.results_path)) == page
    for text in (
        "own &lt;symbols&gt;", "Which is better?", "Sequences right by length", "Symbols wrong",
        "Attention, true symbols", "Where the decoder looked", "over 2 seeds",
    ):  # fmt: skip
        assert text in page, text
    assert "own <symbols>" not in page
    assert "quick look" not in page
    rows = overview.rows([result.results])
    assert [row[:3] for row in rows] == [
        ["small", "true symbols", "sequences right"],
        ["small", "own <symbols>", "sequences right"],
    ]
    assert "sequences right" in overview.render([result.results, result.results])


def test_bands_are_drawn_at_their_places():
    lines = [[figures.Band([[0.1, 0.9], [0.3, 0.7]]), figures.Band([[0.5]], dashed=True)]]
    drawn = {
        "title": "T", "label": "seen & heard", "axis": "length", "names": ["1-10", "11-20"],
        "edge": figures.Reference(1.5, "longer"),
    }  # fmt: skip
    svg = figures.bands(lines, [1, 2], **drawn)
    assert 'aria-label="seen &amp; heard"' in svg
    assert all(f">{text}<" in svg for text in ("11-20", "longer", "length", "T"))
    assert figures.bands(lines, [1, 2], **drawn) == svg
    assert figures.bands([lines[0][:1]], [1, 2], **drawn) != svg


def test_names_of_studies_and_networks_are_their_own():
    names = [study.name for study in STUDIES]
    assert names == ["seq2seq-attention", "teacher-forcing", "memory-lengths"]
    for study in STUDIES:
        of = [training.name for training in study.trainings()]
        assert len(set(of)) == len(of) > 4


@pytest.mark.parametrize("options", [{"seeds": ()}, {"seeds": (1, 1)}, {"epochs": 0}])
def test_bad_settings_are_usage_errors(options, tmp_path):
    with pytest.raises(UsageError, match=r"`(seeds|epochs)` must be"):
        run(small(), out=tmp_path, **options)
    with pytest.raises(UsageError, match="no experiment called `smal`"):
        run("smal", out=tmp_path)


@pytest.fixture
def command(monkeypatch, interrupted):
    """The command line's verb, where there is one study of one network that has been trained."""
    study = small(groups=(replace(small().groups[0], contenders=small().contenders[:1]),))
    # the name in the package is that of the function
    verb = sys.modules[reproduce.__module__]
    monkeypatch.setattr(verb, "_ALL", (study,))
    known = interrupted[0].results["variants"][0]["seeds"][0]
    asked = []
    monkeypatch.setattr(contenders, "record", lambda *given, **o: asked.append((given, o)) or known)
    app = typer.Typer()
    app.command()(reproduce)
    return lambda *arguments: (CliRunner().invoke(app, [str(a) for a in arguments]), asked)


def test_command_runs_a_study_and_says_what_it_leaves_out(command, tmp_path):
    done, asked = command("small", "--seeds", 1, "--quick", "--stock", "--out", tmp_path)
    assert done.exit_code == 0, done.exception
    assert "without stock Keras, whose layers they do not compare: small" in done.stdout
    assert f"report: {tmp_path / 'small' / 'report.html'}" in done.stdout
    ((contender, size), options) = asked[0]
    assert (contender.name, size.units, size.bins, options["epochs"]) == ("fed", 16, 1, 2)
    assert options["label"] == "true symbols, seed 1"
    assert "a quick look" in (tmp_path / "small" / "report.html").read_text("utf-8")
    assert read_json(tmp_path / "small" / "results.json")["groups"][0]["size"]["units"] == 16


def test_command_lists_studies_and_finds_near_names(command):
    assert "A small one" in command("--list")[0].stdout
    caught = command("smal")[0].exception
    assert isinstance(caught, UsageError)
    assert "did you mean `small`?" in str(caught)
