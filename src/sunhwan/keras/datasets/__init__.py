"""`keras.datasets` with our `imdb` and `reuters`, which read the folder in `SUNHWAN_DATA` first."""

from __future__ import annotations

from keras.datasets import *  # noqa: F403

# `from ... import imdb` would find the name that the star brought, and never import ours
import sunhwan.keras.datasets.imdb as imdb  # noqa: F401
import sunhwan.keras.datasets.reuters as reuters  # noqa: F401
