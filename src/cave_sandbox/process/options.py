"""What a sandbox's process is started with."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from cave_sandbox.errors import InputError

#: Environment variable with the token of a sandbox that is started.
TOKEN_VARIABLE = "SYNGLANCER_SANDBOX_TOKEN"  # noqa: S105 - a name


@dataclass(frozen=True)
class StartOptions:
    """What a sandbox is started with.

    Parameters
    ----------
    data
        Serve this folder of data instead of the synthetic cell (docs/data-folder.md).
    host
        Address on this machine to listen on.
    port
        Port to listen on (otherwise the last one if it is free, or any free port).
    token
        Token that requests must carry (otherwise one is made at the first start).
    token_file
        File with that token (otherwise SYNGLANCER_SANDBOX_TOKEN is used, if set).
    row_limit
        Cut answers off after this many rows, as CAVE does.
    latency_ms
        Delay each answer by this many milliseconds.
    fault
        Make requests fail, for tests (docs/faults.md).
    idle_minutes
        Stop a background sandbox after this many minutes without a request.
    """

    data: Path | None = None
    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    row_limit: int | None = None
    latency_ms: int = 0
    fault: str | None = None
    idle_minutes: float = 30.0

    def with_token(self) -> StartOptions:
        """Return the options with the token from where it was given, which is not a file any more.

        An argument can be read in the list of processes, a file and the environment cannot.
        """
        token = self.token
        if token is None and self.token_file is not None:
            token = _read_token(self.token_file)
        return replace(self, token=token or os.environ.get(TOKEN_VARIABLE), token_file=None)

    def to_record(self) -> dict[str, Any]:
        """Return the options as JSON values, the token among them."""
        record = asdict(self)
        record["data"] = None if self.data is None else str(self.data.absolute())
        return record

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> StartOptions:
        """Read what `to_record` wrote."""
        data = record.get("data")
        return cls(**{**record, "data": None if data is None else Path(data)})


def _read_token(path: Path) -> str:
    hint = "Write the token into it, alone on one line."
    try:
        token = path.read_text("utf-8-sig").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise InputError(f"The token file {path} cannot be read: {reason}.", hint) from error
    if not token or len(token.split()) > 1:
        raise InputError(f"The token file {path} does not hold one token.", hint)
    return token
