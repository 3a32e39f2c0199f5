"""A session makes each request once, sends its token only to its own server, and knows its data."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from threading import Barrier, Thread

import pytest

from cave_sandbox.server import Sandbox
from cave_sandbox.web.handler import Handler
from cli.outcome import CELL, TOKEN
from synglancer import Link, Skipped, make_links
from synglancer import make_link as api_make_link
from synglancer.cache.answers import Store
from synglancer.cave.access import IDENTITY_HEADER, Access, fetch_link_state
from synglancer.cave.metadata import PREDICTIONS
from synglancer.cave.session import Session
from synglancer.errors import DataChangedError, LoginError, UsageError
from synglancer.settings import DEFAULT_TABLE, Service

VERSION = 1718


def count(sandbox, part: str) -> int:
    return sum(part in request.path for request in sandbox.requests)


@pytest.fixture
def session(sandbox) -> Session:
    return Session(Service(server=sandbox.origin), Store(), VERSION)


@pytest.fixture
def identity(monkeypatch) -> list[str]:
    """Make the sandbox state with every answer which data it serves: the first item."""
    said = ["one"]
    real = Handler.set_default_headers

    def say(self):
        real(self)
        if said[0]:
            self.set_header(IDENTITY_HEADER, said[0])
        else:
            self.clear_header(IDENTITY_HEADER)

    monkeypatch.setattr(Handler, "set_default_headers", say)
    return said


def test_threads_ask_a_question_once(sandbox, session) -> None:
    """Eight threads that need the datastack, the version and a table fetch each of them once."""
    start = Barrier(8)

    def work() -> None:
        start.wait(30)
        session.load_table(DEFAULT_TABLE, PREDICTIONS)
        assert session.materialization.version == VERSION

    threads = [Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    paths = Counter(request.path for request in sandbox.requests)
    assert len(paths) == 3
    assert set(paths.values()) == {1}


def test_nothing_is_asked_twice_for_one_link(sandbox, make_link) -> None:
    """With spines and no cache, a link requests each record and each table's metadata once."""
    made = make_link(CELL, "--multi-input", "--no-cache")
    assert made.code == 0
    gets = Counter(request.path for request in sandbox.requests if request.method == "GET")
    assert sum("/metadata" in path for path in gets) == 2, "of predictions and of spines"
    assert {path: number for path, number in gets.items() if number > 1} == {}


def test_records_come_back_from_the_cache_as_they_were(sandbox, session) -> None:
    """The datastack, version, table and view need no request in the next process."""
    asked = (session.datastack, session.materialization)
    asked += (session.load_table(DEFAULT_TABLE, PREDICTIONS),)
    columns = session.load_view_columns("aibs_cell_info")
    before = len(sandbox.requests)
    again = Session(Service(server=sandbox.origin), Store(), VERSION)
    known = (again.datastack, again.materialization)
    known += (again.load_table(DEFAULT_TABLE, PREDICTIONS),)
    assert known == asked
    assert again.load_view_columns("aibs_cell_info") == columns
    assert len(sandbox.requests) == before


def test_validity_is_asked_for_many_cells_at_once(sandbox, session) -> None:
    """12,000 root IDs cost three requests, however often one is repeated."""
    made_up = range(864691130000000001, 864691130000012001)
    valid = session.fetch_validity([int(CELL), *made_up, int(CELL)])
    assert [cell for cell, good in valid.items() if good] == [int(CELL)]
    assert len(valid) == 12_001
    assert count(sandbox, "is_latest_roots") == 3


def test_access_needs_no_table(sandbox) -> None:
    """A server can be queried without naming a table; an invalid address is refused."""
    assert Access(Service(server=sandbox.origin, datastack="other")).server == sandbox.origin
    with pytest.raises(UsageError, match="not an address"):
        Service(server="nowhere")


def test_the_token_of_the_environment_opens_links_of_the_own_server(sandbox) -> None:
    """Link.from_url reads a state of the server in SYNGLANCER_SERVER with CAVE_TOKEN."""
    made = api_make_link(int(CELL), server=sandbox.origin)
    assert Link.from_url(made.url).state_sha256 == made.state_sha256


def test_another_server_does_not_get_the_token_and_the_message_says_what_does(
    sandbox, options, loaded_sample, tmp_path
) -> None:
    """A state elsewhere is requested without the token; the hint says how to name its server."""
    closed = replace(options, states=tmp_path / "other.sqlite", open_states=False)
    with Sandbox(closed, loaded_sample) as stranger:
        made = api_make_link(int(CELL), server=stranger.origin)
        before = len(stranger.requests)
        with pytest.raises(LoginError, match=f"the token is only for {sandbox.origin}") as refused:
            Link.from_url(made.url)
        statuses = {request.status for request in stranger.requests[before:]}
        assert statuses <= {302, 401}, "the same token would be let in there"
        assert f"SYNGLANCER_SERVER={stranger.origin}" in refused.value.hint
        assert Link.from_url(made.url, token=TOKEN).state_sha256 == made.state_sha256
        assert fetch_link_state(str(made.state_url), server=stranger.origin) == made.state_json


def ask(sandbox, **options):
    return api_make_link(int(CELL), server=sandbox.origin, **options)


def test_the_same_data_cost_no_more_requests(sandbox, identity) -> None:
    """With an identity, a first link also costs 8 requests, and a repeated one 1."""
    ask(sandbox)
    assert len(sandbox.requests) == 8
    ask(sandbox)
    assert len(sandbox.requests) == 9


def test_other_data_at_the_same_address_are_asked_anew(sandbox, identity) -> None:
    """After the data changed, no cached link, table or record is used."""
    first = ask(sandbox)
    identity[0] = "two"
    before = len(sandbox.requests)
    again = ask(sandbox)
    assert again.state_url != first.state_url
    asked = [request.path for request in sandbox.requests[before:]]
    assert sum(path.endswith("/query") or "/query?" in path for path in asked) >= 3
    assert sum("/info/" in path for path in asked) == 1
    before = len(sandbox.requests)
    assert ask(sandbox).state_url == again.state_url
    assert len(sandbox.requests) == before + 1
    identity[0] = "one"
    assert ask(sandbox).state_sha256 == first.state_sha256


def test_kept_tables_of_other_data_are_not_used_offline_either(sandbox, identity) -> None:
    """An inline link whose tables are all cached costs one request, to check that they are
    current."""
    ask(sandbox, inline=True)
    before = len(sandbox.requests)
    ask(sandbox, inline=True)
    assert len(sandbox.requests) == before + 1
    identity[0] = ""
    ask(sandbox, inline=True)
    assert len(sandbox.requests) > before + 5, "no identity is another one"


def test_data_that_change_while_they_are_asked_for_are_refused(sandbox, identity) -> None:
    """If the server is replaced halfway, no link is made from both."""
    session = Session(Service(server=sandbox.origin), Store(), VERSION)
    assert session.datastack
    identity[0] = "two"
    with pytest.raises(DataChangedError, match="have changed since"):
        _ = session.materialization
    assert not session.renew()


def test_a_batch_asks_in_groups_what_became_of_cells_without_rows(sandbox) -> None:
    """300 invented root IDs cost two queries to the chunked graph, and none to the tables."""
    made_up = [str(864691130000000001 + number) for number in range(300)]
    links = make_links([CELL, *made_up], server=sandbox.origin, inline=True)
    assert links[0].cell == int(CELL)
    assert all(isinstance(one, Skipped) and one.exit_code == 3 for one in links[1:])
    assert {one.reason for one in links[1:]} == {
        f"{cell} is not the root ID of a cell in minnie65_public at version 1718 (2026-03-07)."
        for cell in made_up
    }
    assert count(sandbox, "is_latest_roots") == 1
    assert count(sandbox, "root_timestamps") == 1
    assert count(sandbox, "/query") <= 3 * 5, "of the first cell, and of those on their way"


def test_a_root_id_that_never_existed_is_unknown(sandbox, make_link) -> None:
    """An empty answer from the chunked graph means that the root ID does not exist; exit code 3."""
    made = make_link("864691130000000001")
    made.refuses(3, "864691130000000001 is not the root ID of a cell in minnie65_public")
    assert count(sandbox, "root_timestamps") == 1
