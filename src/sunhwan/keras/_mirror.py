"""Makes every module below `keras` importable below `sunhwan.keras`, as the very same object.

The same object and not a copy: a class must not exist twice, or `isinstance`, Keras's registry of
saved classes and pickles would see strangers. The few modules that hold something of ours are
written as files beside this one, and named in `OWN`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from sunhwan.keras._gone import GONE, sentence

_HERE = "sunhwan.keras."

#: what is written here, and found in the usual way
OWN = frozenset(
    {
        "_gone",
        "_mirror",
        "datasets",
        "datasets.imdb",
        "datasets.reuters",
        "layers",
        "preprocessing",
        "preprocessing.sequence",
    }
)


class _Mirror(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(_HERE):
            return None
        place = fullname.removeprefix(_HERE)
        if place in GONE:
            raise ImportError(sentence(place), name=fullname)
        if place in OWN or importlib.util.find_spec(f"keras.{place}") is None:
            return None
        return ModuleSpec(fullname, self)

    def create_module(self, spec: ModuleSpec) -> None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        # the import system hands out what stands here when this returns; giving it Keras's module
        # in `create_module` instead would overwrite that module's own `__spec__`
        place = module.__name__.removeprefix(_HERE)
        sys.modules[module.__name__] = importlib.import_module(f"keras.{place}")


def install() -> None:
    """Put the mirror before the finders of files, which would load Keras's files a second time."""
    if not any(isinstance(finder, _Mirror) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Mirror())
