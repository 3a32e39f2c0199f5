"""A served folder has the ranges and CORS headers that viewers need, and serves nothing outside
it."""

from __future__ import annotations

import http.client
import socket
import struct
import threading

import pytest

from publish.tables import CELL, make_rows, run, write_parquet
from synglancer.errors import BadAnswerError, NotServedError, ServiceError, UsageError
from synglancer.publish.serving import _Handler, find_file, make_server
from synglancer.publish.source import open_source


@pytest.fixture
def folder(tmp_path):
    run(tmp_path / "public/out", write_parquet(tmp_path / "rows.parquet", make_rows(800)))
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "public/out"


@pytest.fixture
def server(folder):
    running = make_server(str(folder))
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()


def get(server, path, method="GET", **headers):
    """Request a path unchanged, because clients would normalise it."""
    connection = http.client.HTTPConnection(server.removeprefix("http://"), timeout=10)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    try:
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_ranges_are_answered_with_206_and_their_place(server, folder):
    """A range returns its bytes and says where they are; one beyond the end is refused with 416."""
    whole = (folder / "spine/by_id/0.shard").read_bytes()
    path, size = "/spine/by_id/0.shard", len(whole)
    for header, first, last in (
        ("bytes=0-15", 0, 15), ("bytes=16-31", 16, 31), (f"bytes={size - 3}-", size - 3, size - 1),
        ("bytes=-5", size - 5, size - 1), (f"bytes=10-{size + 99}", 10, size - 1),
    ):  # fmt: skip
        status, headers, body = get(server, path, Range=header)
        assert (status, body) == (206, whole[first : last + 1])
        assert headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    assert get(server, path)[::2] == (200, whole)
    assert get(server, path, Range=f"bytes={size}-")[0] == 416
    status, headers, body = get(server, path, "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(size), b"")


def test_any_page_may_read_it(server):
    """Every answer allows other sites, including errors and preflights."""
    for path, method in (("/spine/info", "GET"), ("/gone", "GET"), ("/spine/info", "OPTIONS")):
        _, headers, _ = get(server, path, method, Origin="https://viewer.example")
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert "Range" in headers["Access-Control-Allow-Headers"]


def test_nothing_outside_is_served(server, folder, tmp_path):
    """Neither dots, encoded or not, nor symbolic links lead out of the folder."""
    (folder / "link.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "parent").symlink_to(tmp_path)
    (folder / ".publishing").mkdir()
    (folder / ".publishing/plan.json").write_text("{}")
    (folder / "spine/info.99.tmp").write_text("{}")
    for path in (
        "/../../secret.txt",
        "/%2e%2e/%2e%2e/secret.txt", "/spine/../../../secret.txt", "//etc/passwd",
        f"/{tmp_path}/secret.txt", "/..%2f..%2fsecret.txt", "/..%5c..%5csecret.txt", "/link.txt",
        "/parent/secret.txt", "/spine", "/", "", "/spine/%00", "/.publishing/plan.json",
        "/spine/info.99.tmp", f"/{'x' * 5000}",
    ):  # fmt: skip
        status, _, body = get(server, path or "*")
        assert (status, body) == (404, b""), path
    assert get(server, "/spine/info")[0] == 200


def test_links_inside_of_the_folder_are_followed(server, folder):
    """A symbolic link to a file in the same folder is served."""
    (folder / "copy.json").symlink_to(folder / "synglancer.json")
    assert get(server, "/copy.json")[2] == (folder / "synglancer.json").read_bytes()


def test_a_viewer_that_goes_away_is_no_failure(server, capfd):
    """If a viewer drops a request, nothing is printed, and the next one is answered."""
    connection = socket.create_connection(server.removeprefix("http://").split(":"))
    reset = struct.pack("ii", 1, 0)  # closing sends a reset
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    connection.sendall(b"GET /spine/info HTTP/1.1\r\nHost: x\r\n")
    connection.close()
    assert get(server, "/spine/info")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_source_over_http_says_what_the_folder_says(server, folder):
    """Counts and rows of a cell are the same over HTTP and from the folder."""
    near, far = open_source(str(folder)), open_source(server)
    assert near.manifest == far.manifest
    for cell in (CELL, CELL + 1_000_003, 12, 2**64 - 1, 0):
        assert near.count_rows(cell) == far.count_rows(cell)
        for direction in ("inputs", "outputs"):
            rows = far.read_rows(cell, direction, "spine")
            assert (rows == near.read_rows(cell, direction, "spine")).all()
            assert len(rows) == far.count_rows(cell)[direction]["spine"]
    assert far.count_rows(CELL)["inputs"]["spine"] > 0


def test_counting_takes_few_requests_however_large_the_cell(server, monkeypatch):
    """At most three range requests for each tag and direction, and one if the index is known."""
    asked = []
    answer = _Handler.do_GET

    def count(self):
        asked.append(self.headers.get("Range"))
        answer(self)

    source = open_source(server)
    monkeypatch.setattr(_Handler, "do_GET", count)
    source.count_rows(CELL)
    assert len(asked) <= 3 * 6 + 3
    asked.clear()
    source.count_rows(CELL)
    assert len(asked) == 6
    assert all(int(one.split("-")[1]) - int(one[6:].split("-")[0]) < 1024 for one in asked)


def unfit(monkeypatch, change):
    begin = _Handler.send_header
    monkeypatch.setattr(
        _Handler, "send_header", lambda self, name, value: change(self, name, value, begin)
    )


def test_a_server_without_ranges_is_refused(server, monkeypatch):
    """A server without range requests is refused, because viewers would silently show nothing."""
    monkeypatch.setattr("synglancer.publish.serving.parse_range", lambda *_: None)
    with pytest.raises(ServiceError, match="ignores ranges"):
        open_source(server)


def test_a_server_without_cors_is_refused(server, monkeypatch):
    """A source that pages of other sites may not read is refused."""
    unfit(
        monkeypatch,
        lambda self, name, value, send: None if "Allow-Origin" in name else send(self, name, value),
    )
    with pytest.raises(ServiceError, match="CORS"):
        open_source(server)


def test_what_is_no_source_is_named(server, folder, tmp_path):
    """A folder or address without a manifest, a server that does not exist and another scheme are
    refused."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotServedError, match="not a published source"):
        open_source(str(tmp_path / "empty"))
    with pytest.raises(NotServedError, match="not a published source"):
        open_source(f"{server}/spine")
    with pytest.raises(ServiceError, match="does not answer"):
        open_source("http://127.0.0.1:9/out")
    with pytest.raises(UsageError, match="Viewers cannot read"):
        open_source("s3://bucket/out")
    (folder / "synglancer.json").write_text("{}")
    with pytest.raises(BadAnswerError, match="is not a manifest"):
        open_source(server)


def test_a_damaged_source_is_not_read_as_empty(folder):
    """A missing or truncated shard is an error, never a cell without synapses."""
    shard = folder / "spine/post/0.shard"
    content = shard.read_bytes()
    shard.write_bytes(content[: len(content) // 3])
    with pytest.raises(BadAnswerError, match="missing or damaged"):
        open_source(str(folder)).count_rows(CELL)
    shard.unlink()
    with pytest.raises(BadAnswerError, match="missing or damaged"):
        open_source(str(folder)).count_rows(CELL)


def test_a_name_that_no_file_can_have_is_not_found(folder):
    """A request for a name that the system refuses is answered like one for a missing file."""
    assert find_file(folder.resolve(), "/" + "a" * 5000) is None


@pytest.mark.parametrize(
    ("error", "reported"), [(BrokenPipeError(), False), (ZeroDivisionError("by 0"), True)]
)
def test_a_bug_of_the_server_is_reported(folder, capfd, error, reported):
    """What is no dropped connection is not kept from whoever runs the server."""
    with make_server(str(folder)) as server:
        try:
            raise error
        except (OSError, ArithmeticError):
            server.handle_error(None, ("127.0.0.1", 1))
    assert ("ZeroDivisionError: by 0" in capfd.readouterr().err) == reported


def test_a_folder_that_is_not_there_or_a_taken_port_is_refused(server, folder):
    """Both are reported in one sentence."""
    with pytest.raises(UsageError, match="There is no folder"):
        make_server(str(folder / "gone"))
    with pytest.raises(UsageError, match="cannot be used"):
        make_server(str(folder), int(server.rpartition(":")[2]))


def test_a_folder_to_which_nothing_was_published_is_refused(folder, tmp_path):
    """An empty folder, one with other files, an unfinished run, and a folder around several sources
    are refused."""
    for name in ("empty", "other", "unfinished"):
        (tmp_path / name).mkdir()
    (tmp_path / "other/notes.txt").write_text("x")
    (tmp_path / "unfinished/.publishing").mkdir()
    for name, said in {"empty": "no", "other": "no", "unfinished": "an unfinished"}.items():
        with pytest.raises(UsageError, match=f"{name} holds {said} published source"):
            make_server(str(tmp_path / name))
    make_server(str(folder.parent)).server_close()


def test_partners_are_read_from_the_index_of_ids(server, folder):
    """The cell on the other side of each synapse is the one in the row, for near and far IDs."""
    rows = make_rows(800)  # the input of the published folder
    other = {
        int(id_): int(cell) for id_, cell in zip(rows["id"], rows["pre_pt_root_id"], strict=True)
    }
    for source in (open_source(str(folder)), open_source(server)):
        found = source.read_rows(CELL, "inputs", "spine")
        partners = source.read_partners(found["id"], "inputs", "spine")
        assert len(found) > 5
        assert partners.tolist() == [other[int(id_)] for id_ in found["id"]]
        assert source.read_partners(found["id"][:0], "inputs", "spine").tolist() == []
        with pytest.raises(BadAnswerError, match="damaged"):
            source.read_partners(found["id"] + 1, "inputs", "spine")
