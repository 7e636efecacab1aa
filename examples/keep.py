"""Keep the figures of runs made by the scripts here: ``python examples/keep.py RUN...``.

Each run folder has the name of its script. Its figures go to ``results/NAME.json``, and the table
in README.md is written again from all of these files.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from sunhwan.errors import DataError
from sunhwan.runs.files import write_text

HERE = Path(__file__).parent
#: the figures by which tasks are judged, and how they are written
FIGURES = {
    "accuracy": "{:.1%}".format,
    "mae": lambda x: f"{x:.3g}" if x < 1000 else f"{x:,.0f}",
    "loss": "{:.3f}".format,
    "exact_match": "{:.1%}".format,
    "chrf": "{:.1f}".format,
}
#: translations may be right in other words, so that few are exactly the wanted ones
JUDGED_BY = {"translate": "chrf"}
HEAD = (
    "| script | what | figure | network | 95 % interval | best baseline | time |\n"
    "| --- | --- | --- | --- | --- | --- | --- |\n"
)
BEGIN, END = "<!-- written by keep.py -->\n", "<!-- end -->\n"


def keep(run: Path) -> None:
    """Copy the figures of a run, without what belongs to a machine alone."""
    name = run.resolve().name
    if not (HERE / f"{name}.sh").is_file():
        raise DataError(f"{run}: expected the name of a script in {HERE.name}, received {name!r}")
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    kept = {
        "task": results["task"],
        "seed": results["config"]["seed"],
        "rows": {part: results["data"][part] for part in ("train", "validation", "test")},
        "parameters": results["model"]["parameters"],
        "epochs": len(results["history"]["loss"]),
        "best_epoch": results["best_epoch"],
        "seconds": round(results["seconds"], 1),
        "metrics": results["metrics"],
        "intervals": results["intervals"],
        "baselines": [
            {field: baseline.get(field) for field in ("name", "metrics", "intervals", "seconds")}
            for baseline in results["baselines"]
        ],
        "environment": results["environment"],
    }
    write_text(HERE / "results" / f"{name}.json", json.dumps(kept, indent=1) + "\n")


def row(path: Path) -> str:
    """A line of the table."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    figure = JUDGED_BY.get(kept["task"]) or next(
        name for name in FIGURES if name in kept["metrics"]
    )
    form = FIGURES[figure]
    script = HERE / f"{path.stem}.sh"
    what = script.read_text(encoding="utf-8").splitlines()[1].removeprefix("# ")
    cells = (
        f"[{path.stem}]({script.name})",
        what,
        figure,
        f"**{form(kept['metrics'][figure])}**{_skill(kept['metrics'])}",
        " to ".join(map(form, kept["intervals"].get(figure) or ())) or "too few windows",
        _best_baseline(kept["baselines"], figure, form),
        _time(kept["seconds"]),
    )
    return f"| {' | '.join(cells)} |\n"


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _skill(metrics: dict[str, Any]) -> str:
    return f", skill {metrics['skill']:.3f}" if "skill" in metrics else ""


def _best_baseline(baselines: list[dict[str, Any]], figure: str, form: Any) -> str:
    sign = 1 if figure in ("accuracy", "exact_match", "chrf") else -1
    known = [one for one in baselines if figure in one["metrics"]]
    if not known:
        return "-"
    best = max(known, key=lambda one: sign * one["metrics"][figure])
    return f"{form(best['metrics'][figure])}, {best['name']}"


def table() -> str:
    """The table of all results that are kept."""
    return HEAD + "".join(row(path) for path in sorted((HERE / "results").glob("*.json")))


def main(runs: list[Path]) -> None:
    """Keep runs and write the table."""
    for run in runs:
        keep(run)
    page = HERE / "README.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text(page, f"{before}{BEGIN}{table()}{END}{after}")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
