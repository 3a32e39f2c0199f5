"""synglancer trust: let a synglancer.toml choose server, token file and the like."""

from __future__ import annotations

from pathlib import Path

from synglancer.cli.config import CONFIG_FILE, GUARDED, trust_file


def trust(file: Path = Path(CONFIG_FILE)) -> None:
    """Trust a synglancer.toml as your own.

    A synglancer.toml in the working folder or above may belong to somebody else. Until you trust
    it, it cannot choose which server gets your token, or which files are read or written. If the
    file changes, you must trust it again.

    Parameters
    ----------
    file
        The file to trust.
    """
    trust_file(file)
    print(f"{file} may now set {', '.join(GUARDED)}.")  # noqa: T201
