"""The published experiments: their data, models and figures, run again with stated seeds.

`find` and `EXPERIMENTS` say what there is; ``sunhwan.reproduce.runner.run`` runs one.
"""

from sunhwan.reproduce.experiments import EXPERIMENTS, Experiment, Variant, find

__all__ = ["EXPERIMENTS", "Experiment", "Variant", "find"]
