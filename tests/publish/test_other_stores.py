"""Published into Azure and Google stores, where their emulators and packages are installed.

They are heavy, so they are in no extra: pip install adlfs gcsfs gcp-storage-emulator, and
npm install --global azurite.
"""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager

import fsspec
import pytest

from publish.tables import make_rows, read_files, run, write_parquet
from synglancer.errors import NotServedError, ServiceError, UsageError
from synglancer.publish import destinations
from synglancer.publish.destinations import ObjectStore

ACCOUNT = "devstoreaccount1"
# The emulator's own key, in its documentation.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
COMMANDS = {
    "az": ("azurite-blob", "--blobPort", "{port}", "--inMemoryPersistence",
           "--skipApiVersionCheck", "--disableTelemetry"),
    "gs": ("gcp-storage-emulator", "start", "--host=127.0.0.1", "--port={port}", "--in-memory",
           "--default-bucket=synapses"),
}  # fmt: skip
PACKAGES = {"az": "adlfs", "gs": "gcsfs"}

pytestmark = pytest.mark.filterwarnings("default")  # those of the packages are not ours


@contextmanager
def running(kind, folder):
    """Run an emulator; yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [word.format(port=port) for word in COMMANDS[kind]]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(words, stdout=log, stderr=log, cwd=folder) as process,
    ):
        try:
            for _ in range(600):
                with socket.socket() as one:
                    if one.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()


@pytest.fixture(params=["az", "gs"])
def store(request, tmp_path_factory, monkeypatch):
    """The address of an empty bucket."""
    kind = request.param
    if importlib.util.find_spec(PACKAGES[kind]) is None or not shutil.which(COMMANDS[kind][0]):
        pytest.skip(f"{PACKAGES[kind]} or {COMMANDS[kind][0]} is not installed")
    with running(kind, tmp_path_factory.mktemp(kind)) as port:
        origin = f"http://127.0.0.1:{port}"
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", origin)
        monkeypatch.setenv("NO_GCE_CHECK", "true")  # no metadata server is asked for a login
        connection = (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={origin}/{ACCOUNT};"
        )
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
        monkeypatch.setattr(destinations, "_PATIENCE", 0.0)
        if kind == "az":
            fsspec.filesystem("az").mkdir("synapses")
        yield f"{kind}://synapses"
        fsspec.get_filesystem_class(kind).clear_instance_cache()


def test_the_same_objects_are_written(store, tmp_path, monkeypatch):
    """The objects are the files of a folder; a failed run is continued, and refused otherwise."""
    table = write_parquet(tmp_path / "rows.parquet", make_rows(500))
    run(tmp_path / "near", table)
    address = f"{store}/out"
    with monkeypatch.context() as patch:
        write = ObjectStore.write

        def fail_late(self, name, pieces):
            if name.endswith("info"):
                raise ServiceError("The store is away.", "Try again.")
            return write(self, name, pieces)

        patch.setattr(ObjectStore, "write", fail_late)
        with pytest.raises(ServiceError, match="is away"):
            run(address, table)
    with pytest.raises(UsageError, match="was not finished"):
        run(address, table)
    run(address, table, resume=True)
    system, root = fsspec.core.url_to_fs(address)
    found = {name.split("/out/")[1]: system.cat_file(name) for name in system.find(root)}
    assert found == read_files(tmp_path / "near")
    with pytest.raises(UsageError, match="already holds a published source"):
        run(address, table)
    kind = store.partition("://")[0]
    with pytest.raises(NotServedError, match="There is no bucket"):
        run(f"{kind}://nowhere/out", table)
