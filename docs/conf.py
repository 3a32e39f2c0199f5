"""How Sphinx builds the documentation site: `make docs`.

Sphinx builds the documentation of NumPy, pandas and most tools of the field. Pages are Markdown;
the Python reference comes from docstrings, and the reference of commands from their real help.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from synglancer import __version__

project = "synglancer"
author = "the synglancer developers"
version = release = __version__
language = "en_GB"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["examples"]
nitpicky = False  # types of pandas and numpy are links to other sites, which the tests cannot reach
myst_enable_extensions = ["attrs_block", "colon_fence"]
myst_heading_anchors = 3

napoleon_google_docstring = False
napoleon_use_rtype = False
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings give types with shapes and units
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"synglancer {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#b3206b", "color-brand-content": "#b3206b"},
    "dark_css_variables": {"color-brand-primary": "#ff8ccb", "color-brand-content": "#ff8ccb"},
}

_HELP = re.compile(r"^<!-- help: (?P<command>[a-z -]+) -->$", re.MULTILINE)
_WIDTH = "88"  # columns of a code block on a laptop
_RUN = """
import sys
from synglancer.cli import build_make_link, build_synglancer, run
build = {"make-link": build_make_link, "synglancer": build_synglancer}[sys.argv[1]]
sys.exit(run(build, [*sys.argv[2:], "--help"]))
"""


def read_help(command: str) -> str:
    """Run a command with ``--help`` and return what it prints.

    Raises
    ------
    subprocess.CalledProcessError
        When there is no such command.
    """
    environment = {**os.environ, "COLUMNS": _WIDTH, "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *command.split()],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def insert_help(_: Any, __: str, source: list[str]) -> None:
    """Replace each ``<!-- help: make-link -->`` in a page with the output of that help."""
    source[0] = _HELP.sub(lambda found: f"```text\n{read_help(found['command'])}\n```", source[0])


def mend_page(_: Any, __: str, ___: str, context: dict[str, Any], ____: Any) -> None:
    """Give navigation headings a level, and let the keyboard scroll code and tables."""
    if "furo_navigation_tree" in context:
        context["furo_navigation_tree"] = context["furo_navigation_tree"].replace(
            'role="heading"', 'role="heading" aria-level="2"'
        )
    if "body" in context:
        body = context["body"].replace("<pre>", '<pre tabindex="0">')
        wide = '<div class="table-wrapper'
        context["body"] = body.replace(wide, wide.replace("<div", '<div tabindex="0"'))


def setup(app: Any) -> None:
    """Register the changes to the pages."""
    app.connect("source-read", insert_help)
    app.connect("html-page-context", mend_page, priority=900)  # after the theme's own
