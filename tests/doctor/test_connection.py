"""What doctor says about proxies, certificates and the viewer."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from synglancer.cave.records import Datastack, Materialization
from synglancer.doctor.connection import Connection, _advise
from synglancer.doctor.outcome import Outcome
from synglancer.errors import (
    LoginError,
    NotServedError,
    PermissionMissingError,
    UnreachableError,
)
from synglancer.settings import Settings

SECRET = "hunter2"


def connect(**options: object) -> Connection:
    return Connection(Settings(timeout=5, **options), lambda _: False)


def test_a_proxy_is_named_with_its_variable(monkeypatch) -> None:
    """If a proxy does not connect, the error names it and the variable that sets it."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:1")
    found = connect().check_server()
    assert found.status == "failed"
    assert "The proxy 127.0.0.1:1 did not connect to global.daf-apis.com." in found.message
    assert "Connection refused" in found.message
    assert "HTTPS_PROXY names the proxy." in found.message
    assert SECRET not in f"{found.message} {found.hint}"


def with_version(expires: datetime | None) -> Connection:
    connection = connect()
    made = datetime(2026, 3, 7, tzinfo=timezone.utc)
    connection._answers["datastack"] = None
    connection._answers["version"] = Materialization(1718, made, expires)
    return connection


@pytest.mark.parametrize(
    ("days", "status", "words"),
    [
        (365, "ok", "is available until 2"),
        (10, "warning", "is available until 2"),
        (None, "ok", "does not say until when"),
        (100 * 365, "ok", "is available permanently"),
    ],
)
def test_until_when_a_version_is_served(days, status, words) -> None:
    """The expiry day is named, with a warning in the last month; some versions are permanent, and
    some have no known day."""
    expires = None if days is None else datetime.now(timezone.utc) + timedelta(days=days)
    found = with_version(expires).check_version()
    assert found.status == status
    assert words in found.message


@pytest.mark.parametrize(
    ("site", "own", "status", "words"),
    [
        (None, "https://viewer.example.org/", "ok", "https://viewer.example.org/, the datastack's"),
        (
            None,
            None,
            "ok",
            "spelunker (https://spelunker.cave-explorer.org/), because the datastack",
        ),
        (None, "javascript:alert(1)", "ok", "spelunker (https://spelunker"),
        (
            "https://own.example.org/",
            None,
            "ok",
            "https://own.example.org/, as you chose",
        ),
        ("google", None, "warning", "google (https://neuroglancer-demo.appspot.com/)"),
    ],
)
def test_the_viewer_is_known(site, own, status, words) -> None:
    """The viewer is the requested one, the datastack's own or Spelunker; a viewer that ignores the
    pin gives a warning."""
    connection = connect(site=site)
    connection._answers["datastack"] = Datastack(
        name="minnie65_public",
        server="https://minnie.example.org",
        image_source="precomputed://https://example.org/em",
        segmentation_source="graphene://https://minnie.example.org/segmentation/table/minnie65",
        skeleton_source=None,
        viewer_resolution=(4, 4, 40),
        viewer_site=own,
        synapse_table=None,
        soma_table=None,
    )
    found = connection.check_viewer()
    assert found.status == status
    assert words in found.message


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LoginError("No token.", "Give one."), "https://global.daf-apis.com answers."),
        (PermissionMissingError("No.", "Ask."), "https://global.daf-apis.com answers."),
        (NotServedError("No.", "Look."), "https://global.daf-apis.com answers."),
        (None, "https://global.daf-apis.com answers (information service 5.1)."),
    ],
)
def test_a_server_that_refuses_answers(monkeypatch, error, said) -> None:
    """A server that does not tell its version without a login answers all the same."""

    def fetch(*_: object) -> str:
        if error:
            raise error
        return "5.1"

    monkeypatch.setattr("synglancer.doctor.connection.fetch_service_version", fetch)
    assert connect().check_server() == Outcome("server", "ok", said, "")


def test_a_viewer_is_named_without_a_datastack(monkeypatch) -> None:
    """If the datastack cannot be read, which has a line of its own, the chosen viewer is still
    named."""

    def refuse(_: object) -> None:
        raise NotServedError("No.", "No.")

    monkeypatch.setattr(Connection, "_fetch_datastack", refuse)
    found = connect(site="https://viewer.example.org").check_viewer()
    assert (found.status, found.hint) == ("ok", "")
    assert found.message == "Links open in https://viewer.example.org, as you chose."


@pytest.mark.parametrize(
    ("variable", "used"),
    [
        (None, "those of the package certifi are used"),
        ("/etc/ca.pem", "REQUESTS_CA_BUNDLE names /etc/ca.pem"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_advised(monkeypatch, variable, used) -> None:
    """The advice says which certificates are used now; any other failure keeps its own advice."""
    if variable:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", variable)
    error = UnreachableError("The certificate could not be verified (TLS).", "Wait.")
    advice = _advise(error, "certificate verify failed: self-signed Certificate in chain")
    assert advice.startswith("If your institution's proxy uses its own certificates, set")
    assert used in advice
    assert _advise(error, "Connection refused") == "Wait."
