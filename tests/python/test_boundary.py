"""In Python, errors and warnings use Python's terms, point to the caller's line, and hide our
code."""

from __future__ import annotations

import ast
import json
import re
import sys
import traceback
import warnings
from pathlib import Path

import pytest

import synglancer
from shells import open_shell
from synglancer import Link, add_links, make_link, make_links
from synglancer.errors import CellError, ServiceError, SynglancerWarning, UsageError
from synglancer.python.boundary import say_in_python

CELL = 864691135276234469
UNKNOWN = 864691135000000001
SOURCE = Path(synglancer.__file__).parent
ROOMS = ("cave", "cells", "synapses", "view", "states", "links", "cache")
"""The modules whose sentences may appear when a link is made."""


def list_modules(room: str) -> list[Path]:
    return [path for path in (SOURCE / room).rglob("*.py") if "kinds" not in path.parts]


def ask_wrongly(**options) -> BaseException:
    with pytest.raises((UsageError, CellError, ServiceError)) as caught:
        make_link(options.pop("cell", CELL), **options)
    return caught.value


def test_no_sentence_that_python_users_read_names_an_option_of_the_command():
    """Converted for Python, each text of the modules that the API uses names keywords."""
    checked = 0
    for path in [*SOURCE.glob("*.py"), *(found for room in ROOMS for found in list_modules(room))]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        described = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = say_in_python(node.value)
                checked += text != node.value
                named = id(node) not in described and re.search(r"--[a-z]", text)
                assert not named, f"{path}:{node.lineno}: {text}"
    assert checked > 20


def test_an_error_shows_its_hint_in_pythons_words():
    """Python's own traceback shows both sentences, with keywords instead of options."""
    error = ask_wrongly(min_confidence=2)
    assert error.hint == "Give min_confidence= between 0 and 1."
    if sys.version_info >= (3, 11):
        assert traceback.format_exception(error)[-1].strip() == error.hint


@pytest.mark.parametrize(
    "options", [{"min_confidence": 2}, {"server": "http://127.0.0.1:9"}, {"cell": "12x"}]
)
def test_a_traceback_has_the_users_line_and_one_of_ours(options):
    """For a typing error and for a dead server, there is no chain of causes and none of our
    internals."""
    shown = "".join(traceback.format_exception(ask_wrongly(**options)))
    assert len(shown.splitlines()) <= 14
    assert shown.count(str(SOURCE)) == 1
    assert "During handling" not in shown
    assert "direct cause" not in shown


def test_an_unknown_cell_of_a_running_server_is_told_as_briefly(sandbox):
    """An answer of the server does not make the traceback longer."""
    shown = "".join(traceback.format_exception(ask_wrongly(cell=UNKNOWN, server=sandbox.origin)))
    assert "version=" in shown
    assert len(shown.splitlines()) <= 14


def test_a_debug_switch_shows_everything(monkeypatch):
    """With SYNGLANCER_DEBUG, causes and our own frames are shown."""
    monkeypatch.setenv("SYNGLANCER_DEBUG", "1")
    error = ask_wrongly(server="http://127.0.0.1:9")
    shown = "".join(traceback.format_exception(error))
    assert shown.count(str(SOURCE)) > 5
    assert "direct cause" in shown
    assert len(error._render_traceback_()) > 20


def test_ipython_shows_the_two_sentences_and_the_line(capsys):
    """A failing notebook cell ends with three lines."""
    with open_shell() as shell:
        shell.run_cell("from synglancer import make_link\nmake_link(1, tags='spine')")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).strip().splitlines()
    assert shown[-3:] == [
        "UsageError: There is no option 'tags'.",
        "Did you mean 'tag'?",
        "    line 2: make_link(1, tags='spine')",
    ]


def test_what_the_command_says_on_stderr_is_a_warning_at_the_users_line(sandbox):
    """A tag that no synapse has is a warning at this file's line, and is in the link's warnings."""
    with pytest.warns(SynglancerWarning) as caught:
        link = make_link(CELL, server=sandbox.origin, tag="spin")
    said = [str(one.message) for one in caught]
    assert any("No synapse here has the tag 'spin'" in sentence for sentence in said)
    assert said == [*link.warnings]
    assert {one.filename for one in caught} == {__file__}


def test_warnings_name_keywords(sandbox):
    """A sentence that recommends an option names it as a keyword, in the link as well."""
    with pytest.warns(SynglancerWarning):
        link = make_link(CELL, server=sandbox.origin, tag="soma", site="google", inline=True)
    assert "without inline=True" in " ".join(link.warnings)
    assert "--" not in " ".join(link.warnings)


def test_a_batch_warns_once_and_says_what_of_each(sandbox):
    """There is one warning with the numbers; the table has the details."""
    with pytest.warns(SynglancerWarning) as caught:
        links = make_links([CELL, UNKNOWN], server=sandbox.origin)
    assert [str(one.message) for one in caught] == [
        "1 of 2 cells have no link and 1 link has a note. See to_frame() for details."
    ]
    assert "version=" in links.skipped[0].hint


def test_reading_back_ends_at_the_call_too():
    """Methods of links hide our frames, too."""
    with pytest.raises(UsageError) as caught:
        Link.from_url("https://a.org/")
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2
    assert caught.value.__cause__ is None


def test_nothing_is_said_where_there_is_nothing_to_say(sandbox):
    """A link without notes gives no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        link = make_link(CELL, server=sandbox.origin, outputs=True, tag="spine")
    assert json.loads(link.state_json)
    assert not link.warnings


def test_a_wrong_table_of_cells_ends_at_the_call():
    """add_links reports errors in the table just as briefly."""
    import pandas as pd

    with pytest.raises(UsageError, match="no column") as caught:
        add_links(pd.DataFrame({"cell": ["1"]}))
    assert len(traceback.extract_tb(caught.value.__traceback__)) == 2
