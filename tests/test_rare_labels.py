"""Labels of which there is one example are told of before training."""

from __future__ import annotations

from pathlib import Path

from sunhwan.tasks import running
from sunhwan.tasks.config import make_config


def test_a_label_with_one_example_is_named(tmp_path: Path) -> None:
    rows = [f"a film of {n} long minutes,{'good' if n % 3 else 'bad'}" for n in range(40)]
    table = tmp_path / "films.csv"
    table.write_text("\n".join(["review,mood", *rows, "what a very odd thing,strange", ""]))
    said: list[str] = []
    parts = running.read_parts(
        make_config({"task": "classify"}), running.Data((str(table),)), said.append
    )
    line = "labels with one example, too few to be judged by: strange"
    assert line in said
    assert line in parts.source.notes


def test_many_such_labels_are_counted(tmp_path: Path) -> None:
    rows = [f"a film of {n} long minutes,{n if n < 13 else 'good'}" for n in range(60)]
    table = tmp_path / "films.csv"
    table.write_text("\n".join(["review,mood", *rows, ""]))
    said: list[str] = []
    running.read_parts(make_config({"task": "classify"}), running.Data((str(table),)), said.append)
    assert [line for line in said if line.endswith("5, 6 and 3 more")]
