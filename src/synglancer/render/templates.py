"""Find, list and read the template files."""

from __future__ import annotations

import re
from pathlib import Path

from synglancer.errors import UsageError

ENDING = ".j2"

_SUMMARY = re.compile(r"\{#-?\s*(.*?\.)\s", re.DOTALL)  # the first sentence of the first comment


def templates_folder() -> Path:
    """Return the folder of the templates: in the package, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "templates"
    return installed if installed.is_dir() else package.parent.parent / "templates"


def list_templates() -> dict[str, str]:
    """List the templates: name → description in a sentence."""
    return {
        path.name: _summarise(path.read_text(encoding="utf-8"))
        for path in sorted(templates_folder().glob(f"*{ENDING}"))
    }


def read_template(name: str) -> tuple[str, str]:
    """Read a template by its name, with or without ``.j2``.

    Returns
    -------
    tuple of str
        Its full name, and its text.

    Raises
    ------
    UsageError
        When there is no template of that name.
    """
    known = list_templates()
    for candidate in (name, f"{name}{ENDING}"):
        if candidate in known:
            return candidate, (templates_folder() / candidate).read_text(encoding="utf-8")
    raise UsageError(f"There is no template {name!r}.", f"Choose from: {', '.join(known)}.")


def check_template(path: Path) -> None:
    """Refuse a user's own template that does not exist.

    Raises
    ------
    UsageError
        When it is not a file.
    """
    if path.is_dir():
        raise UsageError(f"The template {path} is a folder.", "Give a Jinja2 file.")
    if not path.is_file():
        raise UsageError(
            f"There is no template {path}.",
            "Give a Jinja2 file; `synglancer templates copy` copies a built-in template.",
        )
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"The template {path} is not a text file in UTF-8.",
            "Give a Jinja2 file; `synglancer templates copy` copies a built-in template.",
        ) from error
    except OSError as error:
        raise UsageError(
            f"The template {path} cannot be read: {error.strerror}.", "Check its permissions."
        ) from error


def _summarise(text: str) -> str:
    found = _SUMMARY.match(text)
    return " ".join(found[1].split()) if found else ""
