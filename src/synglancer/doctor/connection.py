"""Check the connection: token, server, login, terms, datastack, version, table and states.

Every check sends a new request, because cached answers may be outdated.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synglancer.cave.auth import Credentials
from synglancer.cave.http import Fetcher
from synglancer.cave.metadata import (
    PREDICTIONS,
    advise_version,
    fetch_datastack_names,
    fetch_served,
    fetch_service_version,
    is_permanent,
)
from synglancer.cave.network import explain_failure, find_certificates, find_proxy
from synglancer.cave.pagination import Span
from synglancer.cave.session import Session
from synglancer.cave.tokens import locate_token
from synglancer.doctor.outcome import Outcome
from synglancer.errors import (
    LoginError,
    NotServedError,
    PermissionMissingError,
    ServiceError,
    SynglancerError,
    TermsOfServiceError,
    UnreachableError,
)
from synglancer.links.upload import upload_state
from synglancer.links.warnings import explain_lost_pin
from synglancer.states.urls import resolve_site
from synglancer.view.state import State
from synglancer.view_settings import SITES, recognise_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from synglancer.cave.records import Datastack, Materialization
    from synglancer.settings import Settings

    Answer = TypeVar("Answer")
    MayWrite = Callable[[str], bool]

_SOON = timedelta(days=30)
_NO_ROWS = Span(0, 1)
"""A range of IDs that no table has, so that the query costs the server nothing."""

_STATE = b'{"layers":[],"title":"synglancer doctor"}'


class Connection:
    """The connection for these settings.

    Parameters
    ----------
    settings
        The settings: server, datastack, version, table and viewer.
    may_write
        Asks the user whether a state may be stored on a server with a given address.
    """

    def __init__(self, settings: Settings, may_write: MayWrite) -> None:
        self._settings = settings
        self._may_write = may_write
        self._session = Session(settings.service, version=settings.version)
        self._answers: dict[str, object] = {}

    def _ask(self, question: str, ask: Callable[[], Answer]) -> Answer:
        """Send a request once; a refusal is repeated without another request."""
        if question not in self._answers:
            try:
                self._answers[question] = ask()
            except SynglancerError as error:
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, SynglancerError):
            raise answer
        return answer  # type: ignore[return-value]  # of the question's type

    def _fetch_names(self) -> list[str]:
        session = self._session
        return self._ask("names", lambda: fetch_datastack_names(session.fetcher, session.server))

    def _fetch_datastack(self) -> Datastack:
        return self._ask("datastack", lambda: self._session.datastack)

    def _fetch_version(self) -> Materialization:
        self._fetch_datastack()
        return self._ask("version", lambda: self._session.materialization)

    def close(self) -> None:
        """Close the open connections."""
        self._session.close()

    def check_token(self) -> Outcome:
        """Check whether there is a token, and where it was found."""
        service = self._settings.service
        if service.sandbox:
            return Outcome("token", "ok", "The sandbox has its own token.")
        server = self._session.server
        found = locate_token(server, service.token_file)
        if found is None:
            return Outcome(
                "token",
                "failed",
                f"No token for {server} was found.",
                f"Get a token at {server}/auth/api/v1/user/token. Then set CAVE_TOKEN, give a "
                "file with --token-file, or save the token once with caveclient "
                "(CAVEclient.auth.save_token).",
            )
        Credentials(found.token, server)  # refuses to send it over an insecure connection
        return Outcome("token", "ok", f"Found in {found.place}.")

    def check_server(self) -> Outcome:
        """Check whether the server answers, without showing it the token."""
        server = self._session.server
        proxy = find_proxy(server)
        way = f", through the proxy {proxy.host}" if proxy else ""
        if proxy and proxy.variable:
            way += f" that {proxy.variable} names"
        fetcher = Fetcher(Credentials(None, server), self._settings.timeout)
        try:
            version = fetch_service_version(fetcher, server, "info")
        except UnreachableError as error:
            reason = explain_failure(error) or ""
            more = [f"{reason}."] if reason else []
            more += [f"{proxy.variable} names the proxy."] if proxy and proxy.variable else []
            message = " ".join([str(error), *more])
            return Outcome("server", "failed", message, _advise(error, reason))
        except (LoginError, PermissionMissingError, NotServedError):
            return Outcome("server", "ok", f"{server} answers{way}.")
        finally:
            fetcher.close()
        return Outcome("server", "ok", f"{server} answers{way} (information service {version}).")

    def check_login(self) -> Outcome:
        """Check whether the server accepts the token."""
        with suppress(
            PermissionMissingError, TermsOfServiceError
        ):  # the token belongs to a known account
            self._fetch_names()
        host = urlsplit(self._session.server).netloc
        return Outcome("login", "ok", f"{host} accepts the token.")

    def check_terms(self) -> Outcome:
        """Check whether the terms of service, if any, have been accepted."""
        try:
            self._fetch_names()
            self._fetch_version()
        except TermsOfServiceError:
            raise
        except ServiceError:
            return Outcome(
                "terms", "skipped", "Not known, because the datastack could not be checked."
            )
        return Outcome("terms", "ok", "The terms of service are accepted, or there are none.")

    def check_datastack(self) -> Outcome:
        """Check whether the server knows the datastack."""
        datastack = self._fetch_datastack()
        message = f"{datastack.name} is known; {datastack.server} answers its queries."
        return Outcome("datastack", "ok", message)

    def check_version(self) -> Outcome:
        """Check whether the version is available, and until when."""
        version = self._fetch_version()
        name = f"Version {version.version} ({version.timestamp:%Y-%m-%d})"
        if version.expired:
            served = fetch_served(self._session.fetcher, self._session.datastack)
            message = f"{name} has expired. Live queries at its timestamp are used instead."
            hint = advise_version(served, timestamp=version.timestamp)
            return Outcome("version", "warning", message, hint)
        if version.expires_on is None:
            return Outcome(
                "version", "ok", f"{name} is available; the server does not say until when."
            )
        if is_permanent(version):
            return Outcome("version", "ok", f"{name} is available permanently.")
        message = f"{name} is available until {version.expires_on:%Y-%m-%d}."
        if version.expires_on - datetime.now(timezone.utc) < _SOON:
            hint = "Links that you have made keep working. Use another --version after that day."
            return Outcome("version", "warning", message, hint)
        return Outcome("version", "ok", message)

    def check_table(self) -> Outcome:
        """Check whether the table of predictions can be read, with the query of a link."""
        session = self._session
        datastack, version = self._fetch_datastack(), self._fetch_version()
        table = session.load_table(str(self._settings.table), PREDICTIONS)
        with session.explain_refused_live():
            session.client.fetch_range(datastack, version, table, _NO_ROWS)
        message = f"{table.name} can be read, with the synapses in {table.synapse_table}."
        return Outcome("table", "ok", message)

    def check_states(self) -> Outcome:
        """Check whether the state server answers, and whether it stores a state, if allowed."""
        session = self._session
        fetch_service_version(session.fetcher, session.server, "nglstate/api/v1")
        if not self._may_write(session.server):
            return Outcome(
                "states",
                "skipped",
                f"The state server at {session.server} answers. Storing a state was not tested.",
                "Use --write to store a small state.",
            )
        url = upload_state(session, State(_STATE, hashlib.sha256(_STATE).hexdigest()))
        return Outcome("states", "ok", f"A small state was stored and read back: {url}.")

    def check_viewer(self) -> Outcome:
        """Check which viewer links open in, and whether it shows what they need."""
        given = self._settings.site
        datastack = None if given else self._fetch_datastack()
        own = datastack.viewer_site if datastack else None
        site = resolve_site(given, own)
        whose = "because the datastack has no viewer of its own"
        if given:
            whose = "as you chose"
        elif site == own:
            whose = "the datastack's viewer"
        message = f"Links open in {_name_site(site)}, {whose}."
        lost = self._find_lost_pin(site)
        return Outcome("viewer", "warning" if lost else "ok", message, lost)

    def _find_lost_pin(self, site: str) -> str:
        try:
            source = self._fetch_datastack().segmentation_source
        except SynglancerError:  # which has its own line
            return ""
        name = recognise_site(self._settings.site, site)
        return " ".join(explain_lost_pin(site, name, source))


def _name_site(site: str) -> str:
    names = {address: name for name, address in SITES.items()}
    return f"{names[site]} ({site})" if site in names else site


def _advise(error: SynglancerError, reason: str) -> str:
    """Say what to do about a server that did not answer."""
    if "certificate" not in reason.lower():
        return error.hint
    found = find_certificates()
    used = f"{found[0]} names {found[1]}" if found else "those of the package certifi are used"
    return (
        "If your institution's proxy uses its own certificates, set REQUESTS_CA_BUNDLE to the "
        f"file with these certificates ({used})."
    )
