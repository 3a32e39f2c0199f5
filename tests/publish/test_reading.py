"""Chunks are read exactly, or the damaged file is named."""

from __future__ import annotations

import numpy as np
import pytest
from urllib3 import PoolManager, ProxyManager

from synglancer.errors import BadAnswerError, UsageError
from synglancer.publish.reading import access, chunks
from synglancer.publish.reading.chunks import ChunkReader, Wanted
from synglancer.publish.sharding import Sharding, build_shard, compress, decompress, read_minishard

SHARDING = Sharding("identity", 4, 0, "raw")
"""One shard of 16 minishards, which the last bits of a key choose."""

KEYS = np.array([1, 17, 33, 2, 7], np.uint64)
CHUNKS = [b"one", b"seventeen", b"", b"two", b"seven"]


def write_shard():
    pieces = build_shard(SHARDING, KEYS, np.array([len(one) for one in CHUNKS]), b"".join(CHUNKS))
    return b"".join(bytes(one) for one in pieces)


def fetch(content, *keys, reader=None, seen=None):
    """Read chunks of a source with one file."""

    def read(name, start, size):
        assert name == f"spine/pre/{SHARDING.name_file(0)}"
        if seen is not None:
            seen.append((start, size))
        return content[start : start + size]

    reader = reader or ChunkReader("https://a.org/out", read, 1)
    wanted = Wanted("spine/pre", SHARDING, np.array(keys, np.uint64))
    reader.fetch(wanted)
    return wanted.found, reader


def test_keys_without_a_chunk_are_not_found():
    """Neither a key in an empty minishard nor one between others has a chunk."""
    found, _ = fetch(write_shard(), 1, 3, 7, 17, 49, 9)
    assert found == {1: b"one", 7: b"seven", 17: b"seventeen"}


def test_only_so_many_indexes_are_kept(monkeypatch):
    """The index that was used longest ago is read again, and the others are not."""
    monkeypatch.setattr(chunks, "_MOST_KEPT", 2)
    monkeypatch.setattr(chunks, "_NEAR", 0)
    seen = []
    _, reader = fetch(write_shard(), 1, 2, seen=seen)
    fetch(b"", 1, reader=reader)
    fetch(b"", 7, reader=reader)
    assert [number for _, number in reader._indexes] == [1, 7]
    before = len(seen)
    assert fetch(b"", 1, reader=reader)[0] == {1: b"one"}
    assert len(seen) == before + 1
    assert fetch(b"", 2, reader=reader)[0] == {2: b"two"}
    assert len(seen) > before + 2


def test_a_damaged_minishard_is_named():
    """The file is named whose index cannot be unpacked."""
    content = bytearray(write_shard())
    start = int.from_bytes(content[16:24], "little") + 16 * SHARDING.minishards
    content[start : start + 4] = bytes(4)
    with pytest.raises(BadAnswerError) as caught:
        fetch(bytes(content), 1)
    name = f"https://a.org/out/spine/pre/{SHARDING.name_file(0)}"
    assert str(caught.value) == f"{name} is missing or damaged."
    assert caught.value.hint == "Check the source with `synglancer publish verify`."
    assert fetch(bytes(content), 2)[0] == {2: b"two"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "The index of a minishard is damaged."),
        (b"no gzip", "The index of a minishard is damaged."),
        (compress(bytes(25)), "The index of a minishard is damaged."),
        (compress(bytes(48))[:-9], "The index of a minishard is damaged."),
        (compress(np.array([[3, 0], [0, 0], [1, 1]], "<u8")),
         "The keys of a minishard are not in order."),
        (compress(np.array([[3, 2**64 - 1], [0, 0], [1, 1]], "<u8")),
         "The keys of a minishard are not in order."),
    ],
)  # fmt: skip
def test_an_index_that_is_none_is_refused(content, said):
    """Neither half an index nor one with a key twice is searched."""
    with pytest.raises(ValueError, match=f"^{said}$"):
        read_minishard(content)


def test_what_is_no_gzip_is_nothing():
    """Damaged data are not mistaken for content, whole or in part."""
    assert decompress(b"no gzip", 10, whole=False) == b""
    packed = bytearray(compress(b"content"))
    packed[-1] ^= 1
    assert decompress(bytes(packed), 10) == b""


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    """A folder in the place of a file is no missing file."""
    (tmp_path / "spine/info").mkdir(parents=True)
    with pytest.raises(UsageError) as caught:
        access.Folder(str(tmp_path)).read("spine/info", 0, None)
    assert str(caught.value) == f"{tmp_path}/spine/info cannot be read: Is a directory."
    assert caught.value.hint == "Check the folder."


def test_a_source_is_read_through_the_proxy_of_the_environment(monkeypatch):
    """Servers elsewhere are asked through the proxy, and this machine directly."""
    for name in ("https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://proxy.example.org:3128")
    monkeypatch.setenv("no_proxy", "")
    far = access._open_pools("https://a.org/out", 2)
    assert isinstance(far, ProxyManager)
    assert str(far.proxy) == "http://proxy.example.org:3128"
    assert far.connection_pool_kw["cert_reqs"] == "CERT_REQUIRED"
    near = access._open_pools("http://127.0.0.1:8000/out", 2)
    assert (isinstance(near, PoolManager), isinstance(near, ProxyManager)) == (True, False)
