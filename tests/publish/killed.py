"""Publish in a process that kills itself before or after a rename, as in a power cut."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from synglancer.publish.publication import Publication
from synglancer.publish.publishing import publish

_replace = Path.replace


def main() -> None:
    """Publish as the arguments say, and die at the rename with the given number."""
    asked, at, when = json.loads(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    seen = 0

    def replace(self: Path, target: Path) -> Path:
        nonlocal seen
        seen += 1
        if seen == at and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = _replace(self, target)
        if seen == at and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = replace  # type: ignore[method-assign,assignment]
    asked["inputs"] = tuple(asked["inputs"])
    publish(Publication(**asked), resume=(Path(asked["destination"]) / ".publishing").exists())
    sys.stdout.write(str(seen))


main()
