"""Links on a published source are refused where the source or the viewer cannot show them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from links.published import publish
from publish.sample import edit_manifest, serve
from synglancer.errors import ServiceError, UsageError
from synglancer.links.kinds.source_checks import (
    check_options,
    check_reach,
    list_shown_tags,
    open_asked_source,
    settle,
)
from synglancer.publish.manifest import Manifest, TagSource
from synglancer.publish.source import open_source
from synglancer.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from synglancer.publish.source import Source

ADDRESS = "https://data.example.org/source"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publish(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def served(folder: Path) -> Iterator[str]:
    with serve(folder) as url:
        yield url


def manifest_of(*tags: str, **changes: Any) -> Manifest:
    facts = {"datastack": "minnie65_public", "version": 943, "table": "predictions_v7", **changes}
    listed = tuple(TagSource(tag, f"t{place}", 5) for place, tag in enumerate(tags or ("spine",)))
    bounds = {"lower_bound": (0.0, 0.0, 0.0), "upper_bound": (9.0, 9.0, 9.0)}
    properties = facts.pop("properties", ("confidence", "size"))
    return Manifest(timestamp=None, tags=listed, properties=properties, **facts, **bounds)


def ask(**options: Any) -> Settings:
    return Settings(source=ADDRESS, **options)


@pytest.mark.parametrize("form", ["{}", "{}/", "precomputed://{}", "precomputed://{}//"])
def test_a_source_is_read_and_named_at_its_address(served, form) -> None:
    """However it was copied from a viewer or a terminal."""
    source, address = open_asked_source(Settings(source=form.format(served)))
    assert (source.address, address) == (served, served)
    assert source.manifest.version == 1718


def test_the_limits_of_requests_hold_for_the_sources_server(served, folder, monkeypatch) -> None:
    """--timeout and --concurrency are not only for CAVE; a folder needs no server."""
    opened = []

    def spy(*given: Any) -> Source:
        opened.append(given)
        return open_source(*given)

    monkeypatch.setattr("synglancer.links.kinds.source_checks.open_source", spy)
    settings = Settings(source=served, timeout=7.0, concurrency=3)
    open_asked_source(settings)
    open_asked_source(replace(settings, source=str(folder), public_url=served))
    assert opened == [(served, 7.0, 3), (str(folder),), (served, 7.0)]


def test_only_slashes_are_taken_from_the_end_of_a_name(tmp_path) -> None:
    """Other characters belong to it."""
    folder = publish(tmp_path).rename(tmp_path / "DOUBLEX")
    with serve(tmp_path) as root:
        address = f"{root}/DOUBLEX"
        assert open_asked_source(Settings(source=f"{address}/"))[1] == address
        settings = Settings(source=f"{folder}/", public_url=f"{address}/")
        source, public = open_asked_source(settings)
    assert (source.address, public) == (str(folder), address)


@pytest.mark.parametrize("form", ["{}", "{}/", "precomputed://{}"])
def test_a_folder_is_read_here_and_by_viewers_at_its_public_address(folder, served, form) -> None:
    """The synapses are counted without requests, and the link names the public address."""
    settings = Settings(source=form.format(folder), public_url=f"{served}/")
    source, address = open_asked_source(settings)
    assert (source.address, address) == (str(folder), served)


def test_a_folder_alone_is_refused(folder) -> None:
    """The error says how to serve it."""
    with pytest.raises(UsageError, match="Viewers cannot read the folder") as caught:
        open_asked_source(Settings(source=str(folder)))
    assert f"`synglancer serve {folder}`" in caught.value.hint


@pytest.mark.parametrize(
    ("source", "public", "words"),
    [
        (ADDRESS, "https://other.example.org/", "was given by its address, but --public-url"),
        ("gs://bucket/some/source", ADDRESS, "was given by its address, but --public-url"),
        ("s3://bucket", None, "Viewers cannot read s3://bucket."),
        ("ftp://a.org/source", ADDRESS, "Viewers cannot read ftp://a.org/source."),
    ],
)
def test_an_address_is_enough_and_must_be_one_that_viewers_read(source, public, words) -> None:
    """A public bucket has an address, so that no other one is needed."""
    with pytest.raises(UsageError, match=words):
        open_asked_source(Settings(source=source, public_url=public))


def test_another_source_at_the_public_address_is_refused(folder, tmp_path) -> None:
    """A copy that was not renewed would show other synapses than the link counts; a folder that
    does not exist is refused before."""
    other = publish(tmp_path)
    edit_manifest(other, version=1822)
    with serve(other) as address:
        with pytest.raises(UsageError, match=f"{address} serves a different source from"):
            open_asked_source(Settings(source=str(folder), public_url=address))
        with pytest.raises((UsageError, ServiceError), match="nowhere"):
            open_asked_source(Settings(source=str(tmp_path / "nowhere"), public_url=address))


def test_what_was_not_asked_for_comes_from_the_source() -> None:
    """The version and the table are the source's; the link carries its state unless --upload."""
    settled = settle(ask(), manifest_of(), ADDRESS)
    assert (settled.version, settled.table) == (943, "predictions_v7")
    assert (settled.inline, settled.soft_filter) == (True, False)
    asked = ask(upload=True, min_confidence=0.5, version=943, table="predictions_v7")
    settled = settle(asked, manifest_of(), ADDRESS)
    assert (settled.version, settled.table) == (943, "predictions_v7")
    assert (settled.inline, settled.soft_filter) == (False, True)


@pytest.mark.parametrize("asked", [{}, {"table": "any"}])
def test_a_source_of_a_table_without_a_name_takes_any_name(asked) -> None:
    """A published file need not be a table of CAVE, and the name is as it was given."""
    assert settle(ask(**asked), manifest_of(table=None), ADDRESS).table == asked.get("table")


@pytest.mark.parametrize(
    ("asked", "words", "option"),
    [
        ({"datastack": "other", "version": 943}, "datastack minnie65_public, but other", None),
        ({"version": 1718}, "version 943, but 1718 was requested", "--version 943"),
        ({"version": "latest"}, "version 943, but latest was requested", "--version 943"),
        ({"table": "other"}, "table predictions_v7, but other", "--table predictions_v7"),
    ],
)
def test_a_source_of_something_else_is_refused(asked, words, option) -> None:
    """The error names both, and the option that agrees with the source."""
    with pytest.raises(UsageError, match=f"The source {ADDRESS} has the {words}") as caught:
        settle(ask(**asked), manifest_of(), ADDRESS)
    assert (option or "--datastack minnie65_public") in caught.value.hint


@pytest.mark.parametrize("where", ["source", "publish_to"])
def test_an_option_that_layers_on_a_source_lack_is_named(where) -> None:
    """With the option that the link would have to be made without."""
    settings = Settings(**{where: ADDRESS}, min_size=5.0)
    with pytest.raises(UsageError, match="do not support --min-size") as caught:
        check_options(settings)
    assert f"without --{where.replace('_', '-')}." in caught.value.hint
    check_options(Settings(**{where: ADDRESS}, min_confidence=0.5, tag=("spine",), partners=3))
    with pytest.raises(UsageError, match="--max-confidence"):
        settle(ask(max_confidence=0.5), manifest_of(), ADDRESS)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"with_unlabelled": True}, "no synapses without a prediction"),
        ({"tag": ("spine", "Spine", "odd")}, "The source has no tag 'Spine'"),
        ({"tag": ("unlabelled",)}, "The source has no tag 'unlabelled'"),
        ({"min_confidence": 0.1}, "The source has no confidences"),
        ({"color_by": "confidence"}, "The source has no confidences"),
    ],
)
def test_what_the_source_does_not_hold_is_refused(asked, words) -> None:
    """A link would otherwise lack a layer or a slider without a word."""
    bare = manifest_of("shaft", "spine", properties=("size",))
    with pytest.raises(UsageError, match=words) as caught:
        settle(ask(**asked), bare, ADDRESS)
    assert "tag" not in asked or caught.value.hint == "Choose from 'shaft', 'spine'."
    settle(ask(tag=("spine", "shaft")), bare, ADDRESS)
    settle(ask(**asked) if "tag" not in asked else ask(), manifest_of("unlabelled"), ADDRESS)


@pytest.mark.parametrize(
    ("asked", "tags"),
    [
        ({}, ["shaft", "spine"]),
        ({"with_unlabelled": True}, ["shaft", "unlabelled", "spine"]),
        ({"tag": ("spine",)}, ["spine"]),
        ({"tag": ("spine", "shaft")}, ["shaft", "spine"]),
        ({"tag": ("spine",), "with_unlabelled": True}, ["unlabelled", "spine"]),
        ({"tag": ("unlabelled",)}, ["unlabelled"]),
    ],
)
def test_layers_are_made_for_the_tags_that_were_asked_for(asked, tags) -> None:
    """In the order of the source; synapses without a prediction only if they were asked for."""
    source = manifest_of("shaft", "unlabelled", "spine")
    assert list_shown_tags(ask(**asked), source) == tags


@pytest.mark.parametrize(
    ("address", "site", "told"),
    [
        ("https://data.org/s", "https://viewer.org/", 0),
        ("http://data.org/s", "http://viewer.org/", 0),
        ("http://127.0.0.1:8000/s", "http://localhost:9000/v/", 0),
        ("http://127.0.0.1:8000/s", "https://viewer.org/", 1),
        ("https://localhost/s", "https://viewer.org/", 1),
        ("http://[::1]:8000/s", "http://viewer.org/", 1),
        ("http://data.org/s", "https://viewer.org/x", UsageError),
        ("http://data.org/s", "https://localhost/x", UsageError),
    ],
)
def test_a_source_that_a_viewer_cannot_reach_is_told_or_refused(address, site, told) -> None:
    """Browsers block plain http in pages over https, except from this machine, which nobody else
    can reach."""
    if told is UsageError:
        with pytest.raises(UsageError, match=f"read {address}, because") as caught:
            check_reach(address, site)
        assert site.split("/")[2] in str(caught.value)
        return
    found = check_reach(address, site)
    assert len(found) == told
    assert all(f"the source at {address}," in one for one in found)
