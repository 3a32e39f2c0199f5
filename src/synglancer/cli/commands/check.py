"""synglancer check: test that links open and are complete and current, and make bad ones again."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from synglancer.cells.naming import enumerate_some
from synglancer.cells.standard_input import read_standard_input
from synglancer.cli.files import check_kept, list_read
from synglancer.cli.options import CONNECTION, OUTPUT, describe
from synglancer.cli.printing import (
    TYPED,
    check_options,
    complain,
    for_terminal,
    print_json,
    print_table,
)
from synglancer.errors import DOCTOR, SOME_SKIPPED, ServiceError, UsageError
from synglancer.settings import DEFAULT_DATASTACK
from synglancer.text.printable import shorten

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from synglancer.check.documents import Document
    from synglancer.check.repair import Refreshed
    from synglancer.check.results import CheckResult
    from synglancer.links.link_record import Skipped
    from synglancer.settings import Service

    Places = dict[str, list[tuple[str, int]]]
    Anew = Mapping[str, Refreshed | Skipped]

_STDIN = "-"
_LONGEST = 200  # characters of a link in the table


def check(
    *targets: Annotated[str, describe(None, "LINK|FILE|FOLDER...", allow_leading_hyphen=True)],
    fix: Annotated[bool, describe(OUTPUT)] = False,
    dry_run: Annotated[bool, describe(OUTPUT)] = False,
    output: Annotated[Literal["table", "json"], describe(OUTPUT)] = "table",
    server: Annotated[str | None, describe(CONNECTION, "ADDRESS")] = None,
    token_file: Annotated[str | None, describe(CONNECTION, "FILE")] = None,
    sandbox: Annotated[bool, describe(CONNECTION)] = False,
    datastack: Annotated[str, describe(CONNECTION, "NAME")] = DEFAULT_DATASTACK,
    timeout: Annotated[float, describe(CONNECTION, "SECONDS")] = 60.0,
) -> int:
    """Check whether Neuroglancer links still open and show what they did.

    The exit code is 0 if all links are good (after --fix, if given), 5 if some are not or one of
    several files holds no link, and 4 if nothing could be checked.

    Parameters
    ----------
    targets
        Links in quotes, text files, folders of text files, JSON files of states, or - for stdin.
    fix
        Make bad links again and write them into the files; the old file is kept as FILE.bak.
    dry_run
        With --fix: show what would change, and change nothing.
    server
        CAVE server that gets the token (otherwise https://global.daf-apis.com).
    token_file
        File with the CAVE token.
    sandbox
        Use the embedded CAVE on this machine.
    datastack
        Datastack of links that synglancer did not make.
    timeout
        Longest time for one request, retries included, in seconds.
    output
        Print a table, or one JSON object per line.
    """
    from synglancer.check.checker import Checker
    from synglancer.settings import Service

    if not targets:
        raise UsageError("Nothing to check was given.", "Give a link in quotes, or a text file.")
    if dry_run and not fix:
        raise UsageError(
            "--dry-run needs --fix.", "Add --fix; without it, nothing is written anyway."
        )
    check_options(targets)
    documents, places, incomplete = _read_targets(targets, writable=fix)
    _check_kept(documents if fix else (), token_file)
    service = Service(
        server=server, token_file=token_file, sandbox=sandbox, datastack=datastack, timeout=timeout
    )
    if not places:
        return SOME_SKIPPED
    checker = Checker(service)
    results = checker.check(list(places))
    if all(result.reachable is None and result.unknown for result in results):
        raise ServiceError(
            f"No link could be checked: {results[0].unknown[0]}",
            f"Check the links, the connection, --server and the token, then try again. {DOCTOR}",
        )
    anew: Anew = {}
    said = _foretell(results, service) if dry_run else {}
    if fix and not dry_run:
        from synglancer.check.repair import refresh_links

        anew = refresh_links(checker, results, service, TYPED.get())
        said = _tell(anew)
    unwritten = {name for name, one in documents.items() if not _rewrite(name, one, anew)}
    fixed = _find_fixed(anew, places, unwritten)
    if output == "json":
        _print_records(results, places, said, anew, fixed)
    else:
        _print_results(results, places, said, fixed)
    good = all(one.status == "good" or one.url in fixed for one in results)
    return 0 if good and not incomplete else SOME_SKIPPED


def _read_targets(
    targets: Sequence[str], *, writable: bool
) -> tuple[dict[str, Document], Places, bool]:
    """Read each document once, and find every link with the files and lines where it occurs.

    Also returns whether a file could not be read, or a target holds no link. These are named in a
    message, and the others are checked.

    Raises
    ------
    UsageError
        When the only target cannot be read or holds no link, or standard input is to be rewritten.
    """
    from synglancer.check.documents import read_document
    from synglancer.states.urls import is_state_file

    documents: dict[str, Document] = {}
    places: Places = {}
    faults: list[UsageError] = []
    for target in dict.fromkeys(targets):
        empty = True
        for name in _expand(target, writable=writable):
            if "://" in name or (is_state_file(name) and _is_state(name)):
                places.setdefault(name.strip(), [])
                empty = False
                continue
            try:
                document = _read_stdin() if name == _STDIN else read_document(Path(name))
            except UsageError as error:
                faults.append(error)
                empty = False
                continue
            empty = empty and not document.found
            if document.path.resolve() in {other.path.resolve() for other in documents.values()}:
                continue
            documents[name] = document
            for found in document.found:
                places.setdefault(found.url, []).append((name, found.line))
        if empty:
            faults.append(_build_empty_error(target))
    if len(faults) == 1 and not places:
        raise faults[0]
    for fault in faults:
        complain(str(fault), fault.hint)
    return documents, places, bool(faults)


def _check_kept(names: Iterable[str], token_file: str | None) -> None:
    """Refuse to rewrite files of settings and tokens."""
    read = list_read([token_file])
    for name in names:
        check_kept("--fix", name, read)


def _build_empty_error(target: str) -> UsageError:
    """Make the error for a target without a link, which must not look as if it had been checked."""
    if target == _STDIN:
        where, hint = "standard input", "Pipe text with Neuroglancer links into the command."
    elif Path(target).is_dir():
        where = f"the folder {target}"
        hint = "Text files in it are read, such as Markdown, HTML, LaTeX, CSV and notebooks."
    else:
        where, hint = target, "Check that it is the right file, and that its links are complete."
    return UsageError(f"No Neuroglancer link was found in {where}.", hint)


def _expand(target: str, *, writable: bool) -> list[str]:
    """Replace each folder by its text files."""
    from synglancer.check.documents import list_documents

    if target == _STDIN and writable:
        raise UsageError(
            "Standard input cannot be rewritten.", "Give the file to --fix, or leave out --fix."
        )
    if "://" in target or not Path(target).is_dir():
        return [target]
    return [str(path) for path in list_documents(Path(target))]


def _is_state(name: str) -> bool:
    """Whether a JSON file holds a state itself, rather than links."""
    from synglancer.errors import BadAnswerError
    from synglancer.states.reader import parse_state
    from synglancer.states.urls import parse_link

    try:
        parse_state(parse_link(name).state or b"", name)
    except (BadAnswerError, UsageError):
        return False
    return True


def _read_stdin() -> Document:
    from synglancer.check.documents import parse_document

    content = read_standard_input("Give a file, or pipe text into the command.")
    return parse_document(Path(_STDIN), content)


def _tell(anew: Anew) -> dict[str, list[str]]:
    """Describe the repair of each bad link."""
    from synglancer.check.repair import Refreshed

    return {
        url: [f"Made again: {shorten(one.url, _LONGEST)}", *one.made.warnings]
        if isinstance(one, Refreshed)
        else [f"{one.reason} {one.hint}"]
        for url, one in anew.items()
    }


def _foretell(results: Sequence[CheckResult], own: Service) -> dict[str, list[str]]:
    """Describe what would be done about each bad link."""
    from synglancer.check.repair import read_asked

    told = {}
    for result in results:
        if result.status == "bad":
            try:
                told[result.url] = [f"It would be made again: {read_asked(result, own)}."]
            except UsageError as error:
                told[result.url] = [f"{error} {error.hint}"]
    return told


def _find_fixed(anew: Anew, places: Places, unwritten: set[str]) -> set[str]:
    """Find the links that were replaced by new ones, in all documents."""
    from synglancer.links.link_record import Skipped

    return {
        url
        for url, one in anew.items()
        if not isinstance(one, Skipped) and unwritten.isdisjoint(file for file, _ in places[url])
    }


def _rewrite(name: str, document: Document, anew: Anew) -> bool:
    """Put the new links into a document; return False if that failed."""
    from synglancer.check.repair import Refreshed
    from synglancer.check.rewriting import replace_links, rewrite_file

    new = {url: one.url for url, one in anew.items() if isinstance(one, Refreshed)}
    places = sum(found.url in new for found in document.found)
    if not places:
        return True
    try:
        backup = rewrite_file(document, replace_links(document, new))
    except UsageError as error:
        complain(str(error), error.hint)
        return False
    replaced = f"{places:,} links were" if places > 1 else "1 link was"
    text = f"{name}: {replaced} replaced; the old file is kept as {backup.name}."
    print(for_terminal(text), file=sys.stderr)  # noqa: T201
    return True


def _print_records(
    results: Sequence[CheckResult],
    places: Places,
    said: Mapping[str, Sequence[str]],
    anew: Anew,
    fixed: set[str],
) -> None:
    from synglancer.check.repair import Refreshed

    for result in results:
        url = result.url
        where = [{"file": file, "line": line} for file, line in places[url]]
        record: dict[str, Any] = {**result.to_record(), "places": where}
        if url in said:
            one = anew.get(url)
            record |= {
                "fixed": url in fixed,
                "refreshed": one.to_record() if isinstance(one, Refreshed) else None,
                "refreshing": list(said[url]),
            }
        print_json(record)


def _print_results(
    results: Sequence[CheckResult],
    places: Places,
    said: Mapping[str, Sequence[str]],
    fixed: set[str],
) -> None:
    rows = []
    for result in results:
        where = [f"{file}:{line}" for file, line in places[result.url]]
        number = sum(count or 0 for count in result.layers.values())
        until = f"{result.served_until:%Y-%m-%d}" if result.served_until else ""
        rows.append(
            [
                "fixed" if result.url in fixed else result.status,
                enumerate_some(where, 1),
                enumerate_some(result.cells, 2),
                str(result.version or ""),
                until,
                f"{number:,}" if result.parses else "",
                shorten(result.url, _LONGEST),
            ]
        )
    print_table(["", "where", "cell", ">version", "until", ">synapses", "link"], rows)
    for row, result in zip(rows, results, strict=True):
        told = (*result.problems, *result.unknown, *result.notes, *said.get(result.url, ()))
        for sentence in told:
            print(for_terminal(f"{row[1] or row[-1]}: {sentence}"))  # noqa: T201
