"""The house rules that a machine can check, so that nobody has to remember them."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from edge.cli.main import COMMANDS, HELPS, commands, helps
from edge.errors import CODE_PATTERN

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PACKAGES = ("edge", "drivers", "sims")
MAX_LINES = 300
MAX_FUNCTION_LINES = 60
ENTRY_GROUPS = (COMMANDS, HELPS, "jidoka.drivers", "jidoka.policies")


def sources(*folders: str) -> list[Path]:
    """Python files of these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.is_file())


def parsed(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sources(*folders):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def run(*command: str) -> str:
    """What a tool prints when it fails; empty when it is content."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_import_contracts_hold() -> None:
    failed = run(str(BIN / "lint-imports"))
    assert not failed, failed


def test_ruff_is_content() -> None:
    failed = run(str(BIN / "ruff"), "check", "--quiet")
    assert not failed, failed


def test_formatting_is_ruffs() -> None:
    failed = run(str(BIN / "ruff"), "format", "--check")
    assert not failed, failed


def test_mypy_is_content() -> None:
    failed = run(str(BIN / "mypy"))
    assert not failed, failed


def test_files_are_short() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources(*PACKAGES, "tests")}
    assert lengths, "no files were found"
    too_long = {path: n for path, n in lengths.items() if n >= MAX_LINES}
    assert not too_long, f"files of {MAX_LINES} lines and more: {too_long}"


def test_functions_are_short() -> None:
    too_long = [
        f"{path}:{node.lineno} {node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path, tree in parsed(*PACKAGES, "tests")
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 >= MAX_FUNCTION_LINES
    ]
    assert not too_long, "\n".join(too_long)


def _module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, tree: ast.Module, known: set[str], *, package: bool) -> set[str]:
    """Every module of ours that this one imports: inside functions and for type checking as well."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = name.split(".") if package else name.split(".")[:-1]
                base = ".".join([*here[: len(here) - node.level + 1], *([node.module] if node.module else [])])
            # `from package import name` runs the package, and a submodule besides where the name is one
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return {one for one in found if one in known and one != name}


def _circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of the graph, or nothing: what is left after taking away all that import nothing that is left."""
    left = dict(graph)
    while leaves := [name for name, targets in left.items() if not targets & left.keys()]:
        for name in leaves:
            del left[name]
    if not left:
        return []
    name, way = next(iter(left)), []
    while name not in way:
        way.append(name)
        name = next(iter(sorted(left[name] & left.keys())))
    return [*way[way.index(name) :], name]


def test_no_import_circles() -> None:
    trees = {_module_name(path): (path, tree) for path, tree in parsed(*PACKAGES)}
    known = set(trees)
    graph = {
        name: _imports(name, tree, known, package=path.name == "__init__.py") for name, (path, tree) in trees.items()
    }
    assert sum(map(len, graph.values())) > len(graph), "the imports were not understood"
    assert not _circle(graph), " -> ".join(_circle(graph))


def test_circles_are_found() -> None:
    assert _circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert _circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


WAITING = {("time", "sleep"), ("asyncio", "sleep"), ("mock", "patch")}
PATCHING = {"monkeypatch", "mocker"}


def _forbidden_in_tests(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if (owner, attr) in WAITING:
                yield node.lineno, f"{owner}.{attr}"
            case ast.ImportFrom(module=module, names=names):
                words = {alias.name for alias in names}
                if module and (module.startswith("unittest") or (module in {"time", "asyncio"} and "sleep" in words)):
                    yield node.lineno, f"from {module} import {', '.join(sorted(words))}"
            case ast.Import(names=names) if any(alias.name.startswith("unittest") for alias in names):
                yield node.lineno, "import unittest"
            case ast.arg(arg=arg) if arg in PATCHING:
                yield node.lineno, arg
            case _:
                pass


def test_tests_neither_sleep_nor_patch() -> None:
    found = [f"{path}:{line} {what}" for path, tree in parsed("tests") for line, what in _forbidden_in_tests(tree)]
    assert not found, "\n".join(found)


def test_sleeping_and_patching_are_found() -> None:
    text = "import time\nfrom unittest import mock\nfrom time import sleep\ntime.sleep(1)\ndef t(monkeypatch): pass\n"
    assert len(list(_forbidden_in_tests(ast.parse(text)))) == 4


# Built from pieces, so that this file does not find itself.
FORBIDDEN = re.compile(
    "|".join(("/" + "work/", "this " + "session", "our " + "session", "help" + "er agent")), re.IGNORECASE
)
TEXT_ENDINGS = {".py", ".md", ".toml", ".sh", ".json", ".html", ".j2", ".txt", ".yml", ".yaml", ""}


def test_nothing_speaks_of_where_it_was_written() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout: the list of our own files is not known")
    found = []
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.suffix not in TEXT_ENDINGS or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {hit[0]!r}" for hit in FORBIDDEN.finditer(text)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, id=f"{point.group}-{point.name.partition(':')[0]}")
        for group in ENTRY_GROUPS
        for point in entry_points(group=group)
        if point.dist is not None and point.dist.name == "jidoka-edge"
    ],
)
def test_entry_point_loads(point) -> None:
    assert point.load() is not None


def test_every_command_has_a_one_line_help() -> None:
    assert set(helps()) == set(commands())
    assert all(0 < len(text) <= 80 for text in helps().values())


def _codes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """First arguments of everything called …Error(…) that are plain strings."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            ours = {"ConfigError", "ModelError", "ImageError", "InputError", "DeviceError", "LinkError", "RemoteError"}
            if name in ours | {"StoreError", "JidokaError"} and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def test_error_codes_are_stable_words() -> None:
    codes = [(path, line, code) for path, tree in parsed(*PACKAGES) for line, code in _codes(tree)]
    assert len(codes) > 10, "the calls were not understood"
    wrong = [f"{path}:{line} {code}" for path, line, code in codes if not CODE_PATTERN.fullmatch(code)]
    assert not wrong, "\n".join(wrong)


def test_generated_documents_are_current() -> None:
    failed = run(sys.executable, "docs/generate.py", "--check")
    assert not failed, failed
