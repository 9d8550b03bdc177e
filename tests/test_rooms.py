"""The room order holds: a room imports rooms above it, never below."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "planner"
ROOMS = (
    "errors", "text", "quantities", "encode", "engines", "runs", "store", "models", "costs", "laws", "fitting", "decisions",
    "sweep", "logs", "lab", "assess", "report", "cli",
)  # fmt: skip
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ROOMS)


def imports_of(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module] if node.module != "planner" else [f"planner.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    return found


def room(parts: list[str]) -> str:
    return parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_room_and_rooms_above(path):
    here = ROOMS.index(room(list(path.relative_to(PACKAGE).parts)))
    for name in imports_of(path):
        if name.startswith("planner."):
            assert ROOMS.index(name.split(".")[1]) <= here, f"{path.name} imports {name}"


def test_every_room_of_the_package_is_in_the_order():
    there = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert there - set(ROOMS) == {"__init__", "__main__", "__pycache__"} & there | {"py"} & there


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_report_draws(path):
    if room(list(path.relative_to(PACKAGE).parts)) not in ("report", "cli"):
        assert not any(name.startswith("matplotlib") for name in imports_of(path))
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        assert not any(isinstance(call.func, ast.Name) and call.func.id in ("print", "eval", "exec") for call in calls)


def test_nothing_is_unpickled_or_evaluated():
    for path in PACKAGE.rglob("*.py"):
        assert not {"pickle", "marshal", "shelve", "dill"} & {name.split(".")[0] for name in imports_of(path)}, path


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom planner.cli.app import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'scipy', 'pandas', 'matplotlib', 'duckdb', 'pydantic', 'jinja2'} & set(sys.modules)\n"
        "print(sorted(heavy), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_every_public_name_is_there_and_importing_the_package_stays_cheap():
    code = (
        "import sys, planner\nassert 'numpy' not in sys.modules\n"
        "missing = [name for name in planner.__all__ if not callable(getattr(planner, name))]\nprint(missing)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
