"""Options are keywords for completion, and a wrong one is refused with a suggestion."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter

import synglancer
from shells import open_shell
from synglancer import add_links, make_link, make_links
from synglancer.errors import UsageError
from synglancer.python.options import build_settings
from synglancer.settings import Settings

CELL = 864691135276234469
FUNCTIONS = [make_link, make_links, add_links]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_signature_names_every_option_with_its_default(function):
    """The signature shown by IPython and Jupyter has each option of the settings, and no
    **options."""
    shown = inspect.signature(function).parameters
    kinds = {one.kind for one in shown.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    for field in fields(Settings):
        assert shown[field.name].default == field.default
        assert shown[field.name].kind is inspect.Parameter.KEYWORD_ONLY
    assert shown["tag"].annotation == str | Iterable[str]  # the accepted types, not the stored ones


@pytest.mark.parametrize("jedi", [True, False])
def test_ipython_completes_options_and_public_names(jedi):
    """Tab completes an option after a few letters; after ``synglancer.``, it lists only public
    names."""
    with open_shell() as shell, provisionalcompleter():
        completer = shell.Completer
        completer.use_jedi = jedi
        shell.user_ns.update(make_link=make_link, synglancer=synglancer)
        words = {one.text for one in completer.completions("make_link(1, min_con", 20)}
        names = {one.text for one in completer.completions("synglancer.", 11)}
    assert "min_confidence=" in words
    assert {name.removeprefix(".") for name in names} >= {*synglancer.__all__} - {"__version__"}
    assert dir(synglancer) == sorted(synglancer.__all__)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("tags", "'tag'"),
        ("materialization_version", "'version'"),
        ("mat_version", "'version'"),
        ("datastack_name", "'datastack'"),
        ("server_address", "'server'"),
        ("table_name", "'table'"),
        ("min_confidense", "'min_confidence'"),
        ("root_id", "first argument"),
        ("pt_root_id", "first argument"),
        ("auth_token", "token_file="),
        ("token", "client="),
    ],
)
def test_what_others_call_an_option_is_answered_with_ours(name, meant):
    """Names from caveclient, nglui and the tables lead to the intended option."""
    with pytest.raises(UsageError, match=f"no option '{name}'") as caught:
        make_link(CELL, **{name: 1})
    assert meant in caught.value.hint


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ({"min_confidence": "0.9"}, "Give a number."),
        ({"min_confidence": True}, "Give a number."),
        ({"sandbox": "yes"}, "Give True or False."),
        ({"tag": 5}, "Give a text, or a list of texts."),
        ({"version": 1.5}, "Give a text or a whole number."),
        ({"server": 5}, "Give a text."),
        ({"layout": 3}, "Give a text."),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(option, hint):
    """Instead of an internal TypeError, the error names the option, its value and what it
    accepts."""
    with pytest.raises(UsageError, match=next(iter(option))) as caught:
        build_settings(option)
    assert caught.value.hint == hint


def test_values_of_numpy_and_paths_are_taken():
    """numpy's scalars and paths are accepted as their values."""
    asked = build_settings(
        {
            "min_confidence": np.float32(0.5),
            "version": np.int64(1718),
            "sandbox": np.bool_(True),
            "token_file": Path("token"),
            "tag": np.array(["spine", "soma"]),
            "min_size": 3,
        }
    )
    assert (asked.min_confidence, asked.version, asked.sandbox) == (0.5, 1718, True)
    assert (asked.token_file, asked.tag, asked.min_size) == ("token", ("spine", "soma"), 3)


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"cell_type_view": "x"}, 'cell_types=True or color_by="partner-type"'),
        ({"multi_input_table": "x"}, "multi_input=True"),
        ({"upload": True}, "source= or publish_to="),
    ],
)
def test_a_keyword_without_effect_is_refused(options, needed):
    """A keyword that belongs to another one is refused without it; False and None are nothing."""
    with pytest.raises(UsageError, match="has no effect without"):
        make_link(CELL, **options)
    (name,) = options
    for nothing in (None, False):
        if isinstance(options[name], bool) is isinstance(nothing, bool):
            assert build_settings({name: nothing}) == Settings()
    with pytest.raises(UsageError) as caught:
        make_link(CELL, **options)
    assert needed in str(caught.value)
