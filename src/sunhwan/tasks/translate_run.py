"""Runs that learn what texts become of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sunhwan.tasks import baselines_translate, translate_judging
from sunhwan.tasks.baselines_translate import Baseline
from sunhwan.tasks.learner import Say
from sunhwan.tasks.pairs_run import PairsRun
from sunhwan.tasks.run_records import Data
from sunhwan.tasks.translate_config import TranslateConfig
from sunhwan.tasks.translate_judging import Counts
from sunhwan.tasks.translate_learner import TranslateLearner
from sunhwan.tasks.translate_parts import Pairs
from sunhwan.tasks.translate_sources import PairSource, read_pairs, read_pairs_again

#: test pairs whose attention is drawn
_DRAWN = 4


class TranslateRun(PairsRun[TranslateLearner]):
    """The runs of ``translate``."""

    options, learner, verb = TranslateConfig, TranslateLearner, "translate"

    def read(self, config: TranslateConfig, data: Data) -> PairSource:
        """The pairs to learn from."""
        return read_pairs(data.paths, data.named)

    def read_again(self, reader: Mapping[str, Any], paths: Sequence[Path | str]) -> PairSource:
        """Other pairs, read as those of a run were."""
        return read_pairs_again(reader, paths)

    def baselines(self, training: Pairs, asked: Pairs, seed: int, say: Say) -> list[Baseline]:
        """The source as it is, and the answer to the one most like it."""
        return baselines_translate.baselines(
            training.sources,
            training.targets,
            asked.sources,
            seed=seed,
            on_start=lambda name: say(f"baseline: {name}"),
        )

    def shown(
        self,
        learner: TranslateLearner,
        asked: Pairs,
        said: Sequence[str],
        wanted: Sequence[Sequence[str]],
        counts: Counts,
    ) -> dict[str, Any]:
        """Figures by length, examples, and the attention of some."""
        lengths = [len(learner.encoder.source.encode(text)) for text in asked.sources]
        return {
            **translate_judging.by_length(counts, lengths),
            **translate_judging.examples(counts, asked.sources, said, wanted, asked.places),
            "attention": _attention(learner, asked.sources, said),
        }


def _attention(
    learner: TranslateLearner, asked: Sequence[str], said: Sequence[str]
) -> list[dict[str, Any]]:
    """What of a few sources each token of their answers looked at; of middling length each."""
    if learner.config.attention == "none":
        return []
    found = []
    order = sorted(range(len(asked)), key=lambda row: (len(asked[row]), row))
    for row in order[len(order) // 2 :: max(1, len(order) // 2 // _DRAWN)][:_DRAWN]:
        source, written, weights = learner.looked_at(asked[row], said[row])
        found.append(
            {
                "text": asked[row],
                "source": source,
                "written": written,
                "weights": weights.round(4).tolist(),
            }
        )
    return found


_RUNS = TranslateRun()
start, resume, load, evaluate = _RUNS.start, _RUNS.resume, _RUNS.load, _RUNS.evaluate
read_material, judged = _RUNS.read_material, _RUNS.judged
