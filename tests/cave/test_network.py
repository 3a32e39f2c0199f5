"""Proxies are named without their passwords, and failures are explained in the system's words."""

from __future__ import annotations

import ssl
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from synglancer.cave.auth import Credentials
from synglancer.cave.http import Fetcher
from synglancer.cave.network import (
    Proxy,
    explain_failure,
    find_certificates,
    find_proxy,
    name_proxy,
)
from synglancer.errors import ServiceError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SERVER = "https://global.daf-apis.com"
SECRET = "hunter2"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://proxy.example.org:3128", "proxy.example.org:3128"),
        (f"http://user:{SECRET}@proxy.example.org:3128", "proxy.example.org:3128"),
        (f"http://user:{SECRET}@odd@proxy.example.org", "proxy.example.org"),
        (f"user:{SECRET}@proxy.example.org:3128", "proxy.example.org:3128"),
        (f"http://user:{SECRET}@[proxy", "with an address that cannot be read"),
    ],
)
def test_a_proxy_is_named_without_its_password(address, host) -> None:
    """Whatever the form of the address, only its host is named."""
    assert name_proxy(address) == host


@pytest.mark.parametrize("variable", ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def test_the_variable_that_sets_a_proxy_is_named(monkeypatch, variable) -> None:
    """The proxy for https servers is found under each possible name of its variable."""
    monkeypatch.setenv(variable, f"http://user:{SECRET}@proxy.example.org:3128")
    assert find_proxy(SERVER) == Proxy("proxy.example.org:3128", variable)


def test_who_is_asked_without_a_proxy(monkeypatch) -> None:
    """This machine and exempt hosts are reached directly, and so are all hosts if no proxy is
    set."""
    assert find_proxy(SERVER) is None
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.org:3128")
    assert find_proxy("https://127.0.0.1:8000") is None
    monkeypatch.setenv("NO_PROXY", "daf-apis.com")
    assert find_proxy(SERVER) is None


def fail(url: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        Fetcher(Credentials(None, url), 5).fetch(url)
    return caught.value


def test_a_refused_connection_is_explained() -> None:
    """The system's own message is quoted, without the library's objects."""
    words = explain_failure(fail("http://127.0.0.1:1/"))
    assert words == "Failed to establish a new connection: [Errno 111] Connection refused"


def test_a_proxy_that_refuses_is_explained(monkeypatch) -> None:
    """The error says what happened at the proxy, without its password."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{SECRET}@127.0.0.1:1")
    error = fail(SERVER)
    assert str(error) == "The proxy 127.0.0.1:1 did not connect to global.daf-apis.com."
    assert "Connection refused" in str(explain_failure(error))
    assert SECRET not in f"{error} {error.hint} {explain_failure(error)}"


@pytest.mark.parametrize("address", [f"http://user:{SECRET}@[proxy:1", "http://proxy:99999", " "])
def test_a_proxy_that_is_no_address(monkeypatch, address) -> None:
    """The error blames the proxy, not the server."""
    monkeypatch.setenv("HTTPS_PROXY", address)
    error = fail(SERVER)
    assert "The proxy " in str(error)
    assert "HTTPS_PROXY" in error.hint
    assert SECRET not in f"{error} {error.hint} {explain_failure(error)}"


def test_an_error_without_a_cause_has_nothing_to_add() -> None:
    """A plain refusal needs no further explanation."""
    assert explain_failure(ServiceError("No.", "Wait.")) is None


class Greeting(BaseHTTPRequestHandler):
    """A server that answers with a greeting."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def signed(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server over https with a self-signed certificate, and that certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an institution's proxy")])
    now = datetime.now(timezone.utc)
    own = [x509.IPAddress(ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(own), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "certificate.pem"
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    both = tmp_path / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    both.write_bytes(file.read_bytes() + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    server = HTTPServer(("127.0.0.1", 0), Greeting)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients that hang up
    server.socket = context.wrap_socket(server.socket, server_side=True)
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"https://127.0.0.1:{server.server_port}", file
    server.shutdown()
    server.server_close()


def test_a_certificate_that_nobody_vouches_for(signed) -> None:
    """The TLS library's reason is quoted."""
    error = fail(signed[0])
    assert "could not be verified" in str(error)
    words = str(explain_failure(error))
    assert "certificate verify failed" in words
    assert "self" in words


def test_certificates_of_ones_own(signed, monkeypatch) -> None:
    """A file of certificates named by a variable is used; a missing one is reported."""
    url, file = signed
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(file))
    assert Fetcher(Credentials(None, url), 5).fetch(url) == b"hello"
    assert find_certificates() == ("REQUESTS_CA_BUNDLE", str(file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", f"{file}.missing")
    error = fail(url)
    assert isinstance(error, UnreachableError)
    assert f"{file}.missing, which is set in REQUESTS_CA_BUNDLE" in str(error)
