"""synglancer cache: what is kept on this machine, how much, where; and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from synglancer.cache.files import format_size
from synglancer.cli.printing import print_json, print_table
from synglancer.errors import UsageError

if TYPE_CHECKING:
    from synglancer.cache.answers import Kept


def info(*, output: Literal["table", "json"] = "table") -> None:
    """Say what is kept on this machine, and where.

    All of it can be fetched again. Above a bound, set by SYNGLANCER_CACHE_MAX (such as 500MB), what
    was used longest ago is removed.

    Parameters
    ----------
    output
        A table, or JSON.
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


def clear(*, only: tuple[str, ...] = ()) -> None:
    """Remove what is kept on this machine, and say what was removed.

    The history of the links that were made stays.

    Parameters
    ----------
    only
        Only this kind, as `cache info` names it; can be repeated.
    """
    from synglancer.cache.answers import KINDS, Store

    for name in only:
        if name not in KINDS:
            raise UsageError(
                f"Nothing of the kind {name!r} is kept.", f"Choose from {', '.join(KINDS)}."
            )
    store = Store()
    removed = store.clear([kind for kind in KINDS if kind in only] if only else KINDS)
    _print_kept(removed)
    files = sum(item.files for item in removed)
    size = format_size(sum(item.bytes for item in removed))
    print(f"Removed {files:,} files ({size}) from {store.folder}")  # noqa: T201


def _print_kept(kept: list[Kept]) -> None:
    rows = [[item.kind, f"{item.files:,}", format_size(item.bytes)] for item in kept]
    files, size = sum(item.files for item in kept), sum(item.bytes for item in kept)
    rows.append(["all", f"{files:,}", format_size(size)])
    print_table(["kept", ">files", ">size"], rows)
