"""Import without the slow parts if everything is as expected, otherwise in the normal way."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from synglancer.cave.lazy_imports import Shortcut, _put_off_classes, _StandIn, _try

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UNUSED = "caveclient", "networkx", "IPython", "cloudvolume", "matplotlib"

LIGHT = """
import sys
from synglancer.cave.lazy_imports import CAVECLIENT, NGLUI, import_lightly
"""


def run_afresh(code: str) -> str:
    """Run code in a new process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_link_imports_nothing_that_it_does_not_use() -> None:
    """The parts of caveclient and nglui that links do not use are not loaded, because both
    shortcuts know the installed versions."""
    code = LIGHT + (
        "import synglancer.cave.client\n"
        "from synglancer.view.state import load_libraries; load_libraries()\n"
        "from nglui.statebuilder import ViewerState; ViewerState(capabilities='legacy').to_dict()\n"
        f"print([name for name in {UNUSED} if hasattr(sys.modules.get(name), '__dict__')"
        " and '__version__' in vars(sys.modules[name])])"
    )
    assert run_afresh(code) == "[]"


def test_what_was_put_off_is_there_when_it_is_used() -> None:
    """Afterwards, caveclient, and what nglui and caveclient import from elsewhere, work as
    usual."""
    code = LIGHT + (
        "import_lightly(CAVECLIENT); import_lightly(NGLUI)\n"
        "import caveclient; assert caveclient.__version__ > '8'\n"
        "import caveclient.materializationengine as engine\n"
        "from caveclient import CAVEclient, get_session_defaults\n"
        "import IPython.display, nglui.statebuilder.base as base\n"
        "made = engine.HTML('<b>'), base.HTML('<b>')\n"
        "assert {type(item) for item in made} == {IPython.display.HTML}\n"
        "assert isinstance(made[0], base.HTML) and not isinstance(1, base.HTML)\n"
        "assert issubclass(IPython.display.HTML, engine.HTML)\n"
        "assert issubclass(type('Mine', (IPython.display.HTML,), {}), base.HTML)\n"
        "class Mine(base.HTML): pass\n"
        "assert Mine.__mro__[1] is IPython.display.HTML\n"
        "assert base.HTML.reload is IPython.display.HTML.reload\n"
        "from nglui.statebuilder.shaders import palettable as theirs\n"
        "assert theirs.tableau.Tableau_10.hex_colors and 'matplotlib' not in sys.modules\n"
        "import palettable; assert palettable.tableau.Tableau_10.get_mpl_colormap()\n"
        "print(CAVEclient.__module__, get_session_defaults() != {})"
    )
    assert run_afresh(code) == "caveclient.frameworkclient True"


def test_a_package_that_is_loaded_already_is_left_alone() -> None:
    """If caveclient was imported before synglancer, both use the same package."""
    code = (
        "import caveclient; before = caveclient.CAVEclient\n"
        "import synglancer.cave.client, sys\n"
        "from synglancer.view.state import load_libraries; load_libraries()\n"
        "print(sys.modules['caveclient'].CAVEclient is before)"
    )
    assert run_afresh(code) == "True"


def test_threads_are_in_nobodys_way() -> None:
    """Several threads can import at once, while others import from the same package."""
    code = LIGHT + (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Barrier\n"
        "start = Barrier(4)\n"
        "def work(number): start.wait(30); return import_lightly((CAVECLIENT, NGLUI)[number % 2])\n"
        "with ThreadPoolExecutor(4) as pool: print(set(pool.map(work, range(4))))\n"
        "from caveclient.chunkedgraph import ChunkedGraphClient\n"
        "print('IPython.display' in sys.modules, 'CAVEclient' in vars(sys.modules['caveclient']))"
    )
    assert run_afresh(code) == "{None}\nFalse False"


def test_a_stand_in_that_was_replaced_stays_replaced(monkeypatch) -> None:
    """A class that was defined meanwhile is not taken away with the stand-ins."""
    module = ModuleType("slowlib")
    monkeypatch.setitem(sys.modules, "slowlib", module)
    with _put_off_classes(("slowlib.HTML", "slowlib.Markdown")):
        module.HTML = int
        assert isinstance(module.Markdown, _StandIn)
    assert module.HTML is int
    assert not hasattr(module, "Markdown")


ENGINE = "from slowlib.display import HTML\nclass Client: pass\n"

LOADED = """
import sys
from synglancer.cave.lazy_imports import Shortcut, import_lightly
wanted = {"client.engine": ("Client",)}
known = {"client": "1.2."}
shortcut = Shortcut(known, wanted, ("client",), ("slowlib.display.HTML",))
why = import_lightly(shortcut)
import client.engine
print(why)
print(client.engine.Client.__name__, client.ready, "slowlib.display" in sys.modules)
"""


@pytest.fixture
def run_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str, Path], str]]:
    """Run code in this process with a folder to import from, and forget what was imported."""

    def run(code: str, folder: Path) -> str:
        monkeypatch.syspath_prepend(folder)
        exec(dedent(code), {})
        return capsys.readouterr().out.strip()

    yield run
    for name in [name for name in sys.modules if name.partition(".")[0] in {"client", "slowlib"}]:
        del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path):
    """Write a library `client` and a library that it imports; return their folder."""

    def write(version: str = "1.2.3", engine: str = ENGINE, package: str = "") -> Path:
        files = {
            f"client-{version}.dist-info/METADATA": f"Name: client\nVersion: {version}\n",
            "client/__init__.py": package + "\nready = True\n",
            "client/engine.py": engine,
            "slowlib/__init__.py": "",
            "slowlib/display.py": "class HTML:\n    def __init__(self, text): self.text = text\n",
        }
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        return tmp_path

    return write


def test_the_shortcut_is_taken_where_all_is_known(run_here, write) -> None:
    """If a library is as expected, its postponable parts are loaded later."""
    assert run_here(LOADED, write()) == "None\nClient True False"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"version": "1.3.0"}, "client 1.3.0 is not known"),
        ({"version": "2.0"}, "client 2.0 is not known"),
        # The package itself sets the name.
        (
            {
                "engine": "from slowlib.display import HTML\n",
                "package": "from client import engine\nclass Client: pass\nengine.Client = Client",
            },
            "ImportError: client.engine has no Client",
        ),
        # Another name from the postponed module.
        (
            {"engine": ENGINE + "from slowlib.display import HTML, __file__\n"},
            "ImportError: cannot import name '__file__'",
        ),
        # The stand-in is used at once: called, inspected, subclassed.
        ({"engine": ENGINE + "HTML('now')\n"}, "_UsedTooEarlyError: slowlib.display.HTML was used"),
        ({"engine": ENGINE + "isinstance(1, HTML)\n"}, "_UsedTooEarlyError: slowlib.display.HTML"),
        ({"engine": ENGINE + "class My(HTML): pass\n"}, "_UsedTooEarlyError: slowlib.display.HTML"),
        # Other things that fail only with the shortcut.
        (
            {"engine": ENGINE + "import sys\nsys.modules['slowlib.display'].__file__.upper()\n"},
            "AttributeError",
        ),
    ],
)
def test_whatever_differs_the_plain_import_decides(run_here, write, changed, why) -> None:
    """If a version, name, module or use of a stand-in differs, the library is imported normally."""
    told, loaded = run_here(LOADED, write(**changed)).split("\n")
    assert told.startswith(why)
    assert loaded == "Client True True"


def test_a_library_with_other_modules_fails_as_it_would_without_us(run_here, write) -> None:
    """If a newer library lacks a module, its own import error is raised, and nothing stays
    behind."""
    code = """
    from synglancer.cave.lazy_imports import Shortcut, import_lightly
    shortcut = Shortcut({"client": "1.2."}, {"client.moved": ("Client",)}, ("client",))
    try:
        import_lightly(shortcut)
    except ModuleNotFoundError as error:
        print(error)
    import client
    print(type(client).__name__, client.ready)
    """
    assert run_here(code, write()) == "No module named 'client.moved'\nmodule True"


def test_what_is_not_installed_as_a_distribution_comes_plainly(run_here, write) -> None:
    """A library without a version is imported normally."""
    folder = write()
    (folder / "client-1.2.3.dist-info" / "METADATA").unlink()
    (folder / "client-1.2.3.dist-info").rmdir()
    told, loaded = run_here(LOADED, folder).split("\n")
    assert told == "client is not installed as a distribution"
    assert loaded == "Client True True"


def test_a_failed_shortcut_takes_away_its_own_modules_alone(write, monkeypatch) -> None:
    """Modules of other libraries that were loaded on the way stay, because others may have them."""
    folder = write(engine="import slowlib.display\nraise ValueError('no')\n")
    monkeypatch.syspath_prepend(folder)
    shortcut = Shortcut({"client": "1.2."}, {"client.engine": ("Client",)}, ("client",))
    assert _try(shortcut) == "ValueError: no"
    left = [name for name in sys.modules if name.partition(".")[0] in {"client", "slowlib"}]
    for name in left:
        del sys.modules[name]
    assert left == ["slowlib", "slowlib.display"]
