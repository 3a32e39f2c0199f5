"""The wheel is complete: in an empty environment, it makes a link and provides its types."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from cli.outcome import CELL, TOKEN

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Build the wheel from the source distribution, as a package index would."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory) -> Path:
    """Install the wheel into an empty environment, with links to its dependencies alone."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--python", python]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    (site,) = folder.glob("lib/*/site-packages")
    (installed,) = site.glob("synglancer-*.dist-info")
    for name in find_dependencies(PathDistribution(installed)):
        link_distribution(name, site)
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    return folder


def find_dependencies(needing: Distribution) -> set[str]:
    """Return the names of all direct and indirect dependencies of a distribution."""
    found: set[str] = set()
    open_: list[tuple[Distribution, frozenset[str]]] = [(needing, frozenset())]
    seen = {(needing.name, frozenset[str]())}
    while open_:
        here, extras = open_.pop()
        for text in here.requires or []:
            needed = Requirement(text)
            marker, wanted = needed.marker, frozenset(needed.extras)
            if marker and not any(marker.evaluate({"extra": one}) for one in extras | {""}):
                continue
            found.add(needed.name)
            if (needed.name, wanted) not in seen:
                seen.add((needed.name, wanted))
                open_.append((distribution(needed.name), wanted))
    return found


def link_distribution(name: str, site: Path) -> None:
    """Link the installed files of a distribution into another environment."""
    here = distribution(name)
    for part in {file.parts[0] for file in here.files or []} - {"..", "__pycache__"}:
        link = site / part
        if not link.exists():  # some share a folder
            link.symlink_to(Path(str(here.locate_file(part))))


def test_an_index_takes_what_is_built(wheel) -> None:
    """The metadata and description of the wheel and the source distribution meet PyPI's rules."""
    built = [str(path) for path in wheel.parent.iterdir()]
    assert len(built) == 2
    check = [sys.executable, "-m", "twine", "check", "--strict", *built]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_wheel_holds_templates_and_types(wheel) -> None:
    """Every template and the py.typed marker are in the wheel."""
    names = set(zipfile.ZipFile(wheel).namelist())
    templates = {f"synglancer/templates/{path.name}" for path in (ROOT / "templates").glob("*.j2")}
    assert templates
    assert templates | {"synglancer/py.typed"} <= names


REVEALED = [
    "synglancer.link.Link",
    "str",
    "int",
    "synglancer.python.results.Links",
    "tuple[Literal['inputs'] | Literal['outputs'], ...]",
    "def (url: str, token: str | None =, timeout: float =) -> synglancer.link.Link",
]

PROJECT = """
from synglancer import Link, Settings, add_links, make_link, make_links

def use(cell: int) -> None:
    link = make_link(cell, sandbox=True, tag="spine")
    reveal_type(link)
    reveal_type(link.url)
    reveal_type(link.version)
    reveal_type(make_links([cell]))
    reveal_type(Settings(min_confidence=0.9).directions)
    reveal_type(Link.from_url)
    make_link(cell, tag=["spine"], min_confidence=0.9, layout="3d", version="latest")
    make_links([cell], sandbox=True, inputs=True)
    make_link(1.5)
    make_link(cell).no_such_thing
    make_link(cell, min_confidance=0.9)
    make_link(cell, min_confidence="0.9")
    make_links([cell], layout="4d")
    Settings(min_confidence="high")
"""
WRONG = ["arg-type", "attr-defined", "call-arg", "arg-type", "arg-type", "arg-type"]


# Our own types are in question, and those of other packages take long to read.
MYPY = """
[mypy]
strict = True
incremental = False
follow_imports = skip

[mypy-synglancer.*]
follow_imports = silent
"""


def test_types_reach_a_project_that_uses_the_wheel(environment, tmp_path) -> None:
    """An external type checker sees our types through py.typed, and finds a mistyped option and
    values of the wrong type."""
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "mypy.ini").write_text(MYPY)
    python = str(environment / "bin" / "python")
    check = [sys.executable, "-m", "mypy", "--python-executable", python, "project.py"]
    surroundings = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        check, capture_output=True, text=True, cwd=tmp_path, env=surroundings, check=False
    )
    assert "[import" not in done.stdout, done.stdout
    found = re.findall(r'Revealed type is "(.+)"', done.stdout)
    assert found == REVEALED, done.stdout + done.stderr
    wrong = re.findall(r"project.py:(\d+): error: .*\[(.+)\]", done.stdout)
    assert [kind for _, kind in wrong] == WRONG
    assert [int(line) for line, _ in wrong] == [*range(14, 20)], done.stdout


def test_wheel_makes_a_link_in_an_empty_environment(environment, sandbox, tmp_path) -> None:
    """With only the wheel and its dependencies, make-link makes a link and renders a card."""
    make_link = str(environment / "bin" / "make-link")
    done = subprocess.run(
        [make_link, CELL, "--output", "markdown"], capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "CAVE_TOKEN": TOKEN}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"{sandbox.origin}/nglstate/api/v1/" in done.stdout
    without = subprocess.run(
        [make_link, CELL, "--sandbox"], capture_output=True, text=True, cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "SYNGLANCER_SERVER"},
        check=False,
    )  # fmt: skip
    assert without.returncode == 2
    assert "synglancer[sandbox]" in without.stderr
