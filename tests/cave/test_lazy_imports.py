"""Imports that are put off: not made where they cost time, and there when they are used."""

from __future__ import annotations

import subprocess
import sys

UNUSED = "caveclient", "networkx", "IPython", "cloudvolume"


def run_afresh(code: str) -> str:
    """Run code in a process that has imported nothing yet."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_link_imports_nothing_that_it_does_not_use() -> None:
    """What `caveclient` and nglui import for others is not loaded by what makes links."""
    code = (
        "import sys, synglancer.cave.client\n"
        "from synglancer.view.state import load_libraries; load_libraries()\n"
        f"print([name for name in {UNUSED} if hasattr(sys.modules.get(name), '__dict__')"
        " and '__version__' in vars(sys.modules[name])])"
    )
    assert run_afresh(code) == "[]"


def test_what_was_put_off_is_there_when_it_is_used() -> None:
    """After synglancer, caveclient and what nglui and it took from elsewhere work as ever."""
    code = (
        "import synglancer.cave.client\n"
        "from synglancer.view.state import load_libraries; load_libraries()\n"
        "import caveclient; assert caveclient.__version__ > '8'\n"
        "import caveclient.materializationengine as engine\n"
        "from caveclient import CAVEclient, get_session_defaults\n"
        "import IPython.display, nglui.statebuilder.base\n"
        "made = engine.HTML('<b>'), nglui.statebuilder.base.HTML('<b>')\n"
        "assert {type(item) for item in made} == {IPython.display.HTML}\n"
        "print(CAVEclient.__module__, get_session_defaults() != {})"
    )
    assert run_afresh(code) == "caveclient.frameworkclient True"


def test_a_package_that_is_loaded_already_is_left_alone() -> None:
    """Where caveclient was imported before synglancer, both see the same package."""
    code = (
        "import caveclient; before = caveclient.CAVEclient\n"
        "import synglancer.cave.client, sys\n"
        "print(sys.modules['caveclient'].CAVEclient is before)"
    )
    assert run_afresh(code) == "True"


def test_threads_that_put_off_imports_are_in_nobodys_way() -> None:
    """Several may do so at once, while others import what is in the same package."""
    code = (
        "import sys, synglancer.cave.client\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from threading import Barrier\n"
        "from synglancer.cave.lazy_imports import put_off\n"
        "from synglancer.view.state import load_libraries\n"
        "start = Barrier(4)\n"
        "def work(_): start.wait(30); load_libraries()\n"
        "with ThreadPoolExecutor(4) as pool: list(pool.map(work, range(4)))\n"
        "with put_off('caveclient.CAVEclient', 'IPython.display.HTML'):\n"
        "    from caveclient.chunkedgraph import ChunkedGraphClient\n"
        "print('IPython.display' in sys.modules, 'CAVEclient' in vars(sys.modules['caveclient']))"
    )
    assert run_afresh(code) == "False False"
