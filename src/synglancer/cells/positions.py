"""Read the segment at a position from the segmentation volume with cloud-volume.

cloud-volume comes with the extra ``synglancer[positions]`` and is imported only here. It reads the
public blocks of the volume. Requests to the chunked graph, which need the token, go through the
guarded `Fetcher` and `cave`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import orjson

from synglancer.errors import (
    CellError,
    ServiceError,
    SynglancerError,
    UnreachableError,
    build_not_cave_error,
    needs_extra,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from synglancer.cave.http import Fetcher

_GRAPHENE = "graphene"


@dataclass(frozen=True)
class Segment:
    """The label of a segmentation volume at a position.

    Attributes
    ----------
    number
        Its label, 0 for none.
    is_supervoxel
        Whether the label is a supervoxel ID of the chunked graph, and not a root ID.
    """

    number: int
    is_supervoxel: bool


def fetch_segment(
    fetcher: Fetcher, source: str, point: tuple[float, float, float], timeout: float
) -> Segment:
    """Fetch the label at a position: 2 or 3 requests.

    Parameters
    ----------
    fetcher
        Requests the address of the volume from the chunked graph's service.
    source
        The segmentation's address, ``graphene://…`` or ``precomputed://…``.
    point
        The position in nm, (x, y, z).
    timeout
        Longest time to read it, in seconds.

    Raises
    ------
    UsageError
        When cloud-volume is not installed.
    CellError
        When the volume does not reach that far, or has nothing stored there.
    ServiceError
        When the volume cannot be read.
    """
    kind, _, address = source.replace("middleauth+", "").partition("://")
    volume, info = f"{kind}://{address}", None
    if kind == _GRAPHENE:
        # The service's record holds the address of the volume of supervoxels. cloud-volume could
        # request it too, but would pass the token on to the volume's host.
        parts = urlsplit(address)
        path = parts.path.strip("/").removeprefix("segmentation/").removeprefix("api/v1/")
        server = f"{parts.scheme}://{parts.netloc}"
        try:
            info = orjson.loads(fetcher.fetch(f"{server}/segmentation/{path}/info"))
            data = str(info["data_dir"])
        except (ValueError, KeyError, TypeError) as error:
            raise build_not_cave_error(server) from error
        volume = data if data.startswith("precomputed://") else f"precomputed://{data}"
    label = _within(timeout, lambda: _read_voxel(volume, info, point), urlsplit(address).netloc)
    return Segment(label, is_supervoxel=kind == _GRAPHENE)


def _read_voxel(volume: str, info: dict[str, Any] | None, point: tuple[float, float, float]) -> int:
    """Read one voxel, at the finest scale that covers the position."""
    told = (
        "To find the cell at a position, the segmentation has to be read with cloud-volume, "
        "which is not installed."
    )
    with needs_extra("positions", told, "give a root ID instead"):
        from cloudvolume import CloudVolume  # three seconds
        from cloudvolume.exceptions import EmptyVolumeException
    reader = CloudVolume(volume, info=info, progress=False, use_https=True, secrets={})
    where = f"The position {', '.join(f'{value:,.0f}' for value in point)} nm"
    for mip, scale in enumerate(reader.info["scales"]):
        if scale.get("hidden"):
            continue
        voxel = [int(value // edge) for value, edge in zip(point, scale["resolution"], strict=True)]
        lower = scale.get("voxel_offset", (0, 0, 0))
        bounds = zip(voxel, lower, scale["size"], strict=True)
        if all(low <= place < low + length for place, low, length in bounds):
            reader.mip = mip
            x, y, z = voxel
            try:
                return int(reader[x : x + 1, y : y + 1, z : z + 1].flat[0])
            except EmptyVolumeException as error:
                # Buckets refuse missing and forbidden blocks alike, and neither is background.
                raise CellError(
                    f"{where} lies in a block of the segmentation that does not exist or cannot be "
                    f"read.",
                    "Check the position in the viewer, or give a root ID or nucleus:ID.",
                ) from error
    raise CellError(
        f"{where} lies outside the segmentation.",
        "Check its unit: x,y,z are voxels as the viewer shows them, x,y,z@nm are nm.",
    )


def _within(seconds: float, read: Callable[[], int], host: str) -> int:
    """Read with a time limit, because cloud-volume itself would retry for minutes."""
    found: list[int] = []
    failed: list[Exception] = []

    def work() -> None:
        try:
            found.append(read())
        except Exception as error:  # noqa: BLE001  # raised again below
            failed.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise UnreachableError(
            f"The segmentation of {host} could not be read within {seconds:.0f} s.",
            "Try again later, allow more time with --timeout, or give a root ID or nucleus:ID.",
        )
    if failed:
        if isinstance(failed[0], SynglancerError):
            raise failed[0]
        raise ServiceError(
            f"The segmentation of {host} could not be read: {type(failed[0]).__name__}.",
            "Try again later, or give a root ID or nucleus:ID.",
        ) from failed[0]
    return found[0]
