"""The process of a background sandbox: ``python -m cave_sandbox --background``.

`daemon` starts it and writes its folder and options to its standard input. The process detaches
from its parent at once, writes one line to its standard output when it is ready or has failed, and
closes it. Later messages go to the log. The token must never be passed as an argument.
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
    # The sample needs no large matrices, and threads that wait for them would spin.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # The parent process ends here. `daemon` waits for that and has no child process to look after.
    # Nothing heavy is imported yet, so there are no threads that a fork would lose.
    if os.fork():
        os._exit(0)
    from cave_sandbox.process.serving import serve_background

    serve_background(message["folder"], message["options"], report)
    return 0


def report(answer: dict[str, Any]) -> None:
    """Write the line that `daemon` waits for, and close its pipe."""
    os.write(1, json.dumps(answer).encode())
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
