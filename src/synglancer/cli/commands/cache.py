"""synglancer cache: show and clear the local cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from synglancer.cache.files import format_size
from synglancer.cli.options import describe
from synglancer.cli.printing import print_json, print_table
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from synglancer.cache.answers import Kept


def info(*, output: Literal["table", "json"] = "table") -> None:
    """Show what the local cache holds, and where it is.

    Everything in it can be fetched again. When it grows above SYNGLANCER_CACHE_MAX (such as
    500MB), the files that were not used for longest are removed.

    Parameters
    ----------
    output
        Print a table, or JSON.
    """
    from synglancer.cache.answers import Store

    store = Store()
    kept = store.measure()
    if output == "json":
        sizes = {item.kind: {"files": item.files, "bytes": item.bytes} for item in kept}
        total = sum(item.bytes for item in kept)
        print_json(
            {"folder": str(store.folder), "bytes": total, "bound": store.bound, "kinds": sizes}
        )
        return
    _print_kept(kept)
    print(f"{store.folder}, at most {format_size(store.bound)}")  # noqa: T201


def clear(*, only: Annotated[tuple[str, ...], describe(None, "KIND")] = ()) -> None:
    """Clear the local cache, and show what was removed.

    The history of your links is kept.

    Parameters
    ----------
    only
        Clear only this kind of file, as `cache info` names it; can be repeated.
    """
    from synglancer.cache.answers import KINDS, Store

    for name in only:
        if name not in KINDS:
            raise UsageError(
                f"The cache has no kind of file {name!r}.", f"Choose from {', '.join(KINDS)}."
            )
    store = Store()
    removed = store.clear([kind for kind in KINDS if kind in only] if only else KINDS)
    _print_kept(removed)
    files = sum(item.files for item in removed)
    size = format_size(sum(item.bytes for item in removed))
    what = "file" if files == 1 else "files"
    print(f"Removed {files:,} {what} ({size}) from {store.folder}")  # noqa: T201


def _print_kept(kept: list[Kept]) -> None:
    rows = [[item.kind, f"{item.files:,}", format_size(item.bytes)] for item in kept]
    files, size = sum(item.files for item in kept), sum(item.bytes for item in kept)
    rows.append(["all", f"{files:,}", format_size(size)])
    print_table(["kept", ">files", ">size"], rows)
