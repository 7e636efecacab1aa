"""`sunhwan.keras`: every module of Keras under our name, with our layers and data sets in it."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import subprocess
import sys

import keras
import numpy as np
import pytest

import sunhwan.keras as mirror
import sunhwan.layers

OURS = ("Embedding", "SimpleRNN", "LSTM", "GRU", "Bidirectional")
WRITTEN_HERE = {
    "datasets",
    "datasets.imdb",
    "datasets.reuters",
    "layers",
    "preprocessing",
    "preprocessing.sequence",
}


def _public_modules(package=keras):
    # not pkgutil.walk_packages: it imports every package, and to import `keras.src.backend.numpy`
    # puts another backend in the place of the one in use
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_") and module.name != "src":
            place = f"{package.__name__}.{module.name}"
            yield place.removeprefix("keras.")
            if module.ispkg:
                yield from _public_modules(importlib.import_module(place))


def test_every_public_module_is_keras_own_object():
    places = set(_public_modules())
    assert {"callbacks", "optimizers.schedules", "applications.resnet50", *WRITTEN_HERE} <= places
    for place in places:
        theirs = importlib.import_module(f"keras.{place}")
        ours = importlib.import_module(f"sunhwan.keras.{place}")
        if place in WRITTEN_HERE:
            assert ours.__name__ == f"sunhwan.keras.{place}"
        else:
            assert ours is theirs, place
            assert theirs.__spec__.name == f"keras.{place}"


def test_modules_written_here_differ_in_ours_alone():
    for place in ("", *sorted(WRITTEN_HERE)):
        theirs = importlib.import_module(f"keras.{place}".rstrip("."))
        ours = importlib.import_module(f"sunhwan.keras.{place}".rstrip("."))
        for name in (name for name in dir(theirs) if not name.startswith("_")):
            assert name in dir(ours), (place, name)
            child = f"{place}.{name}".lstrip(".")
            differs = getattr(ours, name) is not getattr(theirs, name)
            data = place.startswith("datasets.") and name in ("load_data", "get_word_index")
            layer = place == "layers" and name in OURS
            assert differs == (child in WRITTEN_HERE or data or layer), child
    assert mirror.__version__ == keras.__version__


def test_layers_are_ours():
    from sunhwan.keras.layers import GRU, LSTM, Bidirectional, Embedding, SimpleRNN

    received = [Embedding, SimpleRNN, LSTM, GRU, Bidirectional]
    assert received == [getattr(sunhwan.layers, name) for name in OURS]
    assert mirror.layers.LSTM is LSTM
    assert issubclass(LSTM, keras.layers.LSTM)
    assert LSTM is not keras.layers.LSTM


TUTORIAL = """
from sunhwan.keras import backend, layers
from sunhwan.keras.datasets import imdb, mnist, reuters
from sunhwan.keras.models import Sequential
from sunhwan.keras.optimizers.schedules import ExponentialDecay
from sunhwan.keras.preprocessing.sequence import pad_sequences
from sunhwan.keras.utils import to_categorical
"""


def test_the_imports_of_tutorials_work():
    names = {}
    exec(TUTORIAL, names)
    assert names["backend"] is keras.backend
    assert names["layers"] is mirror.layers
    assert names["layers"].Dense is keras.layers.Dense
    assert names["imdb"] is mirror.datasets.imdb is not keras.datasets.imdb
    assert names["reuters"].get_label_names() == keras.datasets.reuters.get_label_names()
    assert names["mnist"] is keras.datasets.mnist
    assert names["Sequential"] is mirror.Sequential is keras.Sequential
    assert names["ExponentialDecay"] is keras.optimizers.schedules.ExponentialDecay
    assert names["pad_sequences"] is mirror.utils.pad_sequences is keras.utils.pad_sequences
    assert names["to_categorical"] is keras.utils.to_categorical


def test_star_import_brings_ours():
    names = {}
    exec("from sunhwan.keras import *", names)
    assert names["layers"] is mirror.layers
    assert names["Input"] is keras.Input
    exec("from sunhwan.keras.layers import *", names)
    assert names["GRU"] is sunhwan.layers.GRU


@pytest.mark.parametrize(
    ("place", "name", "instead"),
    [
        ("layers", "CuDNNLSTM", "use LSTM"),
        ("layers", "CuDNNGRU", "use GRU"),
        ("layers", "experimental", "`sunhwan.keras.layers`"),
        ("layers", "recurrent", "`sunhwan.keras.layers`"),
        ("preprocessing", "text", "`sunhwan.data.rank_words`"),
        ("preprocessing.sequence", "TimeseriesGenerator", "sliding_window_view"),
    ],
)
def test_what_is_gone_names_what_to_use(place, name, instead):
    module = importlib.import_module(f"sunhwan.keras.{place}")
    says = rf"^`sunhwan.keras.{place}.{name}` is gone since Keras 3; .*{instead}"
    assert not hasattr(module, name)
    with pytest.raises(AttributeError, match=says):
        getattr(module, name)
    with pytest.raises(ImportError, match=says):
        exec(f"from sunhwan.keras.{place} import {name}")
    with pytest.raises(ImportError, match=says):
        importlib.import_module(f"sunhwan.keras.{place}.{name}")


@pytest.mark.parametrize(
    "line",
    [
        "from sunhwan.keras.preprocessing.text import Tokenizer",
        "from sunhwan.keras.layers.recurrent import LSTM",
        "from sunhwan.keras.layers.experimental.preprocessing import TextVectorization",
        "from sunhwan.keras.utils.np_utils import to_categorical",
        "from sunhwan.keras.wrappers.scikit_learn import KerasClassifier",
        "import sunhwan.keras.engine.topology",
    ],
)
def test_old_module_paths_name_what_to_use(line):
    with pytest.raises(ImportError, match=r"^`sunhwan.keras.* is gone since Keras 3; "):
        exec(line)


def test_what_never_was_fails_as_python_does():
    with pytest.raises(
        ImportError, match=r"cannot import name 'Nothing' from 'sunhwan.keras.layer"
    ):
        exec("from sunhwan.keras.layers import Nothing")
    with pytest.raises(AttributeError, match=r"module 'sunhwan.keras' has no attribute 'nothing'"):
        _ = mirror.nothing
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'sunhwan.keras.nothing'"):
        importlib.import_module("sunhwan.keras.nothing")
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'sunhwan.keras.utils.nothing'"):
        importlib.import_module("sunhwan.keras.utils.nothing")


# Keras's own variables meet NumPy 2 with an old signature when they are saved
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_is_saved_and_loaded_through_the_mirror(tmp_path):
    layers = mirror.layers
    model = mirror.Sequential(
        [
            mirror.Input((7,), dtype="int32"),
            layers.Embedding(11, 5),
            layers.Bidirectional(layers.GRU(3, return_sequences=True)),
            layers.LSTM(4, return_sequences=True),
            layers.SimpleRNN(2),
        ]
    )
    x = np.random.default_rng(1).integers(0, 11, (3, 7)).astype(np.int32)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = mirror.models.load_model(tmp_path / "model.keras")
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), expected)


def test_classes_pickle_to_themselves():
    for name in OURS:
        ours = getattr(mirror.layers, name)
        assert pickle.loads(pickle.dumps(ours)) is ours


def test_a_fresh_process_needs_no_other_import():
    """The order of imports must not matter: here nothing of Keras is loaded before."""
    script = (
        "import sunhwan.keras.optimizers.schedules as schedules\n"
        "import sunhwan.keras as keras, sys\n"
        "assert 'sunhwan.layers' not in sys.modules\n"
        "assert keras.datasets.imdb.__name__ == 'sunhwan.keras.datasets.imdb'\n"
        "import keras as stock\n"
        "assert schedules is stock.optimizers.schedules is keras.optimizers.schedules\n"
        "assert stock.datasets.imdb.__name__ == 'keras.datasets.imdb'\n"
        "assert stock.layers.LSTM.__module__.startswith('keras.')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
