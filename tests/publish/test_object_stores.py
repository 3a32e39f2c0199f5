"""Publishing to an object store: complete, exact, despite faults, and never incomplete."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from publish.tables import make_rows, read_files, write_parquet
from synglancer.errors import NotServedError, ServiceError, UsageError
from synglancer.publish import destinations, tag_reader
from synglancer.publish.destinations import open_destination
from synglancer.publish.publication import Publication
from synglancer.publish.publishing import publish
from synglancer.publish.verify import verify

BUCKET = "synapses"
DEAD = 10**9


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to the store, and makes some of them fail."""

    protocol_version = "HTTP/1.1"
    store = ""
    fault = "none"
    seen: dict[str, int] = {}  # noqa: RUF012
    most = 0

    def log_message(self, *_):
        pass

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        cls = type(self)
        key = f"{self.command} {self.path}"
        cls.seen[key] = cls.seen.get(key, 0) + 1
        if self.command == "PUT" and cls.seen[key] <= cls.most:
            if cls.fault == "cut":
                self.close_connection = True
                self.connection.close()
                return
            self.send_response(int(cls.fault))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        upstream = http.client.HTTPConnection(cls.store, timeout=30)
        try:
            headers = {name: value for name, value in self.headers.items() if name != "Expect"}
            upstream.request(self.command, self.path, body, headers)
            found = upstream.getresponse()
            content = found.read()
        finally:
            upstream.close()
        self.send_response(found.status)
        for name, value in found.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        size = found.getheader("Content-Length") or str(len(content))
        self.send_header("Content-Length", size if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = answer  # noqa: N815


@pytest.fixture(scope="module")
def moto():
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    yield "{}:{}".format(*server.get_host_and_port())
    server.stop()


@contextmanager
def own_connections():
    """Connect anew within, and afterwards: s3fs keeps its connections, whatever their address."""
    system = fsspec.get_filesystem_class("s3")
    system.clear_instance_cache()
    yield
    system.clear_instance_cache()


@pytest.fixture(scope="module")
def proxy(moto):
    """The address of a proxy of the store."""
    Proxy.store = moto
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with own_connections():
        yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def client(moto):
    """A client of the store itself."""
    import boto3

    one = boto3.client(
        "s3", endpoint_url=f"http://{moto}", region_name="us-east-1",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    yield one
    one.close()


@pytest.fixture
def store(client, proxy, monkeypatch):
    """An empty bucket behind a proxy."""
    Proxy.fault, Proxy.seen, Proxy.most = "none", {}, 0
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    # Our own retries are tested, not those of the libraries in between.
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 1)
    monkeypatch.setattr(destinations, "_PATIENCE", 0.0)
    client.create_bucket(Bucket=BUCKET)
    yield client
    objects = client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    if objects:
        keys = [{"Key": one["Key"]} for one in objects]
        client.delete_objects(Bucket=BUCKET, Delete={"Objects": keys})
    client.delete_bucket(Bucket=BUCKET)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rows = make_rows(100, tag=["spine", "shaft"] * 50)
    return write_parquet(tmp_path_factory.mktemp("table") / "rows.parquet", rows)


@pytest.fixture(scope="module")
def expected(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("near") / "out"
    run(table, str(folder))
    return read_files(folder)


def run(table, destination, timeout=60.0, **options):
    asked = Publication(
        inputs=(table,), destination=destination, datastack="minnie65_public", version=1718,
        timeout=timeout,
    )  # fmt: skip
    return publish(asked, **options)


def read_objects(client, prefix="out/"):
    listed = client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
    return {
        one["Key"].removeprefix(prefix): client.get_object(Bucket=BUCKET, Key=one["Key"])[
            "Body"
        ].read()
        for one in listed
    }


@pytest.mark.parametrize("fault", ["cut", "503"])
def test_the_same_objects_are_written_through_faults(store, table, expected, fault):
    """Objects whose first two uploads failed are there in the end, and exact."""
    Proxy.fault, Proxy.most = fault, 2
    run(table, f"s3://{BUCKET}/out")
    assert read_objects(store) == expected
    stored = store.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert len(stored) == len(expected)
    for one in stored:
        assert "ContentEncoding" not in store.head_object(Bucket=BUCKET, Key=one["Key"])


def test_a_store_that_stays_away_is_named_and_the_run_goes_on_later(store, table, expected):
    """After a permanent failure, there is no info file; with --resume, all objects are there."""
    Proxy.fault, Proxy.most = "500", DEAD
    with pytest.raises(ServiceError, match="could not be written") as caught:
        run(table, f"s3://{BUCKET}/out")
    assert "--resume" in caught.value.hint
    assert max(Proxy.seen.values()) == destinations._ATTEMPTS
    assert read_objects(store) == {}
    Proxy.fault, Proxy.most = "none", 0
    with pytest.raises(UsageError, match="was not finished"):
        run(table, f"s3://{BUCKET}/out")
    run(table, f"s3://{BUCKET}/out", resume=True)
    assert read_objects(store) == expected


def test_who_may_not_write_is_told_at_once(store, table):
    """A 403 is not retried."""
    Proxy.fault, Proxy.most = "403", DEAD
    with pytest.raises(ServiceError, match="was not written"):
        run(table, f"s3://{BUCKET}/out")
    assert max(Proxy.seen.values()) == 1


def test_a_bucket_that_is_not_there_is_named_at_once(store, table):
    """A mistyped bucket is not reported as a failed connection."""
    with pytest.raises(NotServedError, match="There is no bucket for s3://synapse/out"):
        run(table, "s3://synapse/out")
    with pytest.raises(NotServedError, match="There is no bucket for s3://synapse/out"):
        verify("s3://synapse/out")


@pytest.mark.parametrize("address", ["s3://", "s3:///out", "s3://Not_A_Bucket!/out"])
def test_an_address_that_no_bucket_can_have_is_refused(store, table, address):
    """A wrong address is no failure of the store."""
    for act in (lambda: run(table, address), lambda: verify(address)):
        with pytest.raises(UsageError):
            act()


def test_a_place_without_a_source_is_named(store):
    """Where nothing was published, there is nothing to verify."""
    with pytest.raises(UsageError, match=r"has no synglancer\.json"):
        verify(f"s3://{BUCKET}/other")


@pytest.fixture
def silent(monkeypatch):
    """The port of a store that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        with own_connections():
            yield


@pytest.fixture
def dead(monkeypatch):
    """Nothing listens where the store is said to be."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with own_connections():
        yield


@pytest.mark.parametrize("kind", ["silent", "dead"])
def test_a_store_that_does_not_answer_is_named_in_time(store, table, monkeypatch, request, kind):
    """Publishing and checking end soon, however often the libraries in between would try again."""
    request.getfixturevalue(kind)
    monkeypatch.setattr(fsspec.get_filesystem_class("s3"), "retries", 100)
    address = f"s3://{BUCKET}/out"
    with pytest.raises(ServiceError, match=r"synglancer\.json could not be read: "):
        run(table, address, timeout=1.5)
    monkeypatch.setattr(tag_reader, "TIMEOUT", 1.5)
    with pytest.raises(ServiceError, match=r"synglancer\.json could not be read: "):
        verify(address)


def test_what_is_there_already_is_left_alone(store, table, expected):
    """Neither a finished source nor other objects are overwritten."""
    run(table, f"s3://{BUCKET}/out")
    assert read_objects(store) == expected
    with pytest.raises(UsageError, match="already holds a published source"):
        run(table, f"s3://{BUCKET}/out")
    store.put_object(Bucket=BUCKET, Key="other/notes.txt", Body=b"mine")
    with pytest.raises(UsageError, match="is not empty"):
        run(table, f"s3://{BUCKET}/other")
    assert read_objects(store, "other/") == {"notes.txt": b"mine"}


def test_a_table_in_an_object_store_is_published(store, table, expected, tmp_path):
    """Inputs can be read from addresses, too, one by one or by a pattern."""
    with open(table, "rb") as file:  # noqa: PTH123
        store.put_object(Bucket=BUCKET, Key="in/rows.parquet", Body=file.read())
    for number, name in enumerate(("rows.parquet", "*.parquet")):
        run(f"s3://{BUCKET}/in/{name}", str(tmp_path / f"out{number}"))
        files = read_files(tmp_path / f"out{number}")
        assert files.keys() == expected.keys()
        assert all(files[one] == expected[one] for one in files if one != "synglancer.json")
    with pytest.raises(UsageError, match="does not exist"):
        run(f"s3://{BUCKET}/in/gone.parquet", str(tmp_path / "gone"))


def test_an_address_without_its_package_names_the_package(monkeypatch):
    """gs:// without gcsfs is refused, and the hint says what to install."""
    monkeypatch.setitem(__import__("sys").modules, "gcsfs", None)
    with pytest.raises(UsageError, match="without another package") as caught:
        open_destination("gs://bucket/out")
    assert "gcsfs" in caught.value.hint
