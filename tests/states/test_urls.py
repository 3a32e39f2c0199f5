"""Links in all existing forms: encoded once, twice or not at all, with an address or a file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.states.url_safe import to_json
from synglancer.states.urls import (
    find_bucket_url,
    format_inline_link,
    format_properties_source,
    has_hash,
    hash_state,
    is_link,
    parse_link,
)
from synglancer.view_settings import SITES

if TYPE_CHECKING:
    from pathlib import Path

SITE = "https://viewer.example.org/"
SHADER = {
    "layers": [{"type": "image", "name": "i", "source": "x", "shader": "#uicontrol float a\n#!{"}]
}
SEGMENTS = {
    "layers": [
        {"type": "segmentation", "name": "s", "source": "x", "segments": ["864691135276234469"]}
    ]
}


@pytest.mark.parametrize(
    ("fragment", "address"),
    [
        ("middleauth+https://example.org/nglstate/5", "https://example.org/nglstate/5"),
        ("https://example.org/nglstate/5", "https://example.org/nglstate/5"),
        ("https%3A%2F%2Fexample.org%2Fnglstate%2F5", "https://example.org/nglstate/5"),
        ("https%253A%252F%252Fexample.org%252Fnglstate%252F5", "https://example.org/nglstate/5"),
        (
            "gs://some-bucket/explore.json",
            "https://storage.googleapis.com/some-bucket/explore.json",
        ),
        ("s3://some-bucket/a/b.json", "https://some-bucket.s3.amazonaws.com/a/b.json"),
        (
            "gs://some-bucket/a%20b/~x@y+(z).json",
            "https://storage.googleapis.com/some-bucket/a%20b/~x@y+(z).json",
        ),
    ],
)
def test_addresses_of_states(fragment, address) -> None:
    """A stored state is found over http, also behind a login or in a public bucket."""
    parsed = parse_link(f"{SITE}#!{fragment}")
    assert (parsed.site, parsed.state_url, parsed.state) == (SITE, address, None)


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("gs://bucket/a b/c", "https://storage.googleapis.com/bucket/a%20b/c"),
        ("s3://bucket/c", "https://bucket.s3.amazonaws.com/c"),
        ("gs://bucket", None),
        ("gs://bucket/", None),
        ("gs:///c", None),
        ("s3:///c", None),
        ("https://bucket/c", None),
    ],
)
def test_files_in_public_buckets_have_addresses(address, found) -> None:
    """A bucket needs its name, and a file in it."""
    assert find_bucket_url(address) == found


def test_properties_that_need_a_login_say_so() -> None:
    """Viewers log in over https only."""
    address = "https://cave.org/property/1"
    assert format_properties_source(address) == f"precomputed://middleauth+{address}"
    local = "http://127.0.0.1/property/1"
    assert format_properties_source(local) == f"precomputed://{local}"


def test_the_older_way_to_name_an_address() -> None:
    """A link with json_url in its query gives the state's address."""
    parsed = parse_link(f"{SITE}?json_url=https://example.org/nglstate/5409525645443072")
    assert parsed.state_url == "https://example.org/nglstate/5409525645443072"
    parsed = parse_link(f"{SITE}?json_url=https://example.org/state?version=3")
    assert (parsed.site, parsed.state_url) == (SITE, "https://example.org/state?version=3")


@pytest.mark.parametrize("encodings", [0, 1, 2, 3])
def test_a_state_in_the_link(encodings) -> None:
    """A state comes back complete, however often its link was encoded on its way."""
    fragment = orjson.dumps(SHADER).decode()
    for _ in range(encodings):
        fragment = quote(fragment, safe="")
    parsed = parse_link(f" {SITE}#!{fragment}\n")
    assert (parsed.site, parsed.state_url) == (SITE, None)
    assert orjson.loads(parsed.state or b"") == SHADER


@pytest.mark.parametrize(
    ("title", "read"), [("%2541", "%41"), ("%FF", "%FF"), ("5%", "5%"), ("%5C%22", '"')]
)
def test_a_percent_sign_is_decoded_once_where_that_is_possible(title, read) -> None:
    """An escape within a text is left where viewers leave it, even if it stands for no letter."""
    state = parse_link(f'{SITE}#!{{"layers":[],"title":"{title}"}}').state
    assert orjson.loads(state or b"")["title"] == read


@pytest.mark.parametrize(
    "fragment",
    [
        quote(orjson.dumps(SHADER).decode(), safe=":#!"),
        quote(orjson.dumps(SEGMENTS).decode(), safe=":,[]"),
        orjson.dumps(SEGMENTS).decode().replace('"', "%22"),
    ],
)
def test_characters_that_some_programs_leave_bare(fragment) -> None:
    """A bare '#' and bare brackets within the fragment belong to the state."""
    state = orjson.loads(parse_link(f"{SITE}#!{fragment}").state or b"")
    assert state["layers"][0]["source"] == "x"


OLD = (
    r"{'layers':[{'type':'image'_'name':'a_b'_'source':'x'}]"
    r"""_'title':'it\'s "q"'_'position':[1_2]}"""
)


@pytest.mark.parametrize("encode", [str, quote, lambda text: quote(quote(text))])
@pytest.mark.parametrize("beginning", ["", "+"])
@pytest.mark.parametrize("old", [OLD, OLD.replace("_'", "&'").replace("1_2", "1,2")])
def test_the_quotes_and_commas_of_older_viewers(encode, beginning, old) -> None:
    """A state with single quotes, and with underscores for commas, is read as viewers read it."""
    state = orjson.loads(parse_link(f"{SITE}#!{encode(beginning + old)}").state or b"")
    layer = {"type": "image", "name": "a_b", "source": "x"}
    assert state == {"layers": [layer], "title": 'it\'s "q"', "position": [1, 2]}


@given(st.text())
def test_any_text_comes_back_from_single_quotes(text) -> None:
    """Any text between single quotes is read back unchanged."""
    double = orjson.dumps(text).decode()[1:-1]
    single = double.replace('\\"', '"').replace("'", "\\'")
    assert orjson.loads(to_json(f"{{'a_b':'{single}'_'c':[1_2]}}")) == {"a_b": text, "c": [1, 2]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_a_state_from_an_editor(tmp_path: Path, encoding) -> None:
    """A byte-order mark, or UTF-16, does not matter."""
    path = tmp_path / "state.json"
    path.write_text(orjson.dumps({**SEGMENTS, "title": "µ"}).decode(), encoding=encoding)
    assert orjson.loads(parse_link(str(path)).state or b"") == {**SEGMENTS, "title": "µ"}
    path.write_bytes(b'{"layers": [], "title": "\xff"}')
    assert parse_link(str(path)).state == path.read_bytes()


texts = st.recursive(st.text() | st.integers(0, 9), lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(st.text(), texts, max_size=4))
def test_our_inline_links_come_back(more) -> None:
    """A state put into a link is read back from it, whatever its texts hold."""
    state = orjson.dumps({"layers": [], "more": more})
    assert parse_link(format_inline_link(SITE, state)).state == state


@pytest.mark.parametrize(
    "text", [f" {SITE}#!gs://bucket/a.json", f"{SITE}?json_url=https://example.org/5\n"]
)
def test_what_looks_like_a_link(text) -> None:
    """Either way to name a state makes a link, whatever stands around it."""
    assert is_link(text)


def test_a_state_is_known_by_its_values() -> None:
    """White space and the order of keys do not change the hash of a state; other text has none."""
    canonical = b'{"a":[2],"b":1}'
    assert hash_state(b' {"b": 1, "a": [2]}\n') == hashlib.sha256(canonical).hexdigest()
    assert hash_state(canonical) != hash_state(b'{"a":[2],"b":"1"}')
    assert hash_state(b"{") is None
    known = hash_state(canonical) or ""
    states = (canonical, b' {"b": 1, "a": [2]}\n', b'{"a":[2],"b":"1"}', b"{")
    assert [has_hash(state, known) for state in states] == [True, True, False, False]


def test_a_file_that_cannot_be_read(tmp_path: Path, monkeypatch) -> None:
    """The file is named, with what is wrong with it and what to give instead."""
    path = tmp_path / "state.json"
    path.write_bytes(b"{}" + b" " * 8_000_001)
    monkeypatch.setattr("synglancer.states.urls.MAX_STATE", 8_000_003)
    assert parse_link(str(path)).state == path.read_bytes()
    monkeypatch.setattr("synglancer.states.urls.MAX_STATE", 8_000_002)
    with pytest.raises(UsageError) as refused:
        parse_link(str(path))
    assert str(refused.value) == (
        f"The file {path} is larger than 8 MB, and no state server accepts such a file."
    )
    assert refused.value.hint == "Give a file with a Neuroglancer state."

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)
    path.write_bytes(b"{}")
    with pytest.raises(UsageError) as refused:
        parse_link(str(path))
    assert str(refused.value) == f"The file {path} cannot be read: Permission denied."
    assert refused.value.hint == (
        "Give a file with a Neuroglancer state, such as one from `make-link --save-state`."
    )


def test_a_file_of_a_state(tmp_path: Path) -> None:
    """The path of a JSON file stands for the state in it."""
    path = tmp_path / "state.JSON"
    path.write_bytes(orjson.dumps(SHADER))
    assert is_link(str(path))
    parsed = parse_link(str(path))
    assert orjson.loads(parsed.state or b"") == SHADER
    assert (parsed.place, parsed.site) == (f"The file {path}", SITES["spelunker"])
    missing = str(tmp_path / "missing.json")
    assert not is_link(missing)
    with pytest.raises(UsageError, match=r"^There is no file "):
        parse_link(missing)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "864691135276234469",
        "https://example.org/",
        f"{SITE}#!",
        f"{SITE}#!gs://bucket",
        f"{SITE}#!s3:///key",
        f"{SITE}#!ftp://example.org/5",
        f"{SITE}#!%25257",
        "#!{}",
        f"{SITE}?json_url=",
        "x" * 5000 + ".json",
        "a\0.json",
    ],
)
def test_what_is_no_link(text) -> None:
    """Anything else is refused with both sentences."""
    with pytest.raises(UsageError) as refused:
        parse_link(text)
    assert refused.value.hint


FILE = "a file with a Neuroglancer state"
NO_FILE = (
    "There is no file {}.",
    f"Check its name and folder, and give {FILE}, such as one from `make-link --save-state`.",
)
NO_LINK = (
    "{} is not a Neuroglancer link.",
    "Give a link with '#!' after the viewer's address, in quotes, or a state's JSON file.",
)
NO_STATE = (
    "This Neuroglancer link holds neither a state nor the address of a state.",
    "Copy the complete link again from the browser's address bar.",
)


@pytest.mark.parametrize(
    ("text", "told", "named"),
    [
        ("gone.json", NO_FILE, "'gone.json'"),
        ("Gone.JSON ", NO_FILE, "'Gone.JSON'"),
        ("x" * 5000 + ".json", NO_FILE, f"'{'x' * 199}…'"),
        ("864691135276234469", NO_LINK, "'864691135276234469'"),
        ("https://example.org/a.json", NO_LINK, "'https://example.org/a.json'"),
        ("ftp://a.b/#!https://example.org/5", NO_LINK, "'ftp://a.b/#!https://example.org/5'"),
        ("x" * 5000, NO_LINK, f"'{'x' * 199}…'"),
        (f"{SITE}#!ftp://example.org/5", NO_STATE, ""),
        (f"{SITE}?json_url=", NO_STATE, ""),
        (f"{SITE}?json_url=x", NO_STATE, ""),
    ],
)
def test_what_is_no_link_is_told_from_a_file_that_is_not_there(text, told, named) -> None:
    """What was given is named, shortened where it is long, and the hint fits."""
    with pytest.raises(UsageError) as refused:
        parse_link(text)
    sentence, hint = told
    assert (str(refused.value), refused.value.hint) == (sentence.format(named), hint)
