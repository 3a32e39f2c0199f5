"""Only the viewer and its files are served: completely, in parts and compressed."""

from __future__ import annotations

import gzip
import http.client
import re
import shutil
from pathlib import Path
from urllib.parse import urlsplit
from zlib import crc32

import numpy as np
import pandas as pd
import pytest
import requests

from cave_sandbox.server import Sandbox, SandboxOptions
from cave_sandbox.web.files import find_file
from cave_sandbox.web.viewer import STEADY, client_folder

DATA = Path(__file__).parents[2] / "data" / "one-nucleus"
CHUNK = bytes(range(256)) * 4
FILES = "/precomputed/minnie65_public"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewer")
    data = folder / "data"
    shutil.copytree(DATA, data)
    files = data / "precomputed"
    (files / "em").mkdir()
    (files / "em" / "plain").write_bytes(CHUNK)
    (files / "em" / "empty").write_bytes(b"")
    (files / "em" / "packed.gz").write_bytes(gzip.compress(CHUNK))
    (files / "mesh").mkdir()
    (files / "mesh" / "864691135276234469:0").write_text('{"fragments": ["a:0:b"]}')
    (files / "out").symlink_to(folder / "outside")
    (folder / "outside").mkdir()
    (folder / "outside" / "secret").write_text("secret")
    (data / "precomputed-not").write_text("secret")
    with Sandbox(SandboxOptions(data=data, states=folder / "s.sqlite", token="good")) as running:
        yield running


def get(sandbox, path, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return requests.get(sandbox.origin + path, headers=named, timeout=30)


def get_raw(sandbox, target):
    """Send a target unchanged, because clients would normalise dots."""
    connection = http.client.HTTPConnection(urlsplit(sandbox.origin).netloc, timeout=30)
    try:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_viewer_is_whole(sandbox):
    """The viewer's page and each file that it names have the right content type."""
    page = get(sandbox, "/v/synglancer/")
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(names) > 3
    for name in names:
        answer = get(sandbox, f"/v/synglancer/{name}")
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith(kind)


def test_viewers_page_is_the_packaged_one_and_a_script(sandbox):
    """The viewer's page has one script before its own, and is sent again when that changes."""
    page = get(sandbox, "/v/synglancer/")
    packaged = (client_folder() / "index.html").read_text()
    script = STEADY.decode()
    assert page.text == packaged.replace("<head>", f"<head><script>{script}</script>", 1)
    assert f'-{crc32(STEADY):x}"' in page.headers["ETag"]
    assert get(sandbox, "/v/x/", If_None_Match=page.headers["ETag"]).status_code == 304


def test_viewer_opens_under_any_name(sandbox):
    """Any name below /v/ opens the viewer, even without a trailing slash."""
    assert get(sandbox, "/v/other/").text == get(sandbox, "/v/synglancer").text


def test_viewer_files_with_a_hash_are_kept(sandbox):
    """Files named by their content are cached for ever, but the page that names them is not."""
    page = get(sandbox, "/v/synglancer/")
    name = re.search(r'src="(main[^"]+)"', page.text).group(1)
    assert "immutable" in get(sandbox, f"/v/synglancer/{name}").headers["Cache-Control"]
    assert page.headers["Cache-Control"] == "no-cache"


def test_unchanged_file_is_not_sent_again(sandbox):
    """A client that has the file gets 304 and no body."""
    etag = get(sandbox, f"{FILES}/em/plain").headers["ETag"]
    again = get(sandbox, f"{FILES}/em/plain", If_None_Match=etag)
    assert (again.status_code, again.content) == (304, b"")


def test_home_says_that_data_are_synthetic(sandbox):
    """The home page says what the server is, and links to the viewer."""
    page = get(sandbox, "/")
    assert "The data are synthetic" in page.text
    assert 'href="/v/synglancer/"' in page.text
    assert "minnie65_public" in page.text


def test_event_stream_stays_open_and_is_counted(sandbox):
    """The viewer's event stream opens, stays open, and is counted while open."""
    address = f"{sandbox.origin}/events/synglancer?c=1"
    with requests.get(address, stream=True, timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream"
        lines = answer.iter_lines()  # held: a discarded iterator closes the connection
        assert next(lines) == b":"
        assert sandbox.open_pages == 1


def test_viewer_may_tell_its_state(sandbox):
    """Messages for the viewer's Python program are accepted without an error."""
    answer = requests.post(f"{sandbox.origin}/state/synglancer", data=b"{}", timeout=30)
    assert answer.status_code == 204


def test_packed_chunk_is_gzip_encoded(sandbox):
    """A chunk stored as name.gz is served for name: compressed, or unpacked for clients that cannot
    unpack."""
    packed = get(sandbox, f"{FILES}/em/packed", Accept_Encoding="gzip")
    plain = get(sandbox, f"{FILES}/em/packed", Accept_Encoding="gzip;q=0, identity")
    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.content == plain.content == CHUNK
    assert packed.headers["ETag"] != plain.headers["ETag"]


def test_files_may_be_read_by_other_origins(sandbox):
    """A page of another origin may read a file and its range headers, and send a preflight."""
    address = f"{sandbox.origin}{FILES}/em/plain"
    asking = {"Origin": "https://spelunker.cave-explorer.org"}
    answer = requests.get(address, headers=asking, timeout=30)
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Content-Range" in answer.headers["Access-Control-Expose-Headers"]
    wanted = {
        **asking,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "range",
    }
    preflight = requests.options(address, headers=wanted, timeout=30)
    assert preflight.status_code == 200
    assert preflight.headers["Access-Control-Allow-Headers"] == "range"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=-5", 1019, 1024),
        ("bytes=1000-", 1000, 1024),
        ("bytes=1000-9999", 1000, 1024),
    ],
)
def test_range(sandbox, asked, start, stop):
    """A range returns its bytes and says which they are."""
    answer = get(sandbox, f"{FILES}/em/plain", Range=asked)
    assert (answer.status_code, answer.content) == (206, CHUNK[start:stop])
    assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/1024"


@pytest.mark.parametrize("asked", ["bytes=1024-", "bytes=-0", "bytes=9-2"])
def test_range_outside(sandbox, asked):
    """A range without any byte is refused, with the file's size."""
    answer = get(sandbox, f"{FILES}/em/plain", Range=asked)
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["Content-Range"] == "bytes */1024"


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "bytes=-", "x"])
def test_range_that_is_none(sandbox, asked):
    """An invalid range, or several ranges, return the whole file."""
    answer = get(sandbox, f"{FILES}/em/plain", Range=asked)
    assert (answer.status_code, answer.content) == (200, CHUNK)


def test_range_of_a_file_that_has_changed(sandbox):
    """A range of a file that has changed returns the whole file."""
    answer = get(sandbox, f"{FILES}/em/plain", Range="bytes=0-1", If_Range='"old"')
    assert (answer.status_code, answer.content) == (200, CHUNK)


def test_range_of_a_packed_chunk_counts_its_own_bytes(sandbox):
    """For a client that cannot unpack, a range counts unpacked bytes."""
    answer = get(sandbox, f"{FILES}/em/packed", Range="bytes=256-258", Accept_Encoding="identity")
    assert (answer.status_code, answer.content) == (206, CHUNK[256:259])


def test_mesh_names_with_colons(sandbox):
    """A mesh manifest, whose name contains a colon, is found."""
    for name in ("864691135276234469:0", "864691135276234469%3A0"):
        assert get(sandbox, f"{FILES}/mesh/{name}").json() == {"fragments": ["a:0:b"]}


@pytest.mark.parametrize(
    "path",
    [
        "../datastack.json",
        "..%2Fdatastack.json",
        "%2e%2e/datastack.json",
        "em/../../datastack.json",
        "em/..%2f..%2fdatastack.json",
        "..\\datastack.json",
        "%2Fetc%2Fpasswd",
        "/etc/passwd",
        "//etc/passwd",
        "out/secret",
        "../precomputed-not",
        "em",
        "em/",
        ".",
        "em/plain%00",
        "x" * 300,
        "%FF",
        "em//plain",
        "nothing",
    ],
)
@pytest.mark.parametrize("base", [FILES, "/v/synglancer"])
def test_nothing_outside_the_folder_is_served(sandbox, base, path):
    """Whatever the path, only files below the folder are sent."""
    status, body = get_raw(sandbox, f"{base}/{path}")
    assert status in {400, 404}
    assert b"secret" not in body
    assert b"root:" not in body
    assert b"minnie65" not in body


def test_unknown_datastack(sandbox):
    """A datastack without files, or one named like a folder, has no files to serve."""
    for name in ("other", "..", "."):
        assert get_raw(sandbox, f"/precomputed/{name}/info")[0] == 404


def test_find_file_prefers_the_plain_file(tmp_path):
    """If a file exists both plain and compressed, the plain one is served."""
    (tmp_path / "a").write_bytes(b"plain")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"packed"))
    found = find_file(tmp_path, "a")
    assert (found.path.name, found.compressed) == ("a", False)


def test_range_of_an_empty_file(sandbox):
    """An empty file has no valid range."""
    answer = get(sandbox, f"{FILES}/em/empty", Range="bytes=0-")
    assert (answer.status_code, answer.content) == (416, b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files_that_a_client_has(sandbox, method):
    """A file that has not changed since it was read is not sent again."""
    address = f"{sandbox.origin}{FILES}/em/plain"
    first = requests.get(address, timeout=30)
    for name, value in (("None-Match", "ETag"), ("Modified-Since", "Last-Modified")):
        known = {f"If-{name}": first.headers[value]}
        answer = requests.request(method, address, headers=known, timeout=30)
        assert (answer.status_code, answer.content) == (304, b"")


def test_a_cell_without_a_shape_has_empty_ones(tmp_path):
    """A root ID in a table has a mesh and a skeleton, possibly empty; other numbers have none."""
    data = tmp_path / "data"
    shutil.copytree(DATA, data)
    mesh = data / "precomputed" / "seg" / "minnie65_public" / "mesh"
    mesh.mkdir(parents=True)
    (mesh / "info").write_text('{"@type": "neuroglancer_legacy_mesh"}')
    skeleton = data / "precomputed" / "skeleton"
    skeleton.mkdir()
    (skeleton / "info").write_text('{"@type": "neuroglancer_skeletons"}')
    known = int(pd.read_csv(data / "tables" / "nucleus_detection_v0.csv")["pt_root_id"].max())
    options = SandboxOptions(data=data, states=tmp_path / "s.sqlite", token="good")
    with Sandbox(options) as sandbox:
        seg = "seg/minnie65_public"
        found = [
            requests.get(f"{sandbox.origin}{FILES}/{name}", timeout=30)
            for name in (f"{seg}/mesh/{known}:0", f"skeleton/{known}")
        ]
        missing = [
            requests.get(f"{sandbox.origin}{FILES}/{name}", timeout=30)
            for name in (
                f"{seg}/mesh/{known + 1}:0",
                f"{seg}/other/{known}:0",
                f"skeleton/{known + 1}",
                f"skeleton/{known}:0",
                f"{seg}/mesh/{known}",
            )
        ]
    assert [answer.status_code for answer in found] == [200, 200]
    assert found[0].json() == {"fragments": []}
    assert np.frombuffer(found[1].content, "<u4").tolist() == [0, 0]
    assert {answer.status_code for answer in missing} == {404}
