"""Warnings say what readers should know, where it applies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from links.shelf import A, B, P, Q
from synglancer.links.link_record import LinkRecord
from synglancer.links.warnings import (
    describe_publishing,
    explain_autapses,
    explain_context,
    explain_emptiness,
    explain_hidden,
    explain_inline,
    explain_live,
    explain_lost_pin,
    explain_lost_receipt,
    explain_missing,
    explain_shared,
    explain_silence,
    explain_size,
    explain_sliders,
    explain_tags,
    list_unshowable,
    select_essential,
)
from synglancer.settings import Settings
from synglancer.states.record import Provenance
from synglancer.states.record_parts import CellTypes, MultiInput, NamedSynapse, Replacement
from synglancer.view_settings import recognise_site, split_site
from view.test_state import VERSION

GRAPHENE = "graphene://https://minnie.microns-daf.com/segmentation/table/minnie65_public"


@pytest.mark.parametrize(
    ("given", "source", "host"),
    [
        ("google", GRAPHENE, "neuroglancer-demo.appspot.com"),
        ("https://neuroglancer-demo.appspot.com", GRAPHENE, "neuroglancer-demo.appspot.com"),
        ("google=https://example.org/viewer/", GRAPHENE, "example.org"),
        ("google", "precomputed://https://example.org/flat", None),
        ("spelunker", GRAPHENE, None),
        ("https://example.org/viewer/", GRAPHENE, None),
    ],
)
def test_a_site_that_ignores_the_timestamp_is_named(
    given: str, source: str, host: str | None
) -> None:
    """Google's viewer and its copies show today's segmentation, which matters only if it
    changes."""
    site = split_site(given)[1]
    found = explain_lost_pin(site, recognise_site(given, site), source)
    assert len(found) == (host is not None)
    assert all(f"{host} ignores the timestamp" in text for text in found)


def test_counts_agree_with_their_nouns_and_verbs() -> None:
    """One synapse counts, two synapses count."""
    told = [explain_autapses(1), explain_autapses(1_200, 2), explain_shared(1), explain_shared(2)]
    assert [one.split(" once ")[0].split(" both ")[0] for one in told] == [
        "1 synapse of the cell onto itself (autapse) counts",
        "1,200 synapses of a cell onto itself (autapses) count",
        "1 synapse from one of the cells onto another is",
        "2 synapses from one of the cells onto another are",
    ]
    assert [explain_emptiness(number) for number in (1, 1_200)] == [
        "No synapse passes the filters; 1 is filtered out.",
        "No synapse passes the filters; 1,200 are filtered out.",
    ]
    assert explain_emptiness(0).startswith("The cell has ")
    assert explain_emptiness(0, 2).startswith("The cells have ")


MULTI = {"inputs": {"spine": 1, "shaft": 2}, "outputs": {"spine": 1_000}, "between": {}}


@pytest.mark.parametrize(
    ("former", "synapses", "subject", "where", "tags"),
    [
        ({"inputs": {"spine": 1}}, False, "1 synapse is", "", "spine"),
        (
            MULTI,
            False,
            "1,003 synapses are",
            " (3 among inputs and 1,000 among outputs)",
            "spine or shaft",
        ),
        (MULTI, True, "1,003 synapses are", "", "spine or shaft"),
    ],
)
def test_shared_spines_are_explained_by_direction(former, synapses, subject, where, tags) -> None:
    """Directions without such synapses are left out; single synapses have no directions."""
    named = (NamedSynapse(5, "spine", 0.5, 1),) * synapses
    record = Provenance(cell=A, multi_input=MultiInput("spines", former), synapses=named)
    (told,) = explain_context(record)
    assert told == (
        f"According to spines, {subject} on a spine with several inputs{where} and counted as "
        f"multi-input instead of {tags}."
    )


@pytest.mark.parametrize("former", [{}, {"inputs": {}}])
def test_spines_that_no_synapse_shares_are_explained(former) -> None:
    """The table is named all the same."""
    record = Provenance(cell=A, multi_input=MultiInput("spines", former))
    assert explain_context(record) == [
        "According to spines, no synapse shown is on a spine with several inputs."
    ]


def test_types_are_explained_with_their_source() -> None:
    """And how many cells have several, which are left without one."""
    types = CellTypes("v", "mtype", partners={"BC": 1, "unknown": 1_200}, known=1)
    record = Provenance(cell=A, cell_types=types)
    assert explain_context(record) == ["1 of 1,201 partners has a type in v (mtype)."]
    types = replace(types, partners={"BC": 2, "unknown": 3}, known=2, ambiguous=1_100)
    named = (NamedSynapse(5, "spine", 0.5, 1),)
    (told,) = explain_context(replace(record, cell_types=types, synapses=named))
    assert told == (
        "2 of 5 cells have a type in v (mtype); 1,100 of the others have several types there, "
        "probably because they are merged cells."
    )
    assert explain_context(Provenance(cell=A)) == []


def test_what_is_not_what_was_asked_for_is_said_even_with_quiet() -> None:
    """Another cell, an expired version, an empty link, a missing tag and today's segmentation;
    not what only explains."""
    site, source = "https://neuroglancer-demo.appspot.com", "graphene://https://a.org"
    essential = [
        explain_live(VERSION), explain_emptiness(0), explain_emptiness(5), explain_silence(A),
        *explain_tags(["spin"], ["spine"]), *explain_lost_pin(site, "google", source),
    ]  # fmt: skip
    others = [explain_autapses(1), explain_sliders(), *explain_inline(site, "https://a.org")]
    made = LinkRecord(
        "", "", None, None, "", Provenance(), [*others, *essential, *others], 0.0, b""
    )
    assert select_essential(made) == essential
    followed = (Replacement(B, A), Replacement(P, Q))
    made = replace(made, provenance=Provenance(followed=followed))
    assert select_essential(made) == [*others[:2], *essential]


SPIN = "No synapse here has the tag 'spin'. "
FEW, MANY = f"{SPIN}The tags are 'spine'.", f"{SPIN}The tags are 'shaft', 'spine'."
EMPTY, HIDDEN = explain_emptiness(0), explain_emptiness(7)


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ([[FEW]], [FEW]),
        ([[FEW], [FEW, EMPTY], ["Other.", FEW]], [FEW]),
        (
            [explain_tags(["a. b"], ["c"]), explain_tags(["a. b"], ["d"])],
            ["No synapse here has the tag 'a. b'."],
        ),
        ([explain_tags(["spin"], [tag]) for tag in ("spine", "shaft")], [SPIN.strip()]),
        ([[FEW, "Other."], [MANY]], [SPIN.strip()]),
        ([[FEW], []], []),
        ([[], [FEW]], []),
        ([[EMPTY], [EMPTY, "Other."]], []),
        ([], []),
        ([["Other. More."], ["Other. More."]], []),
        ([[FEW, explain_emptiness(1)], [HIDDEN, MANY]], [SPIN.strip(), f"{HIDDEN.split(';')[0]}."]),
        ([[HIDDEN], ["Other."]], []),
        ([[HIDDEN], [EMPTY], ["Other.", HIDDEN]], [f"{HIDDEN.split(';')[0]}."]),
        ([[f"{SPIN[:-3]}e'. The tags are 'a'."], [FEW]], []),
    ],
)
def test_what_all_links_lack_is_said_once(links, told) -> None:
    """Cells without a prediction have no tag that could be missing; the list of tags is only told
    if it is the same for all."""
    assert explain_missing(links) == told


def test_a_mistyped_tag_is_recognised() -> None:
    """Each once; in an empty table no tag can be missing."""
    spin, odd = explain_tags(["spin", "q", "spin", "spine"], ["shaft", "spine"])
    assert spin.startswith("No synapse here has the tag 'spin'. Did you mean 'spine'? The tags")
    assert odd == "No synapse here has the tag 'q'. The tags are 'shaft', 'spine'."
    assert explain_tags(["spin"], []) == []


def test_an_inline_link_is_safe_in_the_servers_own_viewer() -> None:
    """Elsewhere, the words of the viewer are quoted, and the advice says what to do."""
    server = "http://127.0.0.1:9000"
    assert explain_inline(f"{server}/v/synglancer/", server) == []
    (told,) = explain_inline("http://127.0.0.1:9001/", server)
    assert "'Cannot read properties of undefined', open the link again, or make it without" in told
    assert explain_inline("https://a.org", server, "with --upload")[0].endswith(" --upload.")


def test_hidden_synapses_are_counted_over_all_layers() -> None:
    """And none are told if sliders hide none, or there is no slider."""
    hidden = {"inputs": {"spine": 1_000, "shaft": 2}, "outputs": {"spine": 3}}
    record = Provenance(cell=A, shown=2_000, hidden=hidden)
    assert explain_hidden(record) == [
        "1,005 of the 2,000 synapses are hidden at first: lower the confidence sliders to see them."
    ]
    for none in ({"inputs": {"spine": 0}}, {}, None):
        assert explain_hidden(Provenance(cell=A, shown=5, hidden=none)) == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [(OSError(28, "No space left on device"), "No space left on device"), (OSError(), "OSError")],
)
def test_a_history_that_cannot_be_written_is_told_with_the_reason(error, reason) -> None:
    """In the words of the system, if it has any."""
    assert explain_lost_receipt(error) == (
        f"This link could not be added to the history: {reason}."
    )


def test_a_slow_link_says_how_it_becomes_quick() -> None:
    """From 10,000 annotations on, with the measured times and the command that publishes."""
    assert explain_size(9_999, [A], Settings()) == []
    (told,) = explain_size(10_000, [A], Settings(min_size=5.0, with_total=True))
    assert told.startswith("The link has 10,000 annotations, and viewers become slow: 50,000 take ")
    assert "Show fewer with --tag, --min-confidence, --inputs or --outputs; or publish" in told
    assert "in 2 s (without --min-size and --with-total): make-link" in told
    assert "in 2 s: make-link" in explain_size(10_000, [A], Settings())[0]


def test_the_command_that_publishes_can_be_typed() -> None:
    """It has the cells and the options of the link, apart from those that a source lacks."""
    settings = Settings(
        tag=("spine", "it's odd"), min_confidence=0.5, inputs=True, token_file="/my token",
        annotations=("points.csv", object()), min_size=5.0, cell_types=True,
        cell_type_column="mtype", version=1822, color_by="partner-type",
    )  # fmt: skip
    assert describe_publishing([A, B], settings) == (
        f"make-link {A} {B} --together --version 1822 --inputs --tag spine --tag "
        "'it'\"'\"'s odd' --min-confidence 0.5 --token-file '/my token' --annotations "
        f"points.csv --publish-to {A}-v1822"
    )
    plain = f"make-link {A} --publish-to {A}-v1718"
    assert describe_publishing([A], Settings()) == plain
    colored = f"make-link {A} --color-by confidence --publish-to {A}-v1718"
    assert describe_publishing([A], Settings(color_by="confidence")) == colored


def test_a_source_may_hold_synapses_without_a_prediction() -> None:
    """Other options that a source lacks are named as they were typed."""
    asked = {"with_unlabelled": True, "max_confidence": 0.5}
    assert list_unshowable(Settings(**asked)) == ["--max-confidence", "--with-unlabelled"]
    assert list_unshowable(Settings(**asked, source="https://a.org")) == ["--max-confidence"]
    assert list_unshowable(Settings(color_by="partner-type")) == [
        "--cell-types and --color-by partner-type"
    ]
    assert list_unshowable(Settings(tag=("spine",), inputs=True)) == []
