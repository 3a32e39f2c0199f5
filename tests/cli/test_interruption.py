"""Ctrl+C at awkward moments, in real processes: always exit code 130, and one message."""

from __future__ import annotations

import functools
import os
import subprocess
import sys

import pytest

from cli.outcome import CELL

HELP = "import os, signal, sys\ninterrupt = lambda: os.kill(os.getpid(), signal.SIGINT)\n"
START = "\nfrom synglancer.cli import main; main()"
WORDS = ["Interrupted.", "Links that were printed are complete and can be used."]

WITHIN_A_COMPILED_MODULE = """
from importlib.machinery import ExtensionFileLoader
create = ExtensionFileLoader.create_module

def create_module(self, spec):
    if spec.name == "tensorstore._tensorstore":
        sys.setprofile(profile)
    return create(self, spec)

def profile(frame, event, _, calls=[]):
    calls.append(event)
    if len(calls) == 200:  # Python is called by the module that is being made
        sys.setprofile(None)
        interrupt()

ExtensionFileLoader.create_module = create_module
"""

BEFORE_MUCH_IS_IMPORTED = """
class Finder:
    def find_spec(self, name, *_):
        if name == "cyclopts":
            interrupt()

sys.meta_path.insert(0, Finder())
"""

AS_ANOTHER_ERROR = """
import synglancer.render.templates as templates

def list_templates():
    try:
        interrupt()
    except KeyboardInterrupt:
        raise RuntimeError("Query interrupted") from None

templates.list_templates = list_templates
"""

TAKEN_FOR_NOTHING = """
import synglancer.render.templates as templates
real = templates.list_templates

def list_templates():
    try:
        interrupt()
    except KeyboardInterrupt:
        return real()

templates.list_templates = list_templates
"""

AGAIN_AND_AGAIN = """
import synglancer.render.templates as templates

def list_templates():
    try:
        interrupt()
    finally:
        interrupt()
        interrupt()

templates.list_templates = list_templates
"""

IN_A_CALL_THAT_SEES_NO_SIGNAL = """
import ctypes
import synglancer.render.templates as templates

def list_templates():
    mutex = ctypes.create_string_buffer(64)
    library = ctypes.CDLL(None)
    library.pthread_mutex_lock(mutex)
    code = "import os, signal, sys; os.kill(int(sys.argv[1]), signal.SIGINT)"
    os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-Ic", code, str(os.getpid())])
    library.pthread_mutex_lock(mutex)  # as the look-up of a name waits for a server

templates.list_templates = list_templates
"""

IN_A_FINALIZER = """
import threading
import synglancer.render.templates as templates

class Resource:
    def __del__(self):
        interrupt()

def list_templates():
    Resource()
    threading.Event().wait()

templates.list_templates = list_templates
"""

WHILE_IT_ENDS = """
import atexit
import synglancer.render.templates as templates
real = templates.list_templates

def list_templates():
    atexit.register(interrupt)
    return real()

templates.list_templates = list_templates
"""

AT_THE_VERY_END = """
class Last:
    def __del__(self, kill=os.kill, number=os.getpid(), order=signal.SIGINT):
        kill(number, order)

sys.last = Last()
"""


def run(moment: str, *words: str, stderr: int = subprocess.PIPE) -> tuple[int, str, str]:
    """Run a command that is interrupted at a given moment."""
    done = subprocess.run(
        [sys.executable, "-c", HELP + moment + START, *words],
        stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, timeout=300,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@functools.cache
def run_undisturbed() -> tuple[int, str, str]:
    """Run the command once that the tests interrupt, without interrupting it."""
    return run("", "templates", "list")


def test_an_import_of_a_compiled_module_is_not_interrupted(sandbox) -> None:
    """Compiled modules end the process, or raise another error, if an exception passes through
    them."""
    code, out, err = run(WITHIN_A_COMPILED_MODULE, "link", CELL)
    assert (code, out, err.splitlines()) == (130, "", WORDS)


@pytest.mark.parametrize(
    "moment",
    [
        BEFORE_MUCH_IS_IMPORTED,
        AS_ANOTHER_ERROR,
        AGAIN_AND_AGAIN,
        IN_A_FINALIZER,
        IN_A_CALL_THAT_SEES_NO_SIGNAL,
    ],
    ids=[
        "at the start",
        "as another error",
        "died repeatedly",
        "in a finalizer",
        "in a blind call",
    ],
)
def test_an_interrupted_command_says_so_once(moment) -> None:
    """However libraries handle it, and however often it is pressed: exit code 130 and two
    sentences."""
    code, out, err = run(moment, "templates", "list")
    assert (code, out, err.splitlines()) == (130, "", WORDS)


@pytest.mark.parametrize(
    "moment", [TAKEN_FOR_NOTHING, WHILE_IT_ENDS], ids=["unheard", "at the end"]
)
def test_a_command_that_is_done_when_it_is_interrupted_prints_its_result_whole(moment) -> None:
    """Printed output stays complete, and the exit code still says that the command was
    interrupted."""
    code, out, err = run(moment, "templates", "list")
    assert (code, err.splitlines()) == (130, WORDS)
    assert out == run_undisturbed()[1] != ""


def test_a_process_whose_work_is_done_keeps_its_exit_code() -> None:
    """While Python itself ends, after the last line was printed, Ctrl+C has no effect."""
    assert run(AT_THE_VERY_END, "templates", "list") == run_undisturbed()


def test_an_interrupted_command_does_not_wait_for_a_full_pipe() -> None:
    """If nobody reads its messages, an interrupted command ends silently."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writer, True)
    try:
        assert run(AS_ANOTHER_ERROR, "templates", "list", stderr=writer)[:2] == (130, "")
    finally:
        os.close(writer)
        os.close(reader)


def test_ctrl_c_while_the_commands_are_imported() -> None:
    """Ctrl+C in the first moments, before the commands are loaded, is handled in the same way."""
    code = HELP + BEFORE_MUCH_IS_IMPORTED.replace("cyclopts", "synglancer.cli")
    for command in ("main", "make_link_main"):
        done = subprocess.run(
            [sys.executable, "-c", f"{code}\nfrom synglancer.entry import {command} as run; run()"],
            capture_output=True, check=False, timeout=60, text=True,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (130, "")
        assert done.stderr.splitlines() == WORDS
