"""The code stays easy to navigate: few folders, none of them crowded."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from synglancer.python.options import Options
from synglancer.settings import Settings

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
FOLDERS = sorted({path.parent for path in MODULES})

MOST_AT_THE_TOP = 8
MOST_MODULES = 16
MOST_LINES = 400
MOST_FUNCTION_LINES = 50

WITHOUT_MIRROR = {"browser", "cli", "wire", "data", "docs"}
"""Folders of tests that follow commands, the browser, recorded traffic and documents."""


def name(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("folder", FOLDERS, ids=name)
def test_no_folder_is_crowded(folder):
    """A folder has at most 16 modules, the top of synglancer at most 8."""
    most = MOST_AT_THE_TOP if folder == SOURCE / "synglancer" else MOST_MODULES
    assert len(list(folder.glob("*.py"))) <= most


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_no_module_and_no_function_is_long(module):
    """A module has at most 400 lines, a function at most 50 (without its docstring)."""
    text = module.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    long = [
        (node.name, lines)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := count_lines(node)) > MOST_FUNCTION_LINES
    ]
    assert not long


def count_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function from its ``def``, without its docstring."""
    lines = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        lines -= (first.end_lineno or first.lineno) - first.lineno + 1
    return lines


def test_the_tests_mirror_the_tree():
    """Each folder of tests mirrors a folder of the source, with a few named exceptions."""
    tests = ROOT / "tests"
    rooms = {
        path.relative_to(tests)
        for path in tests.rglob("test_*.py")
        if path.parent != tests and path.relative_to(tests).parts[0] not in WITHOUT_MIRROR
    }
    for room in sorted({path.parent for path in rooms}):
        home = SOURCE / room if room.parts[0] == "cave_sandbox" else SOURCE / "synglancer" / room
        assert home.is_dir(), f"tests/{room} mirrors no folder of src/"


def test_type_checkers_know_every_option():
    """`synglancer.python.options` names each option of the settings, with its type."""
    named, meant = get_type_hints(Options), get_type_hints(Settings)
    assert {*named} == {field.name for field in fields(Settings)}
    wider = {"version", "tag", "token_file", "annotations"}  # a timestamp, a text, a path, a table
    assert {name: kind for name, kind in named.items() if name not in wider} == {
        name: kind for name, kind in meant.items() if name not in wider
    }
