"""Hidden ids: how many, which, when, and that the network behind still runs as one."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest

from sunhwan import layers
from sunhwan.engine import native
from sunhwan.layers.id_dropout import IdDropout
from sunhwan.tasks.networks import Network

IDS = np.random.default_rng(0).integers(0, 50, (200, 37)).astype("int32")


def test_the_share_is_hidden_and_padding_is_not() -> None:
    hidden = np.asarray(IdDropout(0.3, unknown=1, seed=2)(IDS, training=True))
    is_changed = hidden != IDS
    assert set(hidden[is_changed].tolist()) == {1}
    assert (hidden[IDS == 0] == 0).all()
    could = (IDS > 1).sum()
    # five standard deviations of a binomial share
    assert abs(is_changed.sum() / could - 0.3) < 5 * (0.3 * 0.7 / could) ** 0.5


def test_nothing_is_hidden_when_predicting() -> None:
    np.testing.assert_array_equal(np.asarray(IdDropout(0.9)(IDS)), IDS)


def test_draws_differ_from_call_to_call_and_are_those_of_the_seed() -> None:
    layer, twin = IdDropout(0.5, seed=5), IdDropout(0.5, seed=5)
    first, second = (np.asarray(layer(IDS, training=True)) for _ in range(2))
    assert (first != second).any()
    np.testing.assert_array_equal(first, np.asarray(twin(IDS, training=True)))


@pytest.mark.skipif(not native.available(), reason=f"kernels: {native.why_missing()}")
def test_embedding_and_recurrence_behind_it_run_as_one() -> None:
    ids = keras.Input((None,), dtype="int32")
    table = layers.Embedding(50, 4, mask_zero=True)(IdDropout(0.2)(ids))
    model = keras.Model(ids, layers.GRU(3)(table, mask=keras.ops.not_equal(ids, 0)))

    def train(trainable: Any, other: Any, x: Any) -> Any:
        return model.stateless_call(trainable, other, x, training=True)[0]

    state = [[v.value for v in group] for group in (model.trainable_variables,
                                                    model.non_trainable_variables)]  # fmt: skip
    text = jax.jit(train).lower(*state, IDS).compile().as_text()
    assert "sunhwan_forward" in text
    assert "sunhwan_embedding_lookup" not in text


def test_a_network_has_it_only_where_it_is_wanted() -> None:
    def build(share: float) -> list[str]:
        network = Network(
            inputs="ids", vocabulary=(50,), outputs=3, per_step=False, cell="gru", units=4,
            num_layers=1, bidirectional=True, embedding=5, pooling="max", dropout=0.1,
            recurrent_dropout=0, token_dropout=share,
        )  # fmt: skip
        return [layer.name for layer in network.build().layers]

    assert "drop_ids" in build(0.25)
    assert "drop_ids" not in build(0.0)


def test_saved_and_loaded_with_keras(tmp_path: object) -> None:
    path = f"{tmp_path}/model.keras"
    keras.Sequential([keras.Input((None,), dtype="int32"), IdDropout(0.25, 2, 9)]).save(path)
    layer = keras.saving.load_model(path).layers[0]
    assert (layer.rate, layer.unknown, layer.seed) == (0.25, 2, 9)
