"""The published experiments run again, and studies of what the tutorials explain.

`EXPERIMENTS` and `STUDIES` say what there is; ``sunhwan.reproduce.runner.run`` runs one of the
first, ``sunhwan.reproduce.study_runner.run`` one of the second, of whatever kind.
"""

from sunhwan.reproduce.experiments import EXPERIMENTS, Experiment, Variant, find
from sunhwan.reproduce.memory import MemoryStudy
from sunhwan.reproduce.studies import STUDIES, Study

__all__ = ["EXPERIMENTS", "STUDIES", "Experiment", "MemoryStudy", "Study", "Variant", "find"]
