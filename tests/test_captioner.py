"""`sunhwan.Captioner`: captions from arrays and files in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sunhwan
from sunhwan.errors import DataError, ShapeError, UsageError
from test_caption import SMALL, captions

OPTIONS: dict[str, Any] = {**SMALL, "epochs": 9}


@pytest.fixture(scope="module")
def fitted() -> Any:
    pairs = captions(320)
    return sunhwan.Captioner(**OPTIONS).fit(pairs.read(), pairs.targets)


def test_it_captions_arrays_and_files_and_is_kept(fitted: Any, tmp_path: Path) -> None:
    asked = captions(40, seed=3)
    said = fitted.caption(asked.read())
    assert np.mean([one == two for one, two in zip(said, asked.targets, strict=True)]) > 0.8
    path = tmp_path / "a.png"
    Image.fromarray(asked.read()[0]).save(path)
    assert fitted.caption(path) == fitted.caption(asked.read()[0]) == said[0]
    assert fitted.caption([path, str(path)], width=1) == [fitted.caption(path, width=1)] * 2
    grey = asked.read()[0][:, :, 0]
    assert fitted.caption(grey) == fitted.caption(grey[:, :, None])
    figures = fitted.evaluate(asked.read(), asked.targets)
    assert figures["exact_match"] > 0.8
    again = sunhwan.load(fitted.save(tmp_path / "run"))
    assert isinstance(again, sunhwan.Captioner)
    assert again.get_params() == {**fitted.get_params(), **_settled(fitted)}
    assert again.caption(asked.read()) == said
    assert len(again.history_["loss"]) == len(fitted.history_["loss"])


def _settled(fitted: Any) -> dict[str, Any]:
    return {name: getattr(fitted.learner_.config, name) for name in fitted.get_params()}


def test_what_does_not_fit_is_refused(fitted: Any, tmp_path: Path) -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(ShapeError, match=r"image 1 must be a path or uint8 .* received float64"):
        fitted.caption([image, image / 255])
    with pytest.raises(ShapeError, match=r"image 0 .* received uint8 of shape \(8, 8, 4\)"):
        fitted.caption(np.zeros((8, 8, 4), np.uint8))
    with pytest.raises(DataError, match="expected an image file, but there is none"):
        fitted.caption(tmp_path / "none.png")
    captioner = sunhwan.Captioner(**OPTIONS)
    with pytest.raises(ShapeError, match="a caption for each of the 1 images, received 2"):
        captioner.fit([image], ["a", "b"])
    with pytest.raises(DataError, match="caption 1 is empty"):
        captioner.fit([image, image], ["a", " "])
    with pytest.raises(UsageError, match="`pooling` is no option of Captioner"):
        sunhwan.Captioner(pooling="max")
