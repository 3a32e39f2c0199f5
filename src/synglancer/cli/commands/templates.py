"""synglancer templates: list, show and copy the templates of cards and reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from synglancer.cli.files import check_files, write_beside
from synglancer.cli.options import describe
from synglancer.cli.printing import print_table
from synglancer.errors import UsageError


def list_() -> None:
    """List the templates with what each one is for."""
    from synglancer.render.templates import list_templates

    print_table(["template", "makes"], [*list_templates().items()])


def show(name: str) -> None:
    """Print a template; a comment at its top explains its variables.

    Parameters
    ----------
    name
        Name of the template, as `synglancer templates list` prints it.
    """
    from synglancer.render.templates import read_template

    print(read_template(name)[1], end="")  # noqa: T201


def copy(
    name: str,
    *,
    output: Annotated[Path | None, describe(None, "FILE", name=["--output", "-o"])] = None,
) -> None:
    """Copy a template, so that you can change it and use it with --template.

    The name of the copy is printed on stdout.

    Parameters
    ----------
    name
        Name of the template, as `synglancer templates list` prints it.
    output
        New file for the copy, or a folder (otherwise the current one).
    """
    from synglancer.render.templates import read_template

    name, text = read_template(name)
    path = Path(name) if output is None else output / name if output.is_dir() else output
    if path.exists():
        raise UsageError(
            f"The file {path} already exists.",
            "Choose another file with --output, or remove this one.",
        )
    check_files({"--output": path}, ())
    write_beside("--output", path, text.encode())
    print(path)  # noqa: T201
