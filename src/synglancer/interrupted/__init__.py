"""Handle Ctrl+C until the commands are imported; this module imports nothing slow."""

import os
import signal

INTERRUPTED = 130
"""Exit code of a command that was interrupted."""

STOPPED = ("Interrupted.", "Links that were printed are complete and can be used.")
"""The two sentences that are printed then."""


def end_when_interrupted() -> None:
    """End at Ctrl+C at once: nothing has been made yet."""
    signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    try:
        os.write(2, "".join(f"{sentence}\n" for sentence in STOPPED).encode())
    finally:
        os._exit(INTERRUPTED)
