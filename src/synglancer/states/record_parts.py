"""Parts of the provenance record: replacements, spines, types, synapses, points, the source."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from synglancer.settings import is_address
from synglancer.states.fields import (
    Reader,
    read_cell,
    read_count,
    read_counts,
    read_list,
    read_number,
    read_text,
    read_two_levels,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


class Part(ABC):
    """Base of the parts."""

    @classmethod
    def from_json(cls, given: object) -> Self:
        """Read it.

        Raises
        ------
        ValueError
            When a field is invalid.
        """
        read = Reader(given)
        found = cls._read(read)
        read.check()
        return found

    @classmethod
    @abstractmethod
    def _read(cls, read: Reader) -> Self:
        """Read its fields."""


@dataclass(frozen=True)
class Replacement(Part):
    """An outdated root ID that was followed to another one.

    Attributes
    ----------
    given, used
        Root IDs.
    valid_from, valid_until
        When the given root ID was valid, in ISO 8601; empty if unknown.
    why
        ``only`` or ``nucleus``; see `synglancer.cells.resolve`.
    """

    given: int
    used: int
    valid_from: str = ""
    valid_until: str = ""
    why: str = ""

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values; 64-bit IDs are strings."""
        told = {"valid_from": self.valid_from, "valid_until": self.valid_until, "why": self.why}
        return {
            "given": str(self.given),
            "used": str(self.used),
            **{name: text for name, text in told.items() if text},
        }

    @classmethod
    def _read(cls, read: Reader) -> Self:
        return cls(
            read.need("given", read_cell),
            read.need("used", read_cell),
            read.text("valid_from"),
            read.text("valid_until"),
            read.text("why"),
        )


@dataclass(frozen=True)
class MultiInput(Part):
    """The synapses on spines with several inputs.

    Attributes
    ----------
    table
        The table of spines.
    former_tags
        The original tags of synapses shown as ``multi-input``: direction → tag → count.
    """

    table: str
    former_tags: Mapping[str, Mapping[str, int]]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"table": self.table, "former_tags": copy_levels(self.former_tags)}

    @classmethod
    def _read(cls, read: Reader) -> Self:
        return cls(read.need_text("table"), read.maybe("former_tags", read_two_levels) or {})


@dataclass(frozen=True)
class CellTypes(Part):
    """The cell types of the partners.

    Attributes
    ----------
    view, column
        The source of the types.
    synapses
        Number of synapses: direction → type → count.
    partners
        Number of partners by type.
    known, ambiguous
        Numbers of partners with one type, and with several types.
    colours
        ``#rrggbb`` of each type, if the view is coloured by type.
    """

    view: str
    column: str
    synapses: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    partners: Mapping[str, int] = field(default_factory=dict)
    known: int = 0
    ambiguous: int = 0
    colours: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "view": self.view,
            "column": self.column,
            "synapses": copy_levels(self.synapses),
            "partners": dict(self.partners),
            "known": self.known,
            "ambiguous": self.ambiguous,
            **({"colours": dict(self.colours)} if self.colours else {}),
        }

    @classmethod
    def _read(cls, read: Reader) -> Self:
        colours = read.maybe("colours", dict) or {}
        return cls(
            read.need_text("view"),
            read.need_text("column"),
            read.maybe("synapses", read_two_levels) or {},
            read.maybe("partners", read_counts) or {},
            read.maybe("known", read_count) or 0,
            read.maybe("ambiguous", read_count) or 0,
            {  # invalid colours are left out
                name: colour
                for name, colour in colours.items()
                if isinstance(colour, str) and re.fullmatch("#[0-9a-f]{6}", colour)
            },
        )


@dataclass(frozen=True)
class NamedSynapse(Part):
    """A synapse that was given by its ID.

    Attributes
    ----------
    id
        Its ID.
    tag
        Its predicted target, or ``unlabelled``.
    confidence
        Confidence of the classifier, 0 to 1; None without a prediction.
    size
        Size in voxels of the synapse detection.
    pre, post
        Root IDs of its two cells; 0 if the segmentation has no cell there.
    pre_type, post_type
        Types of the two cells; empty if unknown or not requested.
    same_spine
        IDs of the other synapses on its spine, if requested.
    """

    id: int
    tag: str
    confidence: float | None
    size: int
    pre: int = 0
    post: int = 0
    pre_type: str = ""
    post_type: str = ""
    same_spine: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; 64-bit IDs are strings."""
        types = {"pre_type": self.pre_type, "post_type": self.post_type}
        spine = [str(other) for other in self.same_spine]
        return {
            "id": str(self.id),
            "tag": self.tag,
            **({} if self.confidence is None else {"confidence": self.confidence}),
            "size": self.size,
            "pre": str(self.pre),
            "post": str(self.post),
            **{name: text for name, text in types.items() if text},
            **({"same_spine": spine} if spine else {}),
        }

    @classmethod
    def _read(cls, read: Reader) -> Self:
        return cls(
            read.need("id", read_cell),
            read.need_text("tag"),
            read.maybe("confidence", _read_share),
            read.need("size", read_count),
            read.need("pre", _read_end),
            read.need("post", _read_end),
            read.text("pre_type"),
            read.text("post_type"),
            read.maybe("same_spine", partial(read_list, read_cell)) or (),
        )

    def __str__(self) -> str:
        """Describe the synapse in a sentence."""
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        tag = "no prediction" if self.confidence is None else self.tag
        pre, post = _name_end(self.pre, self.pre_type), _name_end(self.post, self.post_type)
        others = ", ".join(map(str, self.same_spine))
        word = "Synapse" if len(self.same_spine) == 1 else "Synapses"
        spine = f" {word} {others} on the same spine." if others else ""
        size = f"{self.size:,} voxel{'' if self.size == 1 else 's'}"
        return f"Synapse {self.id}: {tag}{sure}, {size}; from {pre} onto {post}.{spine}"


@dataclass(frozen=True)
class PointSource(Part):
    """A file of a user's own points.

    Attributes
    ----------
    name
        The file's name, without its folder.
    sha256
        Of its content, in hexadecimal.
    rows
        Number of points.
    layers
        Names of the layers with its points.
    """

    name: str
    sha256: str
    rows: int
    layers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {**asdict(self), "layers": [*self.layers]}

    @classmethod
    def _read(cls, read: Reader) -> Self:
        return cls(
            read.need_text("name"),
            read.need("sha256", _read_digest),
            read.need("rows", read_count),
            read.maybe("layers", partial(read_list, read_text)) or (),
        )


def _read_digest(given: object) -> str:
    if not isinstance(given, str) or not re.fullmatch("[0-9a-f]{64}", given):
        raise ValueError(given)
    return given


def _name_end(cell: int, kind: str) -> str:
    return f"{cell or 'no cell'}{f' ({kind})' if kind else ''}"


def _read_share(given: object) -> float:
    number = read_number(given)
    if number > 1:
        raise ValueError(given)
    return number


def _read_end(given: object) -> int:
    return 0 if given == "0" else read_cell(given)


@dataclass(frozen=True)
class PublishedSource(Part):
    """The published source of a link's layers.

    Attributes
    ----------
    address
        Address for viewers (http or https), without a slash at the end.
    sha256
        SHA-256 of its manifest, in hexadecimal, which identifies the published data.
    """

    address: str
    sha256: str

    def to_json(self) -> dict[str, str]:
        """Return it as JSON values."""
        return asdict(self)

    @classmethod
    def _read(cls, read: Reader) -> Self:
        return cls(read.need("address", _read_address), read.need_text("sha256"))


def _read_address(given: object) -> str:
    """Read the address in a state, which is never a file."""
    if not is_address(read_text(given)):
        raise ValueError(given)
    return read_text(given)


def copy_levels(counts: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Copy two levels of counts."""
    return {name: dict(inner) for name, inner in counts.items()}
