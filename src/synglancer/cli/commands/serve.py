"""synglancer serve: a published folder over loopback HTTP."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

from synglancer.cli.options import describe


def serve(
    dest: Annotated[str, describe(None, "FOLDER")],
    *,
    port: Annotated[int, describe(None, "N")] = 0,
) -> None:
    """Serve a published folder to viewers on this machine, until it is stopped.

    Only this machine can reach it. To share a source, copy the folder to a web server or an object
    store that supports range requests and lets other sites read it (CORS).

    Parameters
    ----------
    dest
        Folder that synglancer publish wrote.
    port
        Port on 127.0.0.1 (otherwise any free port).
    """
    from synglancer.publish.serving import make_server

    server = make_server(dest, port)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # stopping a server is not a failure
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)  # noqa: T201
    print("Press Ctrl+C to stop.", file=sys.stderr)  # noqa: T201
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        return
    finally:
        server.server_close()
