"""Only the CAVE server, and the server that it names for its data, get the token."""

from __future__ import annotations

import pytest

from synglancer.cave.auth import Credentials, is_loopback
from synglancer.errors import ServiceError, UsageError

TOKEN = "d34db33f5ec7e7"
GLOBAL = "https://global.daf-apis.com"
LOCAL = "https://minnie.microns-daf.com"
SANDBOX = "http://127.0.0.1:8888"


def test_only_trusted_servers_get_the_token() -> None:
    """The chosen server gets the token, the data server once it is trusted, and no other server."""
    credentials = Credentials(TOKEN, GLOBAL)
    assert credentials.token_for(f"{GLOBAL}/nglstate/api/v1/5") == TOKEN
    assert credentials.token_for(f"{LOCAL}/materialize") is None
    credentials.trust(LOCAL)
    assert credentials.token_for(f"{LOCAL}:443/materialize") == TOKEN


@pytest.mark.parametrize(
    "url",
    [
        "http://global.daf-apis.com/nglstate",
        "https://global.daf-apis.com:8443/",
        "https://global.daf-apis.com.evil.example/",
        "https://global.daf-apis.com@evil.example/",
        "https://evil.example/global.daf-apis.com",
        "https://evil.example#global.daf-apis.com",
        "https://spelunker.cave-explorer.org/",
        "ftp://global.daf-apis.com/",
        "//global.daf-apis.com/",
        "https://[broken",
        "https://global.daf-apis.com:port/",
        "",
        None,
    ],
)
def test_addresses_that_only_look_alike_do_not(url) -> None:
    """Another scheme or port, or a host name that only contains the trusted one, gets no token."""
    credentials = Credentials(TOKEN, GLOBAL)
    assert credentials.token_for(url) is None
    assert Credentials(TOKEN, "no address").token_for(url) is None


@pytest.mark.parametrize("server", ["http://cave.example.org", "http://10.0.0.5:8080"])
def test_a_token_does_not_travel_in_clear(server) -> None:
    """With a token, plain http is refused, except on this machine."""
    with pytest.raises(UsageError, match="unencrypted") as caught:
        Credentials(TOKEN, server)
    assert TOKEN not in str(caught.value) + caught.value.hint
    assert Credentials(None, server).token_for(server) is None


@pytest.mark.parametrize(
    "data",
    [
        "http://minnie.microns-daf.com",
        "http://127.0.0.1:9999",
        "http://localhost",
        "ftp://minnie.microns-daf.com",
        "javascript:alert(1)",
        "minnie.microns-daf.com",
        "https://user@minnie.microns-daf.com",
        "\x1b]0;owned\x07",
    ],
)
def test_a_server_that_names_an_unsafe_one_for_its_data_is_refused(data) -> None:
    """Over https, no answer can send the token to plain http, to this machine, or to an invalid
    address."""
    credentials = Credentials(TOKEN, GLOBAL)
    with pytest.raises(ServiceError, match="would not be safe") as caught:
        credentials.trust(data)
    assert credentials.token_for(data) is None
    assert str(caught.value).isprintable()
    assert TOKEN not in str(caught.value) + caught.value.hint


def test_the_sandbox_may_keep_its_data_on_this_machine() -> None:
    """A server on loopback may name another loopback server or one over https, but not plain
    http."""
    credentials = Credentials(TOKEN, SANDBOX)
    for data in ("http://localhost:9000", "http://[::1]:9000", LOCAL):
        credentials.trust(data)
        assert credentials.token_for(data) == TOKEN
    with pytest.raises(ServiceError):
        credentials.trust("http://cave.example.org")


def test_a_token_is_not_shown() -> None:
    """Debuggers and tracebacks do not show the token."""
    assert TOKEN not in repr(Credentials(TOKEN, GLOBAL))
    assert "***" in repr(Credentials(TOKEN, GLOBAL))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
        ("localhost.example.org", False), ("127.0.0.1.example.org", False), ("0.0.0.0", False),
        ("10.0.0.1", False), ("", False), (None, False),
    ],
)  # fmt: skip
def test_loopback_is_told_by_its_name(host, expected) -> None:
    """Only names that cannot lead elsewhere count as this machine."""
    assert is_loopback(host) is expected
