"""synglancer check: is each link alive, complete and still current."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synglancer.cells import enumerate_some
from synglancer.cli.printing import print_json, print_table, printable
from synglancer.errors import ServiceError, UsageError
from synglancer.settings import DEFAULT_DATASTACK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synglancer.verdicts import Verdict

_SOME_BAD = 5


def check(
    *targets: str,
    server: str | None = None,
    token_file: str | None = None,
    sandbox: bool = False,
    datastack: str = DEFAULT_DATASTACK,
    timeout: float = 60.0,
    output: Literal["table", "json"] = "table",
) -> int:
    """Say of each link whether it is alive, complete and still current.

    Exit code 0 when all links are good, 5 when some are not, 4 when nothing could be asked.

    Parameters
    ----------
    targets
        Neuroglancer links in quotes, or text files that hold some: Markdown, HTML, notebooks, CSV,
        LaTeX, plain text.
    server
        The CAVE server that may see the token (else https://global.daf-apis.com).
    token_file
        File that holds the token.
    sandbox
        Ask the embedded CAVE on this machine.
    datastack
        What cells of links that are not ours are looked up in.
    timeout
        Seconds that one question to a server may take.
    output
        A table, or one JSON object a line.
    """
    from synglancer.check import Checker  # noqa: PLC0415
    from synglancer.settings import Settings  # noqa: PLC0415

    if not targets:
        raise UsageError("Nothing to check was given.", "Give a link in quotes, or a text file.")
    places = _find_places(targets)
    # No table is asked for; but settings without one are refused.
    settings = Settings(
        server=server, token_file=token_file, sandbox=sandbox, datastack=datastack,
        table="unused", timeout=timeout,
    )  # fmt: skip
    if not places:
        print("No Neuroglancer link was found.", file=sys.stderr)  # noqa: T201
        return 0
    verdicts = Checker(settings).check(list(places))
    if all(verdict.reachable is None and verdict.unknown for verdict in verdicts):
        raise ServiceError(
            f"No link could be asked for: {verdicts[0].unknown[0]}",
            "Check the connection, --server and the token, then try again.",
        )
    if output == "json":
        for verdict in verdicts:
            where = [{"file": file, "line": line} for file, line in places[verdict.url]]
            print_json({**verdict.to_record(), "places": where})
    else:
        _print_verdicts(verdicts, places)
    return 0 if all(verdict.status == "good" for verdict in verdicts) else _SOME_BAD


def _find_places(targets: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Find every link, and the file and line of each of its places."""
    from synglancer.documents import read_document  # noqa: PLC0415

    places: dict[str, list[tuple[str, int]]] = {}
    for target in targets:
        if "://" in target:
            places.setdefault(target.strip(), [])
            continue
        for found in read_document(Path(target)).found:
            places.setdefault(found.url, []).append((target, found.line))
    return places


def _print_verdicts(verdicts: Sequence[Verdict], places: dict[str, list[tuple[str, int]]]) -> None:
    rows = []
    for verdict in verdicts:
        where = [f"{file}:{line}" for file, line in places[verdict.url]]
        number = sum(count or 0 for count in verdict.layers.values())
        until = f"{verdict.served_until:%Y-%m-%d}" if verdict.served_until else ""
        rows.append(
            [
                verdict.status,
                where[0] + (f" and {len(where) - 1} more" if len(where) > 1 else "")
                if where
                else "",
                enumerate_some(verdict.cells, 2),
                str(verdict.version or ""),
                until,
                f"{number:,}" if verdict.parses else "",
                verdict.url if len(verdict.url) <= 200 else verdict.url[:199] + "…",  # noqa: PLR2004
            ]
        )
    print_table(["", "where", "cell", ">version", "until", ">synapses", "link"], rows)
    for row, verdict in zip(rows, verdicts, strict=True):
        for sentence in (*verdict.problems, *verdict.unknown, *verdict.notes):
            print(printable(f"{row[1] or row[-1]}: {sentence}"))  # noqa: T201
