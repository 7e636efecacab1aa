"""The house itself: who may import whom, how long a file may be, what the lock file holds."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "sunhwan"
LOCK = (ROOT / "requirements.lock").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))

#: a room imports only from rows below its own
ROOMS = (
    ("cli", "serve"),
    ("reproduce",),
    ("tasks",),
    ("keras",),
    ("insight",),
    ("runs", "data"),
    ("layers",),
    ("engine",),
)
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
#: what every room may import
SHARED = ("errors", "environment")
SOURCES = sorted(PACKAGE.rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the full names of everything that a file of the package imports from the package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def wrong_imports(path: Path, source: str) -> list[str]:
    own = room_of(path)
    wrong = []
    for name in imported(ast.parse(source)):
        first, _, rest = name.partition(".")
        room = rest.partition(".")[0]
        if first != "sunhwan" or room in (own, "", "__version__", *SHARED):
            continue
        if own in SHARED or LEVEL[room] <= LEVEL[own]:
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_between_rooms_point_one_way(path: Path) -> None:
    if path != PACKAGE / "__init__.py":  # it hands out names of every room
        assert wrong_imports(path, path.read_text("utf-8")) == []


def test_an_arrow_that_points_back_is_found() -> None:
    source = (
        "def late():\n    from sunhwan.layers import LSTM\n    from sunhwan import errors, engine\n"
    )
    assert wrong_imports(PACKAGE / "engine" / "x.py", source) == ["sunhwan.layers.LSTM"]
    assert wrong_imports(PACKAGE / "layers" / "x.py", source) == []
    assert wrong_imports(PACKAGE / "errors.py", source) == [
        "sunhwan.layers.LSTM",
        "sunhwan.engine",
    ]


def files() -> list[Path]:
    native = [p for p in (ROOT / "csrc").rglob("*") if p.suffix in (".h", ".cc")]
    return [*SOURCES, *native, *(ROOT / "tests").glob("*.py")]


def test_files_are_short_and_their_names_say_something() -> None:
    assert len(files()) > 80
    lines = {path.name: len(path.read_text("utf-8").splitlines()) for path in files()}
    assert {name: n for name, n in lines.items() if n > 500} == {}
    assert [name for name in lines if re.search(r"util|misc|helper|common", name)] == []


def test_functions_are_short() -> None:
    long = {
        f"{path.name}:{node.name}": lines
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and (lines := body_lines(node)) > 50
    }
    assert long == {}


def body_lines(function: ast.FunctionDef) -> int:
    """Return the lines from the first statement after the docstring to the last."""
    first = function.body[1 if ast.get_docstring(function) and len(function.body) > 1 else 0]
    return (function.end_lineno or 0) - first.lineno + 1


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    assert ast.get_docstring(tree), "the file says nothing"
    silent = [
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
        if not any("overload" in ast.unparse(d) for d in node.decorator_list)
    ]
    assert silent == []


@pytest.mark.parametrize("module", ["sunhwan.layers", "sunhwan.engine", "sunhwan.data"])
def test_public_functions_and_layers_have_an_example(module: str) -> None:
    home = importlib.import_module(module)
    public = {name: getattr(home, name) for name in home.__all__}
    bare = [
        name
        for name, thing in public.items()
        if (inspect.isfunction(thing) or hasattr(thing, "get_config"))
        and ">>>" not in (thing.__doc__ or "")
    ]
    assert bare == []


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, list[str]]:
    """Return the versions pinned for each name."""
    found: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9._-]+)==(\S+)", LOCK, re.M):
        found.setdefault(canonical(name), []).append(version)
    return found


def test_lock_holds_names_versions_and_hashes_only() -> None:
    entry = r"[a-z0-9._-]+==[0-9a-z.+!]+( ; [^\\]+?)? \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+"
    assert re.sub(entry, "", LOCK) == ""
    assert re.findall(r"://|@|file:|--(index|find|extra|trusted)\S*|/", LOCK) == []


def test_lock_pins_every_dependency() -> None:
    groups = PROJECT["dependency-groups"]
    wanted = [*PROJECT["project"]["dependencies"], *groups["build"], *groups["dev"]]
    wanted += PROJECT["build-system"]["requires"]
    names = {canonical(re.split(r"[^A-Za-z0-9._-]", text)[0]) for text in wanted}
    assert names - pins().keys() == set()


def test_build_and_package_name_one_version() -> None:
    import sunhwan

    assert PROJECT["project"]["dynamic"] == ["version"]
    source = PROJECT["tool"]["scikit-build"]["metadata"]["version"]["input"]
    assert f'__version__ = "{sunhwan.__version__}"' in (ROOT / source).read_text("utf-8")


def test_package_data_is_where_the_wheel_takes_it_from() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert list((PACKAGE / "runs" / "templates").glob("*.html"))
