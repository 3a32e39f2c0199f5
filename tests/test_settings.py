"""Options are checked when the record is made, and each refusal has a hint."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synglancer.errors import UsageError
from synglancer.python.options import build_settings
from synglancer.settings import Settings, is_address
from synglancer.view_settings import SITES


def test_default_profile_is_minnie65_at_its_pinned_version():
    """Without options, the question is about minnie65_public 1718 and both directions."""
    settings = Settings()
    assert (settings.datastack, settings.version, settings.table) == (
        "minnie65_public",
        1718,
        "synapse_target_predictions_ssa_v2",
    )
    assert settings.directions == ("inputs", "outputs")
    assert settings.tag == ()


def test_another_datastack_knows_nothing_of_minnie65():
    """For another datastack, the latest version is used, and the table must be named."""
    assert Settings(datastack="other", table="labels").version == "latest"
    with pytest.raises(UsageError, match="'other' has no table") as caught:
        Settings(datastack="other")
    assert "--table" in caught.value.hint


@pytest.mark.parametrize(
    ("inputs", "outputs", "directions"),
    [
        (False, False, ("inputs", "outputs")),
        (True, True, ("inputs", "outputs")),
        (True, False, ("inputs",)),
        (False, True, ("outputs",)),
    ],
)
def test_directions_are_both_unless_one_is_named(inputs, outputs, directions):
    """--inputs and --outputs each restrict to one direction; both or neither mean both."""
    assert Settings(inputs=inputs, outputs=outputs).directions == directions


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"min_confidence": -0.01}, "out of range", "--min-confidence"),
        ({"min_confidence": 1.01}, "out of range", "--min-confidence"),
        ({"min_confidence": float("nan")}, "nan is out of range", "--min-confidence"),
        ({"min_confidence": float("inf")}, "out of range", "--min-confidence"),
        ({"max_confidence": 1.01}, "out of range", "--max-confidence"),
        ({"max_confidence": float("nan")}, "nan is out of range", "--max-confidence"),
        (
            {"min_confidence": 0.9, "max_confidence": 0.8},
            "above --max-confidence 0.8",
            "--max-confidence",
        ),
        ({"min_size": -1}, "out of range", "--min-size"),
        ({"min_size": float("nan")}, "out of range", "--min-size"),
        ({"min_size": float("inf")}, "out of range", "--min-size"),
        ({"timeout": 0}, "out of range", "--timeout"),
        ({"timeout": -5}, "out of range", "--timeout"),
        ({"timeout": float("nan")}, "out of range", "--timeout"),
        ({"timeout": float("inf")}, "out of range", "--timeout"),
        ({"timeout": 1e9}, "out of range", "at most a day"),
        ({"datastack": " ", "table": "x"}, "No datastack", "--datastack"),
        ({"table": ""}, "no table", "--table"),
        ({"version": 0}, "not a materialization version", "the version"),
        ({"version": -3}, "not a materialization version", "the version"),
        ({"version": 2**31}, "not a materialization version", "the version"),
        ({"version": 1718.0}, "version=1718.0 is not a valid value", "a whole number"),
        ({"version": True}, "version=True is not a valid value", "a whole number"),
        ({"version": "newest"}, "not a materialization version", "the version"),
        ({"version": "\uff11\uff17\uff11\uff18"}, "not a materialization version", "the version"),
        ({"version": "9" * 9999}, "not a materialization version", "the version"),
        ({"sandbox": True, "server": "https://cave.example.org"}, "only one server", "one of them"),
    ],
)
def test_values_out_of_range_are_refused(options, message, hint):
    """An invalid value is refused, and its option is named."""
    with pytest.raises(UsageError, match=message) as caught:
        Settings(**options)
    assert hint in caught.value.hint
    assert caught.value.hint.endswith(".")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("given_version", "version"), [("1718", 1718), (" 943 ", 943), (117, 117), ("latest", "latest")]
)
def test_versions_are_numbers_or_latest(given_version, version):
    """A version given as text, as from a file or the environment, is the same as a number."""
    assert Settings(version=given_version).version == version


@pytest.mark.parametrize(
    "address",
    [
        "",
        "cave.example.org",
        "ftp://cave.example.org",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https:///path",
        "https://user:secret@cave.example.org",
        "https://token@cave.example.org",
        "https://cave.example.org:port",
        "https://cave.example.org:99999",
        "https://[::1",
        "https://cave.example.org/#!x",
        "https://cave example.org",
        "https://cave.example.org/\x1b[2J",
        "https://cave.exa\nmple.org",
    ],
)
def test_addresses_that_cannot_be_asked_are_refused(address):
    """Only http(s) addresses with a host and without login, fragment or control character are
    accepted."""
    for option in ("server", "site"):
        with pytest.raises(UsageError, match="is not an address") as caught:
            Settings(**{option: address})
        assert f"--{option}" in caught.value.hint
        assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "address",
    ["https://cave.example.org", "http://127.0.0.1:8000", "http://[::1]:80/", "https://a.b/v/?x=1"],
)
def test_addresses_that_can_be_asked_are_taken(address):
    """Hosts with ports, paths, queries and IPv6 are valid addresses."""
    assert Settings(server=address, site=address).server == address


@pytest.mark.parametrize("host", ["a..org", "a" * 64 + ".org", ".org", "*", "*.org"])
def test_hosts_that_cannot_be_are_no_addresses(host):
    """An empty or overlong part of a host's name, or a pattern, is refused before any request."""
    assert not is_address(f"https://{host}/x")


@given(st.text())
def test_whether_a_text_is_an_address_never_fails(text):
    """No text makes the check itself fail."""
    assert is_address(text) in {True, False}


def test_names_of_viewers_are_taken_as_sites():
    """The short names stand for viewers."""
    for name, address in SITES.items():
        assert Settings(site=name).site == name
        assert is_address(address)


@pytest.mark.parametrize("given", ["spelunker=", "google=lab.org", "other=https://lab.org/"])
def test_a_copy_of_a_viewer_needs_its_name_and_address(given):
    """spelunker=ADDRESS is a copy of Spelunker; another name, or no address, is refused."""
    assert Settings(site="spelunker=https://lab.org/").site == "spelunker=https://lab.org/"
    with pytest.raises(UsageError, match=f"'{given}' is not an address") as caught:
        Settings(site=given)
    assert "spelunker=ADDRESS" in caught.value.hint


@pytest.mark.parametrize("made_by", [build_settings, lambda options: Settings(**options)])
def test_a_tag_given_as_text_is_one_tag(made_by):
    """tag='spine' filters by that tag, not by its letters; lists are accepted, too."""
    assert made_by({"tag": "spine"}).tag == ("spine",)
    assert made_by({"tag": ["spine", "soma"]}).tag == ("spine", "soma")


def test_unknown_keywords_are_refused_with_the_nearest_one():
    """A misspelt keyword is refused with the intended one, or with all of them."""
    with pytest.raises(UsageError, match="no option 'min_confidense'") as caught:
        build_settings({"min_confidense": 0.5})
    assert caught.value.hint == "Did you mean 'min_confidence'?"
    with pytest.raises(UsageError) as caught:
        build_settings({"qqqq": 1})
    assert "min_confidence" in caught.value.hint


def test_settings_cannot_change_after_their_check():
    """A checked record cannot be changed."""
    with pytest.raises(AttributeError):
        Settings().min_confidence = 5  # type: ignore[misc]


def test_extras_come_from_the_default_profile_where_they_are_asked_for() -> None:
    """Tables of spines and types have names only if they are used, so that unused ones do not
    change the question. Colours by the partner's type need the types."""
    plain = Settings(multi_input_table="mine", cell_type_view="ours", cell_type_column="mtype")
    assert plain == Settings()
    assert Settings(multi_input=True).multi_input_table == "synapse_spine_mapping_v2"
    assert Settings(multi_input=True, multi_input_table="mine").multi_input_table == "mine"
    asked = Settings(color_by="partner-type", cell_type_column="mtype")
    assert (asked.cell_types, asked.cell_type_view) == (True, "aibs_cell_info")
    assert asked.cell_type_column == "mtype"
    with pytest.raises(UsageError, match="no table of spines"):
        Settings(datastack="other", table="t", multi_input=True)
    with pytest.raises(UsageError, match="no view of cell types"):
        Settings(datastack="other", table="t", color_by="partner-type")


def test_a_day_may_be_today_but_not_in_the_future() -> None:
    """The day after tomorrow has begun nowhere; today is accepted, though versions may follow."""
    today = datetime.now(timezone.utc).date()
    assert Settings(version=today).version == today.isoformat()
    with pytest.raises(UsageError, match="is in the future"):
        Settings(version=today + timedelta(days=2))
