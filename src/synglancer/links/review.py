"""Choose the synapses of a review link, and explain how to mark them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synglancer.states.reviews.marks import ALWAYS, UNMARKED, list_marks
from synglancer.states.urls import resolve_site
from synglancer.view_settings import recognise_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from synglancer.cave.session import Session
    from synglancer.links.loaded import Loaded
    from synglancer.settings import Settings
    from synglancer.states.record import Provenance
    from synglancer.states.reviews.marks import Mark
    from synglancer.view.kinds.review import Marking
    from synglancer.view.state import State

MOST_ROWS = 300
"""Most synapses in one review: with more, viewers take a second or more for each step."""

_MOST_DIGITS = 10  # labels for which Google's viewer has a digit: 1 to 9, then 0
_MARKING: dict[str, Marking] = {"spelunker": "tags", "google": "labels"}
_READ = "share the view when you are done, and read the marks with `synglancer verdicts`"


def prepare_review(settings: Settings, session: Session, loaded: Loaded) -> Loaded:
    """Keep the synapses of a review, and explain how to mark them in the link's viewer."""
    taken = take_least_sure(loaded)
    if not len(taken.shown):
        return taken
    marking, unknown = choose_marking(settings, session)
    told = explain_marking(marking, list_marks(list_tags(loaded)))
    return replace(taken, warnings=[*taken.warnings, told, *([unknown] if unknown else [])])


def take_least_sure(loaded: Loaded) -> Loaded:
    """Keep the least confident synapses, each once, and explain how to see the next ones."""
    shown = loaded.shown.sort_values(["confidence", "id"]).drop_duplicates("id")
    left_out = shown.iloc[MOST_ROWS:]
    warnings = [*loaded.warnings, *_explain_left_out(shown, left_out)]
    taken = shown.iloc[:MOST_ROWS].reset_index(drop=True)
    return replace(loaded, shown=taken, warnings=warnings)


def _explain_left_out(shown: pd.DataFrame, left_out: pd.DataFrame) -> list[str]:
    if not len(left_out):
        return []
    first, following = (rows["confidence"].to_numpy()[0] for rows in (shown, left_out))
    # Written like a float32 in numpy: the shortest decimals that the filter reads as the same
    # number.
    advice = f"add --min-confidence {following!s} to see the next ones"
    if first == following:  # which would show the same synapses again
        advice = "add --tag, --min-size, --inputs or --outputs to see others"
    count = f"{len(left_out):,} more {'synapse is' if len(left_out) == 1 else 'synapses are'}"
    return [f"{count} not in this review, which holds the {MOST_ROWS} least confident: {advice}."]


def choose_marking(settings: Settings, session: Session) -> tuple[Marking, str]:
    """Choose how reviewers mark synapses in the link's viewer, and explain it in a sentence."""
    site = resolve_site(settings.site, session.datastack.viewer_site)
    name = recognise_site(settings.site, site)
    if name is not None:
        return _MARKING[name], ""
    if urlsplit(site).netloc == urlsplit(session.server).netloc:  # the sandbox's own
        return "text", ""
    return "text", (
        f"The keys of the viewer at {urlsplit(site).hostname} are not known, so marks are typed, "
        "which works in every viewer. To mark with keys, give --site spelunker or --site google; "
        f"for a copy of Spelunker, give --site spelunker={site}."
    )


def explain_marking(marking: Marking, marks: Sequence[Mark]) -> str:
    """Explain in a sentence how to mark synapses."""
    from synglancer.view.kinds.review import KEYS

    if marking == "tags":
        keys = ", ".join(
            f"Shift+{key} {mark.label}" for key, mark in zip(KEYS, marks, strict=False)
        )
        return (
            f"Press {keys}; the same key again to undo; ] or [ (Alt+↓, Alt+↑) to go to the next "
            f"or previous synapse; {_READ}."
        )
    if marking == "labels":
        labels = [UNMARKED, *(mark.label for mark in marks)]
        few = len(labels) <= _MOST_DIGITS
        numbers = [place % _MOST_DIGITS if few else place for place in range(1, len(labels) + 1)]
        digits = ", ".join(
            f"{number} {label}" for number, label in zip(numbers, labels, strict=True)
        )
        entered = "" if few else " and Enter"
        keys = (
            f"press Shift+V once, then {digits}{entered}, and S or A to go to the next or "
            "previous synapse"
        )
        return f"With the mouse over the image, {keys}; {_READ}."
    words = ", ".join(f"={mark.name.removeprefix('is_')}" for mark in marks)
    return (
        f"Click a synapse in the list and type one of {words} after its description, followed by "
        f"any comment; {_READ}."
    )


def build_review_state(
    settings: Settings,
    session: Session,
    loaded: Loaded,
    record: Provenance,
    properties: str | None,
) -> State:
    """Build the state of a review, as `build_cell_state` does for cells, with synapses in order."""
    from synglancer.columns import POSITION_COLUMNS
    from synglancer.states.reviews.rows import Listing, Row
    from synglancer.view.kinds.review import Review, build_review
    from synglancer.view.scene import Scene
    from synglancer.view.staging import choose_options

    shown = loaded.shown
    # Written as in numpy: the shortest decimals of a float32 are the value in the table.
    columns = [shown[name].to_numpy() for name in ("id", "direction", "tag", "confidence")]
    rows = [
        Row(int(synapse), str(side), str(tag), float(str(confidence)))
        for synapse, side, tag, confidence in zip(*columns, strict=True)
    ]
    scene = Scene(
        cells=loaded.cells,
        # Many partners have no skeleton, and viewers would wait for it.
        datastack=replace(session.datastack, skeleton_source=None),
        materialization=session.materialization,
        positions=shown[POSITION_COLUMNS].to_numpy(dtype=float),
        somata=[*loaded.somata.values()],
        record=record.to_json(),
        properties_url=properties,
    )
    listing = Listing(rows, list_tags(loaded))
    review = Review(listing, shown, choose_marking(settings, session)[0])
    return build_review(scene, choose_options(settings, loaded.cells, []), review)


def list_tags(loaded: Loaded) -> list[str]:
    """List the tags that a reviewer can choose: the usual ones, and others of these cells."""
    return [*ALWAYS, *sorted({*loaded.frame["tag"]} - {*ALWAYS, "unlabelled"})]
