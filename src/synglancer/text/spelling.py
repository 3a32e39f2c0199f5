"""Find the intended name of a misspelt option, variable or tag."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALIKE = 0.7
"""How similar two names must be, from 0 to 1."""

_ELSEWHERE = {
    **dict.fromkeys(("tags", "label", "labels"), "tag"),
    **dict.fromkeys(
        ("materialization_version", "mat_version", "materialization", "mat", "timestamp"),
        "version",
    ),
    **dict.fromkeys(("datastack_name", "data_stack", "dataset"), "datastack"),
    **dict.fromkeys(("server_address", "global_server", "cave_server", "address"), "server"),
    **dict.fromkeys(("table_name", "prediction_table"), "table"),
    **dict.fromkeys(("confidence", "threshold", "min_value", "value"), "min_confidence"),
    **dict.fromkeys(("size", "size_threshold"), "min_size"),
    **dict.fromkeys(("viewer", "target_site", "target_url"), "site"),
    **dict.fromkeys(("colour_by", "color", "colour", "colors"), "color_by"),
    "cell_type": "cell_types",
    "n_partners": "partners",
    "unlabelled": "with_unlabelled",
    "unlabeled": "with_unlabelled",
    "cache": "no_cache",
}
"""Names of our options in caveclient, nglui and other tools."""


def find_meant(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that was probably meant; None if none is similar.

    Capitals and the choice between hyphens and underscores do not matter.

    Examples
    --------
    >>> find_meant("--min-confidance", ["--min-confidence", "--min-size"])
    '--min-confidence'
    >>> find_meant("threshold", ["min_confidence", "min_size"])
    'min_confidence'
    """
    from difflib import get_close_matches

    by_plain = {_simplify(one): one for one in known}
    plain = _simplify(name)
    meant = _ELSEWHERE.get(plain, plain)
    if meant not in by_plain:
        meant = next(iter(get_close_matches(plain, by_plain, n=1, cutoff=_ALIKE)), "")
    return by_plain.get(meant)


def _simplify(name: str) -> str:
    return name.strip("-").replace("-", "_").lower()
