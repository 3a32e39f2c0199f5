"""Check that a published source supports the options, and that viewers can read it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from synglancer.cave.auth import is_loopback
from synglancer.errors import UsageError
from synglancer.links.warnings import list_unshowable
from synglancer.publish.source import open_source
from synglancer.settings import Settings, is_address
from synglancer.states.urls import find_bucket_url

if TYPE_CHECKING:
    from synglancer.publish.manifest import Manifest
    from synglancer.publish.source import Source

_UNLABELLED = "unlabelled"


def open_asked_source(settings: Settings) -> tuple[Source, str]:
    """Open the source, and find the address at which viewers read it.

    Raises
    ------
    UsageError
        When viewers cannot read it at its address.
    ServiceError
        When it cannot be reached, is not a published source, or is served without range requests or
        CORS.
    """
    given = str(settings.source).rstrip("/").removeprefix("precomputed://")
    address = find_bucket_url(given) or given
    if is_address(address):
        if settings.public_url is not None:
            raise UsageError(
                "The source was given by its address, but --public-url gives another address.",
                "Give only one of them, or the source's folder with --public-url.",
            )
        return open_source(address, settings.timeout, settings.concurrency), address
    near = open_source(address)  # which refuses other addresses
    if settings.public_url is None:
        raise UsageError(
            f"Viewers cannot read the folder {address}.",
            f"Run `synglancer serve {address}` and give the address that it prints, or give the "
            "folder's public address with --public-url.",
        )
    public = settings.public_url.rstrip("/")
    if open_source(public, settings.timeout).manifest.digest != near.manifest.digest:
        raise UsageError(
            f"{public} serves a different source from the one in the folder {address}.",
            "Copy the folder there again, or correct --public-url.",
        )
    return near, public


def settle(settings: Settings, manifest: Manifest, address: str) -> Settings:
    """Check the options against a source, and fill in missing ones from it.

    Returns
    -------
    Settings
        With the source's version and table, and with sliders instead of a confidence filter.

    Raises
    ------
    UsageError
        When the source has another datastack, version or table, or does not support an option.
    """
    _check_identity(settings, manifest, address)
    check_options(settings)
    _check_tags(settings, manifest)
    return replace(
        settings,
        version=manifest.version,
        table=manifest.table or settings.table,
        inline=not settings.upload,
        soft_filter=settings.min_confidence > 0,
    )


def _check_identity(settings: Settings, manifest: Manifest, address: str) -> None:
    asked = {
        "datastack": settings.datastack,
        "version": settings.version,
        "table": manifest.table and settings.table,
    }
    for name, value in asked.items():
        told = getattr(manifest, name)
        if value is not None and value != told:
            raise UsageError(
                f"The source {address} has the {name} {told}, but {value} was requested.",
                f"Give --{name} {told}, or another --source.",
            )


def check_options(settings: Settings) -> None:
    """Refuse options that layers on a source do not support.

    Raises
    ------
    UsageError
        Naming the option.
    """
    where = "--publish-to" if settings.publish_to else "--source"
    for option in list_unshowable(settings):
        raise UsageError(
            f"Links on a published source do not support {option}.",
            f"Leave out that option, or make the link without {where}.",
        )


def _check_tags(settings: Settings, manifest: Manifest) -> None:
    """Refuse tags and numbers that a source does not have."""
    tags = [one.tag for one in manifest.tags]
    if settings.with_unlabelled and _UNLABELLED not in tags:
        raise UsageError(
            "The source has no synapses without a prediction.",
            "Leave out --with-unlabelled, or make the link without --source.",
        )
    missing = [tag for tag in settings.tag if tag not in tags]
    if missing:
        raise UsageError(
            f"The source has no tag {missing[0]!r}.", f"Choose from {', '.join(map(repr, tags))}."
        )
    needs_confidence = settings.min_confidence > 0 or settings.color_by == "confidence"
    if needs_confidence and "confidence" not in manifest.properties:
        raise UsageError(
            "The source has no confidences.",
            "Leave out --min-confidence and --color-by confidence, or make the link without "
            "--source.",
        )


def list_shown_tags(settings: Settings, manifest: Manifest) -> list[str]:
    """List the tags that layers are made for."""
    tags = [one.tag for one in manifest.tags]
    if settings.tag:
        kept = {*settings.tag, *([_UNLABELLED] if settings.with_unlabelled else [])}
        return [tag for tag in tags if tag in kept]
    return [tag for tag in tags if tag != _UNLABELLED or settings.with_unlabelled]


def check_reach(address: str, site: str) -> list[str]:
    """Check that a viewer may read a source, and warn if only this machine can.

    Raises
    ------
    UsageError
        When browsers would block it.
    """
    source, viewer = urlsplit(address), urlsplit(site)
    local = is_loopback(source.hostname)
    if source.scheme == "http" and viewer.scheme == "https" and not local:
        raise UsageError(
            f"Browsers do not let a viewer at https://{viewer.netloc} read {address}, because "
            "that address does not use https.",
            "Serve the source over https, or choose a viewer with an http:// address with --site.",
        )
    if not local or is_loopback(viewer.hostname):
        return []
    told = (
        f"Only browsers on this machine can read the source at {address}, as long as it is served; "
        "they may ask whether the viewer may reach the local network. To share the link, put the "
        "source on a web server or in an object store."
    )
    return [told]
