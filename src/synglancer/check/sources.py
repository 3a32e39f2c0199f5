"""Check a link's published source: whether it exists, and what its layers hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from synglancer.errors import ServiceError, UnreachableError
from synglancer.links.filling import fill_state, open_recorded
from synglancer.states.provenance import read_recorded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synglancer.check.results import Finding


def read_held(finding: Finding) -> Mapping[str, Any] | None:
    """Read the synapses of a link from its state or its source.

    Problems with the source are added to the findings.

    Returns
    -------
    dict or None
        The state with the synapses in it; None if they cannot be read.
    """
    state = finding.state
    record = read_recorded(state or {})
    if state is None or record.source is None:
        return state
    try:
        source = open_recorded(record)
        held = fill_state(state, partners=False)
    except UnreachableError as error:
        finding.unknown.append(str(error))
        return None
    except ServiceError as error:
        finding.problems.append(str(error))
        return None
    if source.manifest.digest != record.source.sha256:
        finding.notes.append(
            f"The source at {source.address} was published again after the link was made."
        )
    return held
