"""synglancer templates: the templates that cards and reports are made through, to change them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from synglancer.cli.files import check_writable, write_beside
from synglancer.cli.printing import print_table
from synglancer.errors import UsageError


def list_() -> None:
    """List the templates, and what each makes."""
    from synglancer.render.templates import list_templates

    print_table(["template", "makes"], [*list_templates().items()])


def show(name: str) -> None:
    """Print a template; its variables are named at its top.

    Parameters
    ----------
    name
        As `synglancer templates list` prints it.
    """
    from synglancer.render.templates import read_template

    print(read_template(name)[1], end="")  # noqa: T201


def copy(
    name: str, *, output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
) -> None:
    """Copy a template, to change it and to give it to --template; print the copy's name.

    Parameters
    ----------
    name
        As `synglancer templates list` prints it.
    output
        The copy: a file that is not there yet, or a folder (else this one).
    """
    from synglancer.render.templates import read_template

    name, text = read_template(name)
    path = Path(name) if output is None else output / name if output.is_dir() else output
    if path.exists():
        raise UsageError(
            f"There is a file {path} already.", "Name another one with --output, or remove it."
        )
    check_writable("--output", str(path), 1)
    write_beside("--output", path, text.encode())
    print(path)  # noqa: T201
