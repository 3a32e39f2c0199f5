"""A notebook's own CAVEclient is used unchanged, and its token stays with its server."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from cli.outcome import TOKEN
from synglancer import Link, Settings, add_links, make_link, make_links
from synglancer.errors import UsageError
from synglancer.python.clients import settle

CELL = 864691135276234469
DATASTACK = "minnie65_public"


def test_a_client_says_server_token_datastack_and_version(client, sandbox):
    """One link, several links and a table are the same as with the settings."""
    link = make_link(CELL, client=client, tag="soma")
    assert (link.version, link.datastack) == (1718, DATASTACK)
    assert link.provenance.server == sandbox.origin
    assert make_links([CELL], client=client, tag="soma")[0] == link
    frame = add_links(pd.DataFrame({"pt_root_id": [CELL]}), client=client, tag="soma")
    assert frame["link"].tolist() == [link.url]


def test_a_version_is_the_clients_the_given_one_or_the_latest(client, connect):
    """A client without a version uses the latest; an option given beside it takes precedence."""
    assert settle(None, {}, client).settings.version == 1718
    assert settle(None, {"version": 1822}, client).settings.version == 1822
    free = connect()
    assert free.version is None
    assert settle(None, {}, free).settings.version == "latest"
    assert settle(Settings(version=1718), {}, free).settings.version == 1718


@pytest.mark.parametrize(
    "options",
    [
        {"server": "https://global.daf-apis.com"},
        {"sandbox": True},
        {"datastack": "v1dd_public", "table": "t"},
        {"token_file": "token"},
    ],
)
def test_a_client_of_another_server_is_refused(client, sandbox, options):
    """A client of another server is refused before any request, because its token is only for its
    own."""
    for given in ({"settings": Settings(**options)}, options):
        with pytest.raises(UsageError) as caught:
            make_link(CELL, client=client, **given)
        assert "client" in str(caught.value)
        assert TOKEN not in f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("client", ["minnie65_public", 5, object()])
def test_what_is_no_client_is_refused(client):
    """A name instead of a client is refused with an error and a hint."""
    with pytest.raises(UsageError, match="is not a CAVEclient"):
        make_link(CELL, client=client)


def test_settings_and_keywords_are_not_mixed():
    """A keyword beside a settings record would be ignored, and is refused."""
    with pytest.raises(UsageError, match="tag was also given by keyword"):
        make_link(CELL, Settings(), tag="spine")


def test_the_token_of_a_client_is_kept_nowhere(client, sandbox, tmp_path):
    """No file, repr or state of ours holds the token."""
    link = make_link(CELL, client=client)
    asked = settle(None, {}, client)
    assert TOKEN not in f"{asked!r} {link!r} {link.to_record()} {json.dumps(link.state)}"
    files = [path for path in Path(tmp_path / "home").rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if TOKEN.encode() in path.read_bytes()]


def test_other_processes_find_the_token_or_are_not_asked(client, monkeypatch):
    """A client's token is not sent to workers, so they are refused if they would find another."""
    with pytest.raises(UsageError, match="not to other processes"):
        make_links([CELL], client=client, workers=2)
    with pytest.raises(UsageError, match="not to other processes"):
        add_links(pd.DataFrame({"pt_root_id": [CELL]}), client=client, scheduler="tcp://a:1")
    monkeypatch.setenv("CAVE_TOKEN", TOKEN)
    assert isinstance(make_links([CELL], client=client, workers=2, tag="soma")[0], Link)
