"""A notebook's own CAVEclient → the server, token, datastack and version that it uses."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from synglancer.cave.tokens import find_token
from synglancer.errors import UsageError
from synglancer.python.options import StorageOptions, build_settings
from synglancer.settings import DEFAULT_TABLE, Settings, is_address

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Asked:
    """What is asked, and the token of the client that asks it.

    Attributes
    ----------
    settings
        What is asked, beside the cells.
    token
        The client's token, for its server alone; None to look where every command does.
    """

    settings: Settings
    token: str | None = field(default=None, repr=False)


def settle_storage(
    settings: Settings | None, options: Mapping[str, Any], client: object | None = None
) -> Asked:
    """Put together where a state is stored, as `settle` does; what is shown is in the state.

    Raises
    ------
    UsageError
        When an option says something else; or as for `settle`.
    """
    other = [name for name in options if name not in StorageOptions.__annotations__]
    if other and other[0] in {field.name for field in fields(Settings)}:
        raise UsageError(
            f"{other[0]}= has no effect on a state, which says itself what it shows.",
            f"Leave it out; there are {', '.join(StorageOptions.__annotations__)}.",
        )
    # Settings name a table; here none is asked.
    named = {**options, "table": DEFAULT_TABLE} if settings is None else options
    return settle(settings, named, client)


def check_token_saved(asked: Asked) -> None:
    """Refuse a token that other processes would not find: it is sent to nobody but its server.

    Raises
    ------
    UsageError
        When the client's token is not the one that every command finds.
    """
    if asked.token not in {None, find_token(str(asked.settings.server))}:
        raise UsageError(
            "The client's token is sent to its server alone, and not to other processes.",
            "Save it with client.auth.save_token(client.auth.token), or leave workers= and "
            "scheduler= out.",
        )


@dataclass(frozen=True)
class _Known:
    """What a client says of itself."""

    server: str
    datastack: str | None
    version: int | None
    token: str | None = field(default=None, repr=False)


def settle(
    settings: Settings | None, options: Mapping[str, Any], client: object | None = None
) -> Asked:
    """Put together what a record, keywords and a client say.

    Parameters
    ----------
    settings
        What is asked, as a record.
    options
        Or by keyword.
    client
        A ``caveclient.CAVEclient``. Of its version, the default is the one that it asks: its own,
        or else the latest; a version that is given besides comes first.

    Raises
    ------
    UsageError
        When there is no such option, the client is none, or is of another server or datastack than
        the settings name.
    """
    if settings is not None and options:
        raise UsageError(
            f"Settings were given, and {', '.join(options)} by keyword too.",
            "Give one of both; dataclasses.replace changes a record of settings.",
        )
    if client is None:
        return Asked(settings or build_settings(options))
    known = _read_client(client)
    if settings is None:
        own = {"datastack": known.datastack, "version": known.version or "latest"}
        given = {name: value for name, value in own.items() if value is not None}
        settings = build_settings({**(given if known.datastack else {}), **options})
    _check_same(settings, known)
    return Asked(replace(settings, server=known.server), known.token)


def _read_client(client: object) -> _Known:
    server = getattr(client, "server_address", None)
    if not isinstance(server, str) or not is_address(server):
        raise UsageError(
            f"client={type(client).__name__} is no CAVEclient.",
            "Give one made with caveclient.CAVEclient('minnie65_public').",
        )
    version = getattr(client, "version", None)
    token = getattr(getattr(client, "auth", None), "token", None)
    return _Known(
        server=server.rstrip("/"),
        datastack=getattr(client, "datastack_name", None),
        version=version if isinstance(version, int) else None,
        token=token if isinstance(token, str) and token else None,
    )


def _check_same(settings: Settings, known: _Known) -> None:
    """Refuse a client of another server or datastack: its token is not for any other."""
    if settings.sandbox or (settings.server or known.server).rstrip("/") != known.server:
        other = "the sandbox" if settings.sandbox else settings.server
        raise UsageError(
            f"The client is of {known.server}, and {other} is asked for.",
            "Leave sandbox=True and server= out, or give a client of that server.",
        )
    if known.datastack is not None and settings.datastack != known.datastack:
        raise UsageError(
            f"The client is of the datastack {known.datastack}, and {settings.datastack} is asked "
            "for.",
            "Leave datastack= out, or give a client of that datastack.",
        )
    if settings.token_file is not None:
        raise UsageError(
            "A client, which has a token, and a file with a token were given.",
            "Leave token_file= out, or the client.",
        )
