"""Read the server, token, datastack and version from a user's CAVEclient."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NoReturn

from synglancer.cave.tokens import check_token, find_token
from synglancer.errors import UsageError
from synglancer.python.options import StorageOptions, build_settings
from synglancer.settings import DEFAULT_TABLE, Settings, is_address
from synglancer.text.printable import quote

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Asked:
    """The options, and the token of the client.

    Attributes
    ----------
    settings
        The options.
    token
        The client's token, only for its server; None to find a token as usual.
    """

    settings: Settings
    token: str | None = field(default=None, repr=False)


def settle_storage(
    settings: Settings | None, options: Mapping[str, Any], client: object | None = None
) -> Asked:
    """Combine the options for storing a state, as `settle` does for a link.

    Raises
    ------
    UsageError
        When an option does not apply to a state; or as for `settle`.
    """
    other = [name for name in options if name not in StorageOptions.__annotations__]
    if other and other[0] in {field.name for field in fields(Settings)}:
        raise UsageError(
            f"{other[0]}= has no effect here, because the state already says what it shows.",
            f"Leave it out. The options are {', '.join(StorageOptions.__annotations__)}.",
        )
    # Settings need a table, but none is queried here.
    named = {**options, "table": DEFAULT_TABLE} if settings is None else options
    return settle(settings, named, client)


def check_token_saved(asked: Asked) -> None:
    """Refuse a token that other processes would not find, because it is sent only to its server.

    Raises
    ------
    UsageError
        When the client's token is not the one that synglancer finds by itself.
    """
    if asked.token not in {None, find_token(str(asked.settings.server))}:
        raise UsageError(
            "The client's token is sent only to its server, not to other processes.",
            "Save it with client.auth.save_token(client.auth.token), or leave out workers= and "
            "scheduler=.",
        )


@dataclass(frozen=True)
class _Known:
    """The settings of a client."""

    server: str
    datastack: str | None
    version: int | None
    token: str | None = field(default=None, repr=False)


def settle(
    settings: Settings | None, options: Mapping[str, Any], client: object | None = None
) -> Asked:
    """Combine a settings record, keywords and a client.

    Parameters
    ----------
    settings
        Options as a record.
    options
        Options by keyword.
    client
        A ``caveclient.CAVEclient``. The default version is the client's own, or else the latest. A
        version given as an option comes first.

    Raises
    ------
    UsageError
        When there is no such option, or the client is not a CAVEclient or uses another server or
        datastack than the settings.
    """
    if settings is not None and not isinstance(settings, Settings):
        _refuse_settings(settings)
    if settings is not None and options:
        raise UsageError(
            f"Settings were given, but {', '.join(options)} was also given by keyword.",
            "Give only one of them. To change settings, use dataclasses.replace.",
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


def _refuse_settings(given: object) -> NoReturn:
    """Refuse an argument in the place of the settings, such as a version."""
    is_version = isinstance(given, int) and not isinstance(given, bool) and 0 < given < 2**31
    raise UsageError(
        f"{quote(given)} is not a Settings record.",
        f"Give the version by its name: version={given}."
        if is_version
        else "Give options by their names, such as sandbox=True, and several cells in a list.",
    )


def _read_client(client: object) -> _Known:
    server = getattr(client, "server_address", None)
    if not isinstance(server, str) or not is_address(server):
        raise UsageError(
            f"client={type(client).__name__} is not a CAVEclient.",
            "Give a client made with caveclient.CAVEclient('minnie65_public').",
        )
    version = getattr(client, "version", None)
    token = getattr(getattr(client, "auth", None), "token", None)
    return _Known(
        server=server.rstrip("/"),
        datastack=getattr(client, "datastack_name", None),
        version=version if isinstance(version, int) else None,
        token=check_token(token, "The client") if isinstance(token, str) and token else None,
    )


def _check_same(settings: Settings, known: _Known) -> None:
    """Refuse a client of another server or datastack, because its token is only for its own."""
    if settings.sandbox or (settings.server or known.server).rstrip("/") != known.server:
        other = "the sandbox" if settings.sandbox else settings.server
        raise UsageError(
            f"The client uses {known.server}, but {other} was requested.",
            "Leave out sandbox=True and server=, or give a client of that server.",
        )
    if known.datastack is not None and settings.datastack != known.datastack:
        raise UsageError(
            f"The client uses the datastack {known.datastack}, but {settings.datastack} was "
            "requested.",
            "Leave out datastack=, or give a client of that datastack.",
        )
    if settings.token_file is not None:
        raise UsageError(
            "Both a client, which has a token, and a file with a token were given.",
            "Leave out token_file= or the client.",
        )
