"""Links contain exactly what was put into them, in both forms, and records keep their contract."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.link import Link
from synglancer.states.record import Provenance
from synglancer.states.record_parts import Replacement
from synglancer.states.urls import (
    MAX_INLINE,
    ParsedLink,
    format_inline_link,
    format_link,
    parse_link,
    resolve_site,
)
from synglancer.view_settings import SITES

CELL = 864691135276234469
STATES = "https://global.daf-apis.com/nglstate/api/v1"
KEYS = [
    "cell",
    "given",
    "url",
    "state_url",
    "state_id",
    "state_sha256",
    "datastack",
    "version",
    "timestamp",
    "table",
    "counts",
    "shown",
    "total",
    "filters",
    "warnings",
    "elapsed_s",
]

hosts = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){1,2}(:[1-9][0-9]{0,3})?", fullmatch=True)
schemes = st.sampled_from(["https://", "http://"])
paths = st.from_regex(r"(/[A-Za-z0-9_.~-]{1,8}){0,3}/?(\?[a-z]=[0-9]{1,3})?", fullmatch=True)
sites = st.builds("{}{}{}".format, schemes, hosts, paths)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def example_link(**changes: object) -> Link:
    shown = Provenance(
        cell=CELL,
        datastack="minnie65_public",
        version=1718,
        timestamp=datetime(2026, 3, 7, 8, 10, 1, 190228, tzinfo=timezone.utc),
        table="synapse_target_predictions_ssa_v2",
        counts={"inputs": {"spine": 3, "shaft": 2}, "outputs": {}},
        shown=5,
        total=7,
        filters={"min_confidence": 0.9},
    )
    told = {field.name for field in fields(Provenance)} & set(changes)
    link = Link(
        given=f" {CELL}",
        url=f"https://spelunker.cave-explorer.org/#!middleauth+{STATES}/5",
        state_url=f"{STATES}/5",
        state_id="5",
        state_sha256="ab" * 32,
        provenance=replace(shown, **{name: changes.pop(name) for name in told}),
        warnings=("One sentence.",),
        elapsed_s=1.23456,
        state_json=b'{"layers":[]}',
    )
    return replace(link, **changes)


@given(sites, st.integers(1, 2**64 - 1), schemes, hosts)
def test_short_links_are_read_back(site, number, scheme, host):
    """For any viewer and state, reading a link gives the addresses that it was made of."""
    state_url = f"{scheme}{host}/nglstate/api/v1/{number}"
    link = format_link(site, state_url)
    parsed = parse_link(link)
    assert (parsed.state_url, parsed.state) == (state_url, None)
    assert format_link(parsed.site, state_url) == link
    assert parsed.site.removesuffix("/") == site.removesuffix("/")
    assert ("#!middleauth+https://" in link) == (scheme == "https://")
    assert parse_link(f"  {link}\n") == parsed


def test_the_production_form_is_exact():
    """The link for the public viewer and state server has the form that they document."""
    assert format_link(SITES["spelunker"], f"{STATES}/5931234") == (
        "https://spelunker.cave-explorer.org/#!middleauth+"
        "https://global.daf-apis.com/nglstate/api/v1/5931234"
    )
    assert format_link("http://127.0.0.1:80/v/x/", "http://127.0.0.1:80/nglstate/api/v1/5") == (
        "http://127.0.0.1:80/v/x/#!http://127.0.0.1:80/nglstate/api/v1/5"
    )


@pytest.mark.parametrize(
    ("site", "start"),
    [
        ("https://a.org", "https://a.org/#!"),
        ("https://a.org/", "https://a.org/#!"),
        ("https://a.org/view", "https://a.org/view#!"),
        ("https://a.org/view/", "https://a.org/view/#!"),
        ("https://a.org?x=1", "https://a.org?x=1#!"),
    ],
)
def test_a_slash_is_added_only_to_a_bare_host(site, start):
    """A viewer's address with a path or a query is used unchanged."""
    assert format_link(site, f"{STATES}/5").startswith(start)


@given(sites, st.dictionaries(texts, st.one_of(texts, st.integers(0, 2**53), st.none())))
def test_inline_links_are_read_back(site, content):
    """The state in a link comes back byte for byte: Unicode, quotes, percent signs, line breaks."""
    state = orjson.dumps(content)
    link = format_inline_link(site, state)
    parsed = parse_link(link)
    assert parsed.state == state
    assert parsed.state_url is None
    assert link.isascii()
    assert link.isprintable()
    assert not set(link) & set(" <>\"'`{}|\\^()[]")


def test_a_link_that_a_browser_would_not_open_is_refused():
    """A link longer than browsers open is an error instead of a blank page."""
    site = "https://a.org/"
    room = MAX_INLINE - len(site) - len("#!")
    state = b'{"a":"%s"}'
    fits = state % (b"x" * (room - len("%7B%22a%22:%22%22%7D")))
    assert len(format_inline_link(site, fits)) == MAX_INLINE
    with pytest.raises(UsageError, match=r"2,000,001 characters") as caught:
        format_inline_link(site, fits.replace(b"x", b"xx", 1))
    assert "--inline" in caught.value.hint


@pytest.mark.parametrize(
    "url",
    [
        "",
        "864691135276234469",
        "https://spelunker.cave-explorer.org/",
        "https://spelunker.cave-explorer.org/#5",
        "https://spelunker.cave-explorer.org/#!",
        "https://spelunker.cave-explorer.org/#!middleauth+",
        "https://spelunker.cave-explorer.org/#!middleauth+ftp://x/5",
        "https://spelunker.cave-explorer.org/#!nonsense",
        "https://spelunker.cave-explorer.org/#!%5B1%5D",
        "#!{}",
        "javascript:alert(1)#!{}",
        "ftp://a.org/#!{}",
        "https://u:p@a.org/#!{}",
    ],
)
def test_what_is_no_link_is_refused(url):
    """Other texts are refused with an error and a hint."""
    with pytest.raises(UsageError, match="Neuroglancer link"):
        parse_link(url)


@given(st.sampled_from(["{}", "https://a.org/#!{}"]), st.text())
def test_any_text_is_a_link_or_two_sentences(form, text):
    """No text raises any other exception."""
    try:
        assert isinstance(parse_link(form.format(text)), ParsedLink)
    except UsageError as error:
        assert error.hint  # noqa: PT017  # both outcomes are right


def test_the_viewer_is_the_one_asked_for_else_the_datastacks_else_spelunker():
    """Names are looked up and addresses used, but an invalid address from a server is never
    linked."""
    assert resolve_site("google", "https://own.org") == SITES["google"]
    assert resolve_site("https://mine.org", "https://own.org") == "https://mine.org"
    assert resolve_site(None, "https://own.org") == "https://own.org"
    for bad in (None, "", "javascript:alert(1)", "own.org", "https://a.org/\x1b[2J", "https://u@h"):
        assert resolve_site(None, bad) == SITES["spelunker"]


def test_a_record_has_the_keys_of_the_contract():
    """The JSON has exactly the documented keys, in order; 64-bit IDs are strings."""
    record = example_link().to_record()
    assert list(record) == KEYS
    assert record["cell"] == str(CELL)
    assert record["state_id"] == "5"
    assert record["timestamp"] == "2026-03-07T08:10:01.190228Z"
    assert list(record["counts"]["inputs"]) == ["shaft", "spine"]
    assert record["counts"]["outputs"] == {}
    assert record["elapsed_s"] == 1.235
    read = json.loads(orjson.dumps(record), parse_float=str)
    assert max(v for v in read.values() if isinstance(v, int)) < 2**53


@given(
    st.integers(1, 2**64 - 1),
    texts,
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  # zones come next
    st.sampled_from([timezone.utc, timezone(timedelta(hours=-8))]),
    st.dictionaries(texts, st.integers(0, 10**6)),
    st.lists(texts),
    st.lists(st.integers(1, 2**64 - 1), max_size=3),
)
def test_a_record_makes_the_link_again(cell, given_text, timestamp, zone, counts, warnings, others):
    """A link stays the same through JSON and back."""
    link = example_link(
        cell=cell,
        cells=tuple(dict.fromkeys([cell, *others])),
        followed=tuple(Replacement(1, other) for other in others),
        given=given_text,
        timestamp=timestamp.replace(tzinfo=zone),
        counts={"inputs": counts},
        warnings=warnings,
        elapsed_s=0.5,
    )
    record = orjson.loads(orjson.dumps(link.to_record()))
    assert Link.from_record(record, link.state_json) == link
    assert Link.from_record(record, b"{}", given="other").given == "other"


def test_an_inline_link_has_no_state_on_a_server():
    """Without an upload, address and number are null."""
    record = example_link(state_url=None, state_id=None).to_record()
    assert (record["state_url"], record["state_id"]) == (None, None)


def test_counts_are_a_table():
    """Counts are a DataFrame of the documented form, even if empty."""
    counts = example_link().counts
    assert counts.to_numpy().tolist() == [["inputs", "spine", 3], ["inputs", "shaft", 2]]
    for frame in (counts, example_link(counts={"inputs": {}}).counts):
        assert [str(kind) for kind in frame.dtypes] == ["object", "object", "int64"]
        assert list(frame.columns) == ["direction", "tag", "count"]


def test_a_link_prints_as_its_url_and_shows_as_a_card():
    """print(link) prints the URL; Jupyter shows the card; repr leaves out the state."""
    link = example_link()
    assert str(link) == link.url
    assert link.url in link._repr_html_()
    assert link.url in link._repr_markdown_()
    assert "layers" not in repr(link)
    assert repr(link).startswith("<Link to ")
    assert len(repr(link)) < 120
    assert link.state == {"layers": []}
    assert len(link.predictions) == 0


def test_links_are_read_without_pandas():
    """Reading and writing links needs none of the heavy libraries."""
    code = (
        "import sys, synglancer.link, synglancer.cache.answers, synglancer.cave.http\n"
        "heavy = {'pandas', 'numpy', 'nglui', 'neuroglancer', 'caveclient', 'pyarrow', 'jinja2'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
