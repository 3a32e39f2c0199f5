"""A data folder with the recorded rows, and sandboxes that serve it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cave_sandbox.server import Sandbox, SandboxOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DATA = Path(__file__).parent.parent / "data" / "wire"
RECORDED_ORIGIN = "http://127.0.0.1:9100"
DATASTACK = "minnie65_public"
SYNAPSES = "synapses_pni_2"
PREDICTIONS = "synapse_target_predictions_ssa_v2"
NUCLEI = "nucleus_detection_v0"
SPINES = "synapse_spine_mapping_v2"

#: Bodies that hold whole rows: all predictions with their synapses (in voxels), all inputs of the
#: seed cell (in nm), the first nuclei (in voxels).
ALL_PREDICTIONS = "bodies/97c2ff2662a7.arrow"
ALL_INPUTS = "bodies/f25f72291e94.arrow"
SOME_NUCLEI = "bodies/f50f820571ca.arrow"
#: The seed cell's inputs with the confidence as the database has it; others have it with 32 bits.
FULL_VALUES = "bodies/4952ecc1f40f.arrow"


def read_exchange(beginning: str) -> dict[str, Any]:
    """Return the first recorded exchange whose ID begins like this."""
    for line in (DATA / "exchanges.jsonl").read_text("utf-8").splitlines():
        exchange: dict[str, Any] = json.loads(line)
        if exchange["id"].startswith(beginning):
            return exchange
    raise KeyError(beginning)


def read_stream(name: str) -> pa.Table:
    """Return the table in a recorded body."""
    return pa.ipc.open_stream((DATA / name).read_bytes()).read_all()


def write_folder(folder: Path) -> None:
    """Write the recorded rows as a data folder."""
    (folder / "tables").mkdir(parents=True)
    joined = read_stream(ALL_PREDICTIONS)
    own = ["id", "created", "tag", "valid", "target_id", "value"]
    predictions = _with_full_values(joined.select(own))
    pq.write_table(predictions, folder / "tables" / f"{PREDICTIONS}.parquet")
    inputs = _in_voxels(read_stream(ALL_INPUTS).drop_columns("superceded_id"))
    others = joined.drop_columns(own).rename_columns(
        [name.removesuffix("_ref") for name in joined.drop_columns(own).column_names]
    )
    new = pc.invert(pc.is_in(others["id"], inputs["id"]))
    synapses = pa.concat_tables(
        [
            inputs.replace_schema_metadata(),
            others.filter(new).select(inputs.column_names).replace_schema_metadata(),
        ]
    )
    pq.write_table(synapses, folder / "tables" / f"{SYNAPSES}.parquet")
    nuclei = read_stream(SOME_NUCLEI)
    pq.write_table(nuclei, folder / "tables" / f"{NUCLEI}.parquet")
    (folder / "datastack.json").write_text(json.dumps(_description()), encoding="utf-8")


def _with_full_values(predictions: pa.Table) -> pa.Table:
    full = read_stream(FULL_VALUES)
    known = dict(zip(full["id"].to_pylist(), full["value"].to_pylist(), strict=True))
    rows = zip(predictions["target_id"].to_pylist(), predictions["value"].to_pylist(), strict=True)
    values = pa.array([known.get(target, value) for target, value in rows], pa.float64())
    place = predictions.column_names.index("value")
    return predictions.set_column(place, "value", values)


def _in_voxels(table: pa.Table) -> pa.Table:
    for axis, size in zip("xyz", (4, 4, 40), strict=True):
        for name in [name for name in table.column_names if name.endswith(f"_position_{axis}")]:
            voxels = pc.divide(table[name], pa.scalar(size, pa.int32()))
            table = table.set_column(table.column_names.index(name), name, voxels)
    return table


def _description() -> dict[str, Any]:
    info = read_exchange("alt/0031")["response_json"]
    short = read_exchange("info/0297")["response_json"]
    # The recorded server's own address stands for the sandbox's.
    info = json.loads(json.dumps(info).replace(RECORDED_ORIGIN, "{origin}"))
    versions = read_exchange("alt/0086")["response_json"]
    versions.append(read_exchange("err/0146")["response_json"])
    tables = {}
    for name, exchange in ((SYNAPSES, "alt/0044"), (PREDICTIONS, "alt/0043"), (NUCLEI, "alt/0069")):
        record = read_exchange(exchange)["response_json"]
        size = [record.pop(f"voxel_resolution_{axis}") for axis in "xyz"]
        del record["table_name"], record["schema_type"]
        tables[name] = {**record, "voxel_resolution": size}
    assert short["name"] == DATASTACK
    return {
        "name": DATASTACK,
        "info": info,
        "versions": [
            {**item, "tables": None if item["version"] == 1718 else []} for item in versions
        ],
        "tables": tables,
    }


def write_live_folder(folder: Path) -> None:
    """Write the rows that the suite ``live`` was recorded with; values that no answer shows are
    invented."""
    (folder / "tables").mkdir(parents=True)
    (folder / "views").mkdir()
    whole = [_frame(name) for name in ("live/0085", "live/0086")]
    spines = pd.concat([_frame(f"live/{number}") for number in ("0072", "0073", "0074")])
    spines = spines.drop_duplicates("id")
    synapses = pd.concat([*whole, spines.drop(columns="group_id")]).drop_duplicates("id")
    synapses["size"] = synapses["size"].fillna(0.0)
    for axis, size in zip("xyz", (4, 4, 40), strict=True):
        voxels = synapses[f"ctr_pt_position_{axis}"].fillna(0).astype("int64") // size
        for point in ("pre", "ctr", "post"):
            synapses[f"{point}_pt_position_{axis}"] = voxels
    predictions = pd.concat([_frame("live/0017"), _frame("live/0019")]).drop_duplicates("id")
    predictions = predictions.rename(columns={"id": "target_id", "id_ref": "id"})
    spines = spines.rename(columns={"id": "target_id"})[["target_id", "group_id"]]
    spines.insert(0, "id", range(1, len(spines) + 1))
    nuclei = _frame("live/0053")
    for axis, size in zip("xyz", (4, 4, 40), strict=True):
        nuclei[f"pt_position_{axis}"] //= size
        nuclei[[f"bb_start_position_{axis}", f"bb_end_position_{axis}"]] = 0
    nuclei["volume"] = 0.0
    view = _frame("live/0054")
    view[["broad_type", "mtype"]] = "made up"
    view[[*(f"pt_position_{axis}" for axis in "xyz")]] = 0
    view["volume"] = 0.0
    order = [
        "id", *(f"pt_position_{axis}" for axis in "xyz"), "pt_supervoxel_id", "pt_root_id",
        "volume", "broad_type", "cell_type", "mtype",
    ]  # fmt: skip
    view[order].to_parquet(folder / "views" / "aibs_cell_info.parquet")
    columns = ["id", "target_id", "tag", "value"]
    for name, frame in (
        (SYNAPSES, synapses),
        (PREDICTIONS, predictions[columns]),
        (SPINES, spines),
        (NUCLEI, nuclei),
    ):
        frame.to_parquet(folder / "tables" / f"{name}.parquet", index=False)
    (folder / "datastack.json").write_text(json.dumps(_live_description()), encoding="utf-8")


def _frame(exchange: str) -> pd.DataFrame:
    return read_stream(read_exchange(exchange)["response_file"]).to_pandas()


def _live_description() -> dict[str, Any]:
    served = read_exchange("live/0004")["response_json"]
    tables: dict[str, Any] = {NUCLEI: {"schema": "nucleus_detection"}}
    for name, exchange in ((PREDICTIONS, "live/0049"), (SPINES, "live/0066")):
        record = read_exchange(exchange)["response_json"]
        size = [record.pop(f"voxel_resolution_{axis}") for axis in "xyz"]
        del record["table_name"], record["schema_type"]
        tables[name] = {**record, "voxel_resolution": size}
    return {
        "name": DATASTACK,
        "info": {"aligned_volume": {"name": "minnie65"}},
        "versions": [*served, read_exchange("live/0002")["response_json"]],
        "tables": tables,
        "views": {"aibs_cell_info": {"notice_text": "Cite the Allen."}},
    }


@pytest.fixture(scope="session")
def recorded_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "data"
    write_folder(folder)
    return folder


@pytest.fixture(scope="session")
def live_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("live") / "data"
    write_live_folder(folder)
    return folder


@pytest.fixture(scope="session")
def serve(recorded_folder, live_folder, tmp_path_factory) -> Iterator[Callable[..., Sandbox]]:
    """Start sandboxes with the recorded rows; each setting is served once."""
    running: dict[str, Sandbox] = {}

    def start(*, live: bool = False, **options: Any) -> Sandbox:
        key = repr([live, *sorted(options.items())])
        if key not in running:
            given = SandboxOptions(
                data=live_folder if live else recorded_folder,
                states=tmp_path_factory.mktemp("states") / "states.db",
                token="GOOD_TOKEN",
                no_permission_token="NO_PERMISSION_TOKEN",
                missing_tos_token="MISSING_TOS_TOKEN",
                **options,
            )
            running[key] = Sandbox(given)
            running[key].start()
        return running[key]

    yield start
    for sandbox in running.values():
        sandbox.stop()


@pytest.fixture
def compare_streams() -> Callable[..., None]:
    return compare_two


def compare_two(recorded: bytes, actual: bytes, *, all_rows: pa.Table | None) -> None:
    """Compare two Arrow streams; with ``all_rows``, any of these may be the returned ones."""
    assert _compression(actual) == _compression(recorded)
    expected = pa.ipc.open_stream(recorded).read_all()
    found = pa.ipc.open_stream(actual).read_all()
    assert found.schema.names == expected.schema.names
    assert found.schema.types == expected.schema.types
    assert _pandas_metadata(found) == _pandas_metadata(expected)
    assert found.num_rows == expected.num_rows
    if all_rows is None:
        assert _rows(found) == _rows(expected)
    else:
        assert not _rows(found) - _rows(all_rows)


def _rows(table: pa.Table) -> Counter[tuple[Any, ...]]:
    columns = [column.to_pylist() for column in table.columns]
    return Counter(zip(*columns, strict=True))


def _pandas_metadata(table: pa.Table) -> dict[str, Any]:
    """Return the metadata without the versions of libraries, which depend on the installation."""
    described: dict[str, Any] = json.loads(table.schema.metadata[b"pandas"])
    assert described.pop("creator")["library"] == "pyarrow"
    assert described.pop("pandas_version")
    return described


def _compression(stream: bytes) -> str | None:
    """Return the compression of a stream's buffers, by the magic numbers of its frames."""
    if b"\x28\xb5\x2f\xfd" in stream:
        return "zstd"
    return "lz4" if b"\x04\x22\x4d\x18" in stream else None
