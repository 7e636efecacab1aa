"""Language models: states that go on, batches of a stream, learning, judging and writing."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np
import pytest
from typer.testing import CliRunner

from sunhwan import TextGenerator, load
from sunhwan.cli import app
from sunhwan.errors import DataError, UsageError
from sunhwan.layers import GRU, LSTM, SimpleRNN
from sunhwan.layers.carried import Carried
from sunhwan.runs.progress import Progress
from sunhwan.tasks import generate_judging
from sunhwan.tasks.baselines_language import Baseline
from sunhwan.tasks.generate_config import GenerateConfig
from sunhwan.tasks.language_batches import StreamBatches, joined
from sunhwan.tasks.language_learner import LanguageLearner
from sunhwan.tasks.language_network import LanguageNetwork, NetworkStepper
from sunhwan.tasks.options import drawn_from
from sunhwan.tasks.sampling import SamplingOptions
from sunhwan.tasks.writer import END_MARK, Writer

SMALL: dict[str, Any] = {"units": 16, "embedding": 5, "dropout": 0.0, "sequence_length": 6,
                         "batch_size": 3}  # fmt: skip
SONG = "국민대학교 가는 길\n" * 12


def learner_of(texts: list[str], **options: Any) -> LanguageLearner:
    learner = LanguageLearner(GenerateConfig(**{**SMALL, **options}))
    learner.prepare(texts)
    return learner


def trained(texts: list[str], epochs: int = 60, **options: Any) -> LanguageLearner:
    wanted = {"epochs": epochs, "learning_rate": 0.02, "patience": None, **options}
    learner = learner_of(texts, **wanted)
    ids = learner.joined(learner.ids(texts), closed=True)
    learner.fit(ids, ids)
    return learner


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_states_go_on_as_in_one_long_sequence(kind: Any) -> None:
    layer = kind(4, return_sequences=True, return_state=True)
    x = np.random.default_rng(3).normal(size=(2, 11, 3)).astype("float32")
    whole = layer(x)[0]
    carried = Carried(layer)
    on = np.array([[1.0], [0.0]], "float32")
    parts = [carried([x[:, :7], np.zeros((2, 1), "float32")]), carried([x[:, 7:], on])]
    np.testing.assert_allclose(parts[0], whole[:, :7], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parts[1][0], whole[0, 7:], rtol=1e-5, atol=1e-6)
    # the second row was told to begin anew
    np.testing.assert_allclose(parts[1][1], layer(x[1:, 7:])[0][0], rtol=1e-5, atol=1e-6)


def test_a_carried_layer_is_saved_with_what_it_holds() -> None:
    carried = Carried(GRU(3, return_sequences=True, return_state=True, name="g"))
    again = Carried.from_config(carried.get_config())
    assert (type(again.layer), again.layer.units) == (GRU, 3)
    assert carried.compute_output_shape([(2, 5, 4), (2, 1)]) == (2, 5, 3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"return_sequences": True, "return_state": True, "return_state_sequences": True},
            r"`memory` cannot be carried .*\n.*make the layer with return_state_sequences=False$",
        ),
        ({}, r"make the layer with return_sequences=True and return_state=True$"),
    ],
)
def test_a_layer_that_gives_less_or_more_than_its_last_states_is_refused(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        Carried(LSTM(3, name="memory", **options))
    with pytest.raises(UsageError, match="takes a SimpleRNN, LSTM or GRU, received <Dense"):
        Carried(keras.layers.Dense(3))


@pytest.mark.parametrize(("count", "rows", "steps"), [(20, 3, 4), (7, 4, 2), (5, 8, 3), (24, 1, 5)])
@pytest.mark.parametrize("seed", [None, 5])
def test_each_token_is_foretold_once_and_rows_go_on(
    count: int, rows: int, steps: int, seed: int | None
) -> None:
    ids = np.arange(100, 101 + count, dtype=np.int32)
    batches = StreamBatches(ids, batch_size=rows, steps=steps, seed=seed)
    found: list[int] = []
    for epoch in range(3):
        batches.start(epoch)
        seen = []
        for number in range(len(batches)):
            (x, goes_on), wanted, weights = batches[number]
            live = weights > 0
            assert x.shape == wanted.shape == weights.shape == (rows, steps)
            assert (goes_on == (number > 0)).all()
            np.testing.assert_array_equal(wanted[live], x[live] + 1)
            if number:
                # a row goes on behind its last id, at the front again where the text ends
                follows = weights[:, 0] > 0
                expected = np.where(before == ids[-1], ids[0], before)  # noqa: F821
                np.testing.assert_array_equal(x[follows, 0], expected[follows])
            before = wanted[:, -1]  # noqa: F841
            seen += wanted[live].tolist()
        assert sorted(seen) == ids[1:].tolist()
        found.append(int(batches[0][0][0][0, 0]))
    assert batches.weight == count
    assert (len(set(found)) == 1) == (seed is None)


def test_texts_are_joined_with_their_ends() -> None:
    texts = [np.array([5, 6], np.int32), np.array([], np.int32), np.array([7], np.int32)]
    assert joined(texts, 9, closed=False).tolist() == [9, 5, 6, 9, 9, 7]
    assert joined([], 9, closed=False).tolist() == [9]
    with pytest.raises(DataError, match="at least one token"):
        StreamBatches(np.array([9], np.int32), batch_size=1, steps=1)


def test_stepping_gives_the_logits_of_the_whole() -> None:
    network = LanguageNetwork(ids=9, cell="lstm", units=6, num_layers=2, embedding=4, dropout=0.3,
                              recurrent_dropout=0)  # fmt: skip
    with drawn_from(2):
        model = network.build()
    ids = keras.ops.array([[8, 3, 4, 2, 7], [8, 1, 1, 6, 0]], "int32")
    stepper = NetworkStepper(model)
    state = stepper.start(2)
    whole, *_ = model([ids, *state])
    for step in range(ids.shape[1]):
        state, logits = stepper.step(state, ids[:, step])
        np.testing.assert_allclose(logits, whole[:, step], rtol=1e-5, atol=1e-6)


def test_losses_are_those_of_the_network_token_by_token() -> None:
    learner = learner_of([SONG], sequence_length=5, batch_size=2)
    ids = learner.joined(learner.ids([SONG]), closed=False)
    losses = learner.losses(ids)
    assert len(losses) == len(SONG) == len(ids) - 1
    half = -(-len(SONG) // 2)  # the second row begins there, from nothing
    for begin, end in ((0, half), (half, len(SONG))):
        state = learner.stepper().start(1)
        logits, *_ = learner.model([keras.ops.array(ids[None, begin:end]), *state])
        shares = np.asarray(keras.ops.log_softmax(logits))[0]
        wanted = -shares[np.arange(end - begin), ids[begin + 1 : end + 1]]
        np.testing.assert_allclose(losses[begin:end], wanted, rtol=1e-4, atol=1e-5)


class _Stops(Progress):
    def __init__(self, after: int) -> None:
        super().__init__()
        self.left = after

    def batch(self, done: int, count: int) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def test_training_goes_on_in_the_middle_of_an_epoch_to_the_same_bits(tmp_path: Path) -> None:
    options = {"epochs": 3, "dropout": 0.4, "cell": "gru"}
    whole, parts = (learner_of([SONG], **options) for _ in range(2))
    ids = whole.joined(whole.ids([SONG]), closed=False)
    history = whole.fit(ids, ids)
    fit = {"state": tmp_path / "training", "fingerprint": "x"}
    with pytest.raises(KeyboardInterrupt):
        parts.fit(ids, ids, progress=_Stops(12), **fit)  # type: ignore[arg-type]
    again = learner_of([SONG], **options)
    found = again.fit(ids, ids, **fit)  # type: ignore[arg-type]
    assert found.figures == history.figures
    for one, other in zip(whole.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_four_letters_are_learnt_one_ahead() -> None:
    learner = trained(["국민대학"], epochs=120, sequence_length=3, batch_size=1)
    writer = Writer(learner)
    for prompt, following in (("", "국"), ("국", "민"), ("국민", "대"), ("국민대", "학")):
        (first, second) = writer.suggest(prompt, 2)
        assert first.text == following
        assert first.probability > 0.9 > second.probability
    assert writer.suggest("국민대학", 1)[0].text == END_MARK
    assert "".join(writer.write("국", options=SamplingOptions(temperature=0))) == "민대학"
    assert len("".join(writer.write(options=SamplingOptions(0), length=9, ends=False))) == 9
    assert writer.unknown("국가 민") == ["가"]


@pytest.mark.parametrize("tokens", ["characters", "jamo", "words", "bpe", "unigram"])
def test_what_was_learnt_by_heart_is_written_again(tokens: str) -> None:
    learner = trained([SONG], tokens=tokens, epochs=60, sequence_length=16, units=24)
    pieces = list(Writer(learner).write(SONG[:22], options=SamplingOptions(0), length=200))
    assert "".join(pieces)[:60] == SONG[22:82]
    assert len(pieces) > 1
    # no syllable is shown before it is whole
    assert all("가" <= letter <= "힣" or letter in " \n" for piece in pieces for letter in piece)


def test_a_seed_writes_the_same_and_another_something_else() -> None:
    writer = Writer(learner_of([SONG]))
    texts = ["".join(writer.write("길", length=40, seed=seed)) for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
    assert writer.rate > 0


def test_figures_of_a_language_model() -> None:
    losses = np.random.default_rng(1).gamma(2, 0.7, 900)
    found = generate_judging.figures(losses, characters=1800, seed=2)
    metrics = found["metrics"]
    assert metrics["loss"] == pytest.approx(losses.mean())
    assert metrics["perplexity"] == pytest.approx(math.exp(losses.mean()))
    assert metrics["bits_per_character"] == pytest.approx(losses.mean() / math.log(2) / 2)
    low, high = found["intervals"]["loss"]
    assert low < losses.mean() < high < losses.mean() + 0.3
    worse = Baseline("unigram", float((losses + 1).mean()), losses + 1, 0.1, "counts")
    (row,) = generate_judging.compare(losses, [worse], 1800, seed=2)
    assert row["difference"]["loss"]["value"] == pytest.approx(-1)
    assert row["difference"]["loss"]["p"] < 0.01


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"network": {}}, "`network.ids`"),
        ({"network": None}, "`network."),
        ({}, "`network."),
    ],
)
def test_a_damaged_description_is_refused(changed: dict[str, Any], said: str) -> None:
    learner = learner_of([SONG])
    config, encoder = learner.config, json.loads(json.dumps(learner.encoder.config()))
    with pytest.raises(DataError, match=said):
        LanguageLearner.from_json(config, encoder, changed, "run")
    other = json.loads(json.dumps(learner.to_json()))
    other["network"]["units"] = 17
    with pytest.raises(DataError, match="does not belong"):
        LanguageLearner.from_json(config, encoder, other, "run")
    with pytest.raises(DataError, match="larger than the file"):
        LanguageLearner.from_json(config, encoder, learner.to_json(), "run", most_bytes=100)
    again = LanguageLearner.from_json(config, encoder, learner.to_json(), "run")
    assert again.network == learner.network


def test_a_generator_in_python(tmp_path: Path) -> None:
    options = {"units": 24, "epochs": 60, "learning_rate": 0.02, "sequence_length": 16}
    generator = TextGenerator(**options).fit(SONG)  # type: ignore[arg-type]
    assert generator.learner_.config.tokens == "characters"
    said = generator.generate(SONG[:22], 60, temperature=0)
    assert said == SONG[22:82]
    assert "".join(generator.stream(SONG[:22], 60, temperature=0)) == said
    found = generator.evaluate([SONG[:33], SONG[11:55]])
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    again = load(generator.save(tmp_path / "run"))
    assert isinstance(again, TextGenerator)
    assert again.get_params()["units"] == 24
    assert again.generate("국", 30, seed=5) == generator.generate("국", 30, seed=5)
    assert [one.text for one in again.suggest("국", 3)] == [
        one.text for one in generator.suggest("국", 3)
    ]
    with pytest.raises(TypeError, match="`unit` is no option of TextGenerator"):
        TextGenerator(unit=3)  # type: ignore[call-arg]
    with pytest.raises(UsageError, match="text 1 must be a str"):
        TextGenerator().fit(["a", 3])  # type: ignore[list-item]
    with pytest.raises(DataError, match="text 0 is empty"):
        TextGenerator().fit(" ")


def test_from_a_file_to_text_on_the_command_line(tmp_path: Path) -> None:
    data, run = tmp_path / "song.txt", tmp_path / "run"
    data.write_text("\ufeff" + SONG * 4, encoding="utf-8")
    options = ["--units", 24, "--epochs", 30, "--learning-rate", 0.02, "--sequence-length", 16]
    result = invoke("train", "generate", data, *options, "--out", run)
    assert result.exit_code == 0, result.stderr
    assert "perplexity" in result.stdout
    assert f"sunhwan generate {run}" in result.stdout
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in results["baselines"]] == ["unigram", "Markov chain"]
    assert [row["temperature"] for row in results["samples"]] == [0.5, 0.8, 1.0]
    assert len(results["surprise"]["tokens"]) == len(results["surprise"]["bits"])
    assert "What it writes" in (run / "report.html").read_text(encoding="utf-8")
    said = invoke("generate", run, "--prompt", SONG[:22], "--temperature", 0, "--length", 40)
    assert said.stdout == SONG[22:62] + "\n"
    assert said.stderr == ""
    bold = ["generate", run, "--length", 30, "--temperature", 5]
    seeded = [invoke(*bold, "--seed", seed).stdout for seed in (1, 1, 2)]
    assert seeded[0] == seeded[1] != seeded[2]
    listed = json.loads(invoke("suggest", run, "--prompt", "국민", "--count", 3, "--json").stdout)
    assert listed[0]["text"] == "대"
    assert sum(row["probability"] for row in listed) <= 1
    shown = invoke("suggest", run, "--prompt", "대학교 Zoë")
    assert "'Z' 'o' 'ë'" in shown.stderr
    judged = json.loads(invoke("evaluate", run, data, "--json").stdout)
    assert judged["bits_per_character"] == pytest.approx(judged["loss"] / math.log(2), rel=0.02)
    for command, words in (
        (["predict", run, data], "has no answers to rows"),
        (["export", run, "--out", tmp_path / "a.onnx"], "cannot be exported yet"),
        (["tune", "generate", data, "--out", tmp_path / "t"], "cannot search for `generate` yet"),
        (["generate", run, "--temperature", -1], "`temperature` must be"),
        (["train", "generate", data, "--horizon", 3, "--out", tmp_path / "x"], "no meaning"),
    ):
        refused = invoke(*command)  # type: ignore[misc]
        assert refused.exit_code == 2, refused.stderr
        assert words in refused.stderr


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.mark.parametrize("kind", [SimpleRNN, LSTM, GRU])
def test_dropped_recurrent_weights_have_no_part_and_no_gradient(kind: Any) -> None:
    layer = kind(5, return_sequences=True, return_state=True)
    carried = Carried(layer, weight_dropout=0.4, seed=3)
    x = np.random.default_rng(3).normal(size=(2, 7, 3)).astype("float32")
    inputs = [keras.ops.array(x), keras.ops.zeros((2, 1))]
    calm = carried(inputs)
    np.testing.assert_allclose(calm, layer(inputs[0])[0], rtol=1e-5, atol=1e-6)
    trainable = [v.value for v in carried.trainable_variables]
    other = [v.value for v in carried.non_trainable_variables]
    place = [v is layer.cell.recurrent_kernel for v in carried.trainable_variables].index(True)

    def total(values: list[Any]) -> Any:
        steps, _ = carried.stateless_call(values, other, inputs, training=True)
        return (steps * steps).sum()

    value, slopes = jax.value_and_grad(total)(trainable)
    dropped = np.asarray(slopes[place]) == 0
    assert 0.2 < dropped.mean() < 0.6
    assert (np.asarray(slopes[0]) != 0).all()
    # the same by hand: the kernel without those weights, the rest scaled up
    kernel = np.where(dropped, 0, np.asarray(trainable[place]) / 0.6)
    layer.cell.recurrent_kernel.assign(kernel)
    steps = layer(inputs[0])[0]
    assert float((steps * steps).sum()) == pytest.approx(float(value), rel=1e-5)
    _, after = carried.stateless_call(trainable, other, inputs, training=True)
    assert any((np.asarray(a) != np.asarray(b)).any() for a, b in zip(after, other, strict=True))


def test_single_jamo_are_read_as_a_keyboard_writes_them_and_shown_as_letters() -> None:
    learner = trained([SONG], tokens="jamo", epochs=40, sequence_length=16, units=24)
    writer = Writer(learner)
    typed, exact = (writer.suggest(f"국민대학교 {one}", 3) for one in ("ㄱ", "\u1100"))
    assert typed == exact
    assert typed[0].text == "ㅏ"
    assert writer.unknown("국민 ㄱ") == []
    assert writer.unknown("국민 ㅋ") == ["\u110f"]
    texts = [one.text for one in writer.suggest("국", 200)]
    assert "" not in texts
    assert "\ufffd" not in texts
    assert len(texts) == learner.end - 1  # all that is learnt, and the end
