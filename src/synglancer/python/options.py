"""The options as keywords: their types, signatures, and errors for wrong ones.

Type checkers read `LinkOptions` and `Options`. IPython, Jupyter and the documentation read a
signature made from `synglancer.Settings`. A test compares the two.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping  # noqa: TC003  # signatures show the types
from dataclasses import MISSING, fields
from datetime import date  # noqa: TC003
from pathlib import Path  # noqa: TC003
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, get_type_hints

from synglancer.errors import UsageError
from synglancer.option_values import check_needs
from synglancer.settings import Settings
from synglancer.text.spelling import find_meant
from synglancer.view_settings import (  # noqa: TC001  # signatures show the types
    BackgroundName,
    ColorBy,
    Layout,
    PaletteName,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import Field

Function = TypeVar("Function", bound="Callable[..., Any]")


class LinkOptions(TypedDict, total=False):
    """All options except the directions; each is described in `synglancer.Settings`."""

    datastack: str
    version: str | int | date | None  # a timestamp is its day in UTC
    table: str | None
    source: str | None
    publish_to: str | None
    public_url: str | None
    server: str | None
    token_file: str | Path | None
    sandbox: bool
    tag: str | Iterable[str]
    min_confidence: float
    max_confidence: float
    min_size: float
    with_unlabelled: bool
    with_total: bool
    multi_input: bool
    multi_input_table: str | None
    cell_types: bool
    cell_type_view: str | None
    cell_type_column: str
    strict: bool
    site: str | None
    inline: bool
    upload: bool
    timeout: float
    concurrency: int
    no_cache: bool
    layout: Layout
    background: BackgroundName
    figure: bool
    palette: PaletteName
    color_by: ColorBy
    soft_filter: bool
    panel: bool
    filter_by_selection: bool
    partners: str | int
    review: bool
    annotations: str | Path | Iterable[Any]  # files and DataFrames


class Options(LinkOptions, total=False):
    """All options as keywords; each is described in `synglancer.Settings`."""

    inputs: bool
    outputs: bool


class StorageOptions(TypedDict, total=False):
    """Options for storing a state; each is described in `synglancer.Settings`."""

    server: str | None
    token_file: str | Path | None
    sandbox: bool
    datastack: str
    site: str | None
    inline: bool
    timeout: float
    no_cache: bool


_FIRST = "Give the cell as the first argument: make_link(864691135276234469)."
_BY_FILE = (
    "Give the file with the token as token_file=, set CAVE_TOKEN, or give your CAVEclient as "
    "client=."
)
_EXPLAINED = {
    **dict.fromkeys(
        ("root_id", "root_ids", "pt_root_id", "cell_id", "cell", "cells", "ids", "segment"), _FIRST
    ),
    **dict.fromkeys(("auth_token", "token", "cave_token"), _BY_FILE),
}
"""Names that are not options, with what to do instead."""


def build_settings(options: Mapping[str, Any]) -> Settings:
    """Make settings from keywords; the error names an unknown keyword.

    Raises
    ------
    UsageError
        When there is no such option, or a value cannot be used.
    """
    known = [field.name for field in fields(Settings)]
    for name in options:
        if name not in known:
            raise UsageError(f"There is no option {name!r}.", _suggest(name, known))
    settings = Settings(**options)
    defaults = {field.name: _get_default(field) for field in fields(Settings)}
    asked = [name for name, value in options.items() if value is not None and value is not False]
    check_needs(asked, {**defaults, **options})
    return settings


def _suggest(name: str, known: list[str]) -> str:
    if name in _EXPLAINED:
        return _EXPLAINED[name]
    meant = find_meant(name, known)
    return f"Did you mean {meant!r}?" if meant else f"Choose from {', '.join(known)}."


def show_options(function: Function) -> Function:
    """Give a function with ``**options`` a signature that lists each option.

    IPython and Jupyter use it for completion, and the documentation shows it.
    """
    signature, kinds = inspect.signature(function), get_type_hints(Options)
    own = [
        one
        for one in signature.parameters.values()
        if one.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    taken = {one.name for one in own}
    options = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=_get_default(field),
            annotation=kinds[field.name],
        )
        for field in fields(Settings)
        if field.name not in taken
    ]
    function.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*own, *options]
    )
    return function


def _get_default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default
