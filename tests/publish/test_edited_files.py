"""A manifest or an info file that was edited by hand is refused in a sentence, or still right."""

from __future__ import annotations

import copy
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from publish.tables import CELL, make_rows, read_files, run, write_parquet
from synglancer.cli.explaining import explain
from synglancer.errors import BadAnswerError
from synglancer.publish.source import open_source
from synglancer.publish.verify import verify

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST, INFO = "synglancer.json", "spine/info"
ODD = st.one_of(
    st.sampled_from(
        [None, True, False, "", "7", "spine", "..", "../x", [], {}, [[]], {"id": "pre"}, 0, -1, 1.5,
         1e308, -1e308, 10**30, -(10**30), 2**63, 2**64, 2**53, 7, "x" * 10_000, "\ud800", [1, 2],
         [0, 0, 0], [1e999] * 3, float("nan"), ["confidence"], ["size", "size"], "raw", "gzip"]
    ),
    st.integers(),
    st.text(max_size=5),
    st.recursive(st.none(), lambda inner: st.lists(inner, max_size=3), max_leaves=5),
)  # fmt: skip


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    rows = make_rows(60, tag=["spine", "spine", "shaft"] * 20)
    return write_parquet(tmp_path_factory.mktemp("table") / "rows.parquet", rows)


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "out"
    run(folder, table, counts=True)
    return folder


@pytest.fixture(scope="module")
def scratch(whole, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scratch") / "out"
    shutil.copytree(whole, folder)
    return folder


def list_places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for name, inner in items:
        yield (*place, name)
        yield from list_places(inner, (*place, name))


def edit(text: Any, place: tuple[Any, ...], value: Any) -> None:
    """Replace what is at a place, or remove it where there is no value (...)."""
    *outer, last = place
    for name in outer:
        text = text[name]
    if value is ...:
        del text[last]
    else:
        text[last] = value


def act(folder, table, do):
    """Do one of the things that read a source."""
    if do == "verify":
        return verify(str(folder), [table], 3).problems
    if do == "resume":
        return run(folder, table, counts=True, resume=True)
    source = open_source(str(folder))
    return [
        (source.count_rows(CELL), rows.tolist(), source.read_partners(rows["id"], *layer).tolist())
        for layer in source.layers
        for rows in [source.read_rows(CELL, *layer)]
    ]


@given(data=st.data(), name=st.sampled_from([MANIFEST, INFO]))
@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@pytest.mark.parametrize("do", ["verify", "resume", "read"])
def test_no_edit_is_a_bug(table, whole, scratch, do, data, name):
    """Whatever one field becomes, commands end with code 2 or 4, or work with what is there."""
    text = json.loads((whole / name).read_bytes())
    place = data.draw(st.sampled_from([*list_places(text)]))
    edit(text, place, data.draw(st.one_of(st.just(...), ODD)))
    content = json.dumps(text).encode()
    (scratch / name).write_bytes(content)
    code, said = 0, ["in order", "nothing to do"]
    try:
        act(scratch, table, do)
    except Exception as error:  # noqa: BLE001  # as the commands do
        code, *said = explain(error)
    assert code in {0, 2, 4}, (place, said)
    assert all(said)
    shutil.copy(whole / name, scratch / name)
    assert read_files(scratch) == read_files(whole)


@pytest.mark.parametrize(
    ("name", "place", "value"),
    [
        (MANIFEST, ("version",), "1718"),
        (MANIFEST, ("version",), 0),
        (MANIFEST, ("datastack",), 7),
        (MANIFEST, ("timestamp",), "yesterday"),
        (MANIFEST, ("tags",), {}),
        (MANIFEST, ("tags", 0), None),
        (MANIFEST, ("tags", 1, "tag"), ...),
        (MANIFEST, ("tags", 1, "folder"), "../other"),
        (MANIFEST, ("tags", 1, "folder"), "shaft"),
        (MANIFEST, ("tags", 1, "rows"), "12"),
        (MANIFEST, ("tags", 1, "rows"), -3),
        (MANIFEST, ("tags", 1, "rows"), 2.5),
        (MANIFEST, ("tags", 1, "rows"), {"spine": 3}),
        (MANIFEST, ("properties",), ["volume"]),
        (MANIFEST, ("lower_bound_nm",), [0, 0]),
        (MANIFEST, ("cells",), ["one"]),
        (INFO, ("by_id", "sharding", "minishard_bits"), "3"),
        (INFO, ("relationships", 0, "id"), "post"),
        (INFO, ("relationships", 1), ...),
        (INFO, ("dimensions", "x"), [4e-9, "m"]),
        (INFO, ("annotation_type",), "LINE"),
        (INFO, ("properties", 0), ...),
        (INFO, ("spatial",), []),
        (INFO, ("spatial", 0, "limit"), 0),
        (INFO, ("spatial", 0, "key"), "../spine/spatial0"),
        (INFO, ("spatial", 0, "grid_shape"), [2**40, 1, 1]),
        (INFO, ("spatial", 0, "chunk_size"), [1, 0, 1]),
        (INFO, ("spatial", 0, "grid_shape"), [10**30, 1, 1]),
        (INFO, ("upper_bound",), "far"),
    ],
)
def test_the_file_and_the_key_are_named(table, whole, tmp_path, name, place, value):
    """Links are refused, and verify says the same, with the file and the key that is wrong."""
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    text = json.loads((folder / name).read_bytes())
    edit(text, place, value)
    (folder / name).write_text(json.dumps(text))
    with pytest.raises(BadAnswerError) as caught:
        act(folder, table, "read")
    said = str(caught.value)
    assert said.startswith(f"{folder}/{name} has no valid value of ")
    assert str(place[0]) in said
    if name == MANIFEST:
        with pytest.raises(BadAnswerError, match="has no valid value of"):
            verify(str(folder))
    else:
        assert f"spine cannot be read: {said}" in verify(str(folder)).problems


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("rows",), "60"),
        (("rows",), None),
        (("tag_column",), ["tag"]),
        (("resolution_nm",), [4, 4]),
        (("input",), ...),
        (("input", "sha256"), 7),
        (("counts", "file"), "../cells.parquet"),
        (("counts", "cells"), -1),
        (("counts", "sha256"), ...),
    ],
)
def test_what_only_verify_and_resume_read_is_named_too(table, whole, tmp_path, place, value):
    """Fields that links do not need are checked where they are needed."""
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    text = json.loads((folder / MANIFEST).read_bytes())
    edit(text, place, value)
    (folder / MANIFEST).write_text(json.dumps(text))
    for do in ("verify", "resume"):
        with pytest.raises(BadAnswerError, match=f"has no valid value of {place[0]}"):
            act(folder, table, do)


def test_a_count_that_is_wrong_is_a_problem(whole, table, tmp_path):
    """A number that could be right, and is not, is found by counting."""
    folder = tmp_path / "out"
    shutil.copytree(whole, folder)
    text = json.loads((folder / MANIFEST).read_bytes())
    text["tags"][0]["rows"] += 1
    (folder / MANIFEST).write_text(json.dumps(text))
    problems = act(folder, table, "verify")
    assert any("The tags have 61 rows, but the manifest says 60." in one for one in problems)
    copied = copy.deepcopy(text)
    copied["counts"]["cells"] = 5
    (folder / MANIFEST).write_text(json.dumps(copied))
    assert any("cells.parquet: cells" in one for one in act(folder, table, "verify"))
