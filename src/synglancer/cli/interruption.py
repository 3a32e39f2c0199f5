"""Handle Ctrl+C: remove unfinished files and exit with code 130, without waiting for servers."""

from __future__ import annotations

import _thread
import atexit
import gc
import os
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib.machinery import ExtensionFileLoader
from typing import TYPE_CHECKING, NoReturn

from synglancer.cli.printing import complain
from synglancer.cli.streams import flush_stdout
from synglancer.interrupted import INTERRUPTED, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_GRACE = 1.0  # seconds after which the process is ended in any case
_STDERR = 2
_PAUSE = 0.02  # seconds until an interruption that came too early is raised again
_LAST_WORDS = 5.0  # seconds until the process ends without a message if stderr is blocked
_LOADING = {ExtensionFileLoader.create_module.__code__, ExtensionFileLoader.exec_module.__code__}


class Interruption:
    """Handles Ctrl+C for a command.

    KeyboardInterrupt is raised once, but not while a compiled module is being loaded: such a module
    turns it into an ImportError, so that the command would continue, and some modules abort the
    process (SIGABRT) when they are loaded again. A thread ends the process if the exception does
    not: while the command waits for a server, if a library catches the exception, or while the
    main thread looks up a host name and receives no signals.

    Attributes
    ----------
    came
        Whether Ctrl+C was pressed.
    """

    def __init__(self) -> None:
        self.came = False
        self._raised = False
        self._silent, self._said = threading.Lock(), threading.Lock()

    def listen(self) -> None:
        """Start handling Ctrl+C."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.signal(signal.SIGINT, self._handle)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        sys.unraisablehook = self._handle_unraisable
        # At its very end Python would let Ctrl+C kill the process, although its work is done.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
        _thread.start_new_thread(self._watch, (reader,))

    def run(self, command: Callable[[], int]) -> NoReturn:
        """Run a command that returns its exit code, and end the process with it."""
        code = INTERRUPTED
        try:
            code = command()
            signal.signal(signal.SIGINT, self._end)  # nothing is left to remove
        except KeyboardInterrupt:
            self.came = True
        if self.came:
            self._end()
        gc.freeze()  # otherwise Python spends 0.3 s on a garbage collection before it exits
        sys.exit(code)

    def _handle(self, _number: int, frame: FrameType | None) -> None:
        self.came = True
        if not self._raised and not _is_loading(frame):
            self._raised = True
            raise KeyboardInterrupt

    def _watch(self, reader: int) -> None:
        """Wait for Ctrl+C in a thread; raise it again if it got lost, then end the process."""
        while os.read(reader, 1)[0] != signal.SIGINT or not self._is_heard():
            pass
        until = time.monotonic() + _GRACE
        while time.monotonic() < until and self._is_heard():
            time.sleep(_PAUSE)
            if not self._raised:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        self._end()

    def _handle_unraisable(self, lost: sys.UnraisableHookArgs) -> None:
        """Raise an interruption again if a finalizer lost it; Python would print a traceback."""
        if self.came and lost.exc_type is KeyboardInterrupt:
            self._raised = False
        else:
            sys.__unraisablehook__(lost)

    def _is_heard(self) -> bool:
        """Return whether Ctrl+C is handled here; servers stop in their own way."""
        return signal.getsignal(signal.SIGINT) == self._handle

    def _end(self, *_: object) -> NoReturn:
        """Print a message and end at once, without waiting for other threads or a full pipe."""
        with suppress(RuntimeError, OSError):  # Python starts no thread while it exits
            if select.select([], [_STDERR], [], 0)[1]:
                if self._silent.acquire(blocking=False):
                    self._said.acquire()
                    _thread.start_new_thread(self._say, ())
                self._said.acquire(timeout=_LAST_WORDS)
        os._exit(INTERRUPTED)

    def _say(self) -> None:
        try:
            complain(*STOPPED)
            flush_stdout()
        except (OSError, ValueError):
            pass
        finally:
            self._said.release()


INTERRUPTION = Interruption()
"""The interruption of this process."""


def _is_loading(frame: FrameType | None) -> bool:
    """Return whether this code was called while a compiled module is being loaded."""
    while frame is not None and frame.f_code not in _LOADING:
        frame = frame.f_back
    return frame is not None
