"""synglancer trust: let a synglancer.toml choose server, token file and the like."""

from __future__ import annotations

from pathlib import Path

from synglancer.cli.config import CONFIG_FILE, GUARDED, trust_file


def trust(file: Path = Path(CONFIG_FILE)) -> None:
    """Trust a synglancer.toml as your own.

    A file that is found in the working folder or above it may be somebody else's. Until you trust
    it, it cannot choose which server gets your token, nor which files are read or written. After
    the file has changed, you are asked again.

    Parameters
    ----------
    file
        The file.
    """
    trust_file(file)
    print(f"{file} may now set {', '.join(GUARDED)}.")  # noqa: T201
