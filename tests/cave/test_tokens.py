"""The token is found where CAVE users keep it, and never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from synglancer.cave.tokens import find_token, list_saved_tokens
from synglancer.errors import UsageError

SERVER = "https://global.daf-apis.com"
SECRET = "4f6e5d7c8b9a0123"


@pytest.fixture
def secrets() -> Path:
    folder = Path("~/.cloudvolume/secrets").expanduser()
    folder.mkdir(parents=True)
    return folder


def save(path: Path, token: str) -> None:
    path.write_text(json.dumps({"token": token}))


def test_places_are_looked_at_in_order(secrets, tmp_path, monkeypatch):
    """A named file takes precedence over the environment, then the host's file, then the general
    file. Each place is added below the earlier ones, and takes over.
    """
    assert find_token(SERVER) is None
    save(secrets / "cave-secret.json", "everyone")
    assert find_token(SERVER) == "everyone"
    save(secrets / "global.daf-apis.com-cave-secret.json", "host")
    assert find_token(SERVER) == "host"
    monkeypatch.setenv("CAVE_TOKEN", "environment")
    assert find_token(SERVER) == "environment"
    save(tmp_path / "token.json", "file")
    assert find_token(SERVER, str(tmp_path / "token.json")) == "file"


def test_hosts_do_not_share_their_own_file(secrets):
    """The file of one host is not used for another host or port."""
    save(secrets / "global.daf-apis.com-cave-secret.json", SECRET)
    assert find_token("https://other.example.org") is None
    assert find_token("https://global.daf-apis.com:8443") is None


def test_plain_http_does_not_get_the_token_for_all(secrets):
    """An http server gets only a token saved for its name, never the general one."""
    save(secrets / "cave-secret.json", SECRET)
    assert find_token("http://127.0.0.1:8000") is None
    save(secrets / "127.0.0.1:8000-cave-secret.json", "local")
    assert find_token("http://127.0.0.1:8000") == "local"


@pytest.mark.parametrize(
    "content",
    [
        SECRET,
        f"{SECRET}\n",
        f"  {SECRET}\r\n",
        json.dumps({"token": SECRET}),
        json.dumps({"token": f" {SECRET} ", "more": 1}, indent=2),
    ],
)
def test_files_hold_the_token_as_text_or_json(tmp_path, content):
    """Plain text and JSON are read alike, and white space around the token is ignored."""
    path = tmp_path / "token"
    path.write_text(content)
    assert find_token(SERVER, str(path)) == SECRET


def test_home_is_expanded():
    """The path of a file may begin with ``~``."""
    Path("~/my-token").expanduser().write_text(SECRET)
    assert find_token(SERVER, "~/my-token") == SECRET


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n",
        b"{}",
        b'{"token": ""}',
        b'{"token": null}',
        b'{"token": 5}',
        b'{"token": {"token": "%s"}}' % SECRET.encode(),
        b'{"token": "%s"' % SECRET.encode(),
        f"{SECRET} {SECRET}".encode(),
        f"{SECRET}\n{SECRET}".encode(),
        f"{SECRET}\x1b[0m".encode(),
        f"{SECRET}é".encode(),
        SECRET.encode() + b"\xff",
        b"\x00" + SECRET.encode(),
    ],
)
def test_files_without_a_token_are_refused_without_repeating_them(tmp_path, content):
    """Invalid content is refused with the name of the file, without quoting it."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        find_token(SERVER, str(path))
    said = f"{caught.value} {caught.value.hint}"
    assert str(path) in said
    assert SECRET not in said
    assert SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["missing", "folder", "~nobody-of-this-name/token"])
def test_files_that_cannot_be_read_are_refused(tmp_path, name):
    """A missing file, a folder or an unknown home is a usage error, not a bug."""
    (tmp_path / "folder").mkdir()
    where = name if name.startswith("~") else str(tmp_path / name)
    with pytest.raises(UsageError, match="cannot be read"):
        find_token(SERVER, where)


def test_environment_is_stripped():
    """White space around the token, which quoting in a shell may leave, is ignored."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CAVE_TOKEN", f" {SECRET}\n")
        assert find_token(SERVER) == SECRET


@pytest.mark.parametrize("inside", [" ", "\n", "\r\nX-Header: 1\r\n", "\t", "é", "\x7f"])
def test_environment_that_would_break_a_header_is_refused(monkeypatch, inside):
    """White space, line breaks or non-ASCII characters inside CAVE_TOKEN are refused without
    quoting them."""
    monkeypatch.setenv("CAVE_TOKEN", f"{SECRET}{inside}{SECRET}")
    with pytest.raises(UsageError, match=r"^CAVE_TOKEN does not hold a valid token") as caught:
        find_token(SERVER)
    assert SECRET not in f"{caught.value} {caught.value.hint}"


def test_empty_environment_counts_as_none(secrets, monkeypatch):
    """An empty CAVE_TOKEN does not hide the files."""
    save(secrets / "cave-secret.json", SECRET)
    monkeypatch.setenv("CAVE_TOKEN", "  ")
    assert find_token(SERVER) == SECRET


def test_a_user_without_a_home_has_no_saved_tokens(secrets, monkeypatch):
    """Saved tokens are listed; where there is no home folder, there are none."""
    save(secrets / "cave-secret.json", SECRET)
    assert [path.name for path in list_saved_tokens()] == ["cave-secret.json"]

    def refuse(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", refuse)
    assert list_saved_tokens() == []
