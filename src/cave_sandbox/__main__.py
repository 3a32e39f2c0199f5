"""The process of a background sandbox: ``python -m cave_sandbox --background``.

`daemon` starts it and writes to its standard input where it lives and with which options. It
leaves its parent at once, says one line on its standard output when it is ready or cannot be, and
closes that. What it says later goes to the log. It must not be told a token by argument.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main(arguments: list[str]) -> int:
    """Detach, then serve until stopped or idle."""
    if arguments != ["--background"]:
        sys.stderr.write(
            "This is the process behind the sandbox. "
            "Use `synglancer sandbox start` or `synglancer sandbox serve`.\n"
        )
        return 2
    message = json.load(sys.stdin)
    # The parent process ends here: who started it waits for that, and gets no child to look after.
    # Nothing heavy is imported yet, so that there are no threads to lose.
    if os.fork():
        os._exit(0)
    from cave_sandbox.process.serving import serve_background

    serve_background(message["folder"], message["options"], report)
    return 0


def report(answer: dict[str, Any]) -> None:
    """Say the one line that `daemon` waits for, and let go of its pipe."""
    os.write(1, json.dumps(answer).encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
