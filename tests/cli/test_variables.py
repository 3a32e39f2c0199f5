"""Variables that are named like ours but have no effect are reported, with a suggestion."""

from __future__ import annotations

import json

import pytest

from synglancer.cli import build_synglancer
from synglancer.cli.variables import _OTHERS, _list_variables

CELL = "864691135276234469"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SYNGLANCER_MIN_CONFIDANCE", "did you mean SYNGLANCER_MIN_CONFIDENCE?"),
        ("SYNGLANCER_TOKENFILE", "did you mean SYNGLANCER_TOKEN_FILE?"),
        ("SYNGLANCER_CACHEDIR", "did you mean SYNGLANCER_CACHE_DIR?"),
        ("SYNGLANCER_QUIT", "did you mean SYNGLANCER_QUIET?"),
        ("SYNGLANCER_XYZZY", "it has no effect."),
    ],
)
def test_an_unknown_variable_is_said_on_every_command(
    sandbox, make_link, synglancer, monkeypatch, name, meant
) -> None:
    """It is a line on stderr, before the command does its work anyway."""
    monkeypatch.setenv(name, "1")
    sentence = f"The environment variable {name} is unknown: {meant}"
    assert synglancer("cache", "info").err.splitlines() == [sentence]
    done = make_link(CELL, "--tag", "soma", "--output", "json")
    assert done.err.splitlines()[0] == sentence
    assert json.loads(done.out)["cell"] == CELL
    assert synglancer("history").err.splitlines() == [sentence]


def test_help_is_not_disturbed(make_link, monkeypatch) -> None:
    """Help does not mention such variables."""
    monkeypatch.setenv("SYNGLANCER_XYZZY", "1")
    assert make_link("--help").err == ""


def test_the_doctor_warns_of_it(sandbox, synglancer, monkeypatch) -> None:
    """doctor's check of settings uses the same words."""
    monkeypatch.setenv("SYNGLANCER_XYZZY", "1")
    checks = json.loads(synglancer("doctor", "--output", "json").out)["checks"]
    (settings,) = [check for check in checks if check["name"] == "settings"]
    assert settings["status"] == "warning"
    assert settings["message"].endswith("SYNGLANCER_XYZZY is unknown: it has no effect.")


def test_no_variable_that_has_an_effect_is_unknown(synglancer, monkeypatch) -> None:
    """Options of all commands, and all other variables, are known."""
    known = {*_list_variables(build_synglancer()), *_OTHERS}
    assert {"SYNGLANCER_FIX", "SYNGLANCER_GROUP_BY", "SYNGLANCER_DATASTACK"} <= known
    for name in known - {"SYNGLANCER_CACHE_MAX", "SYNGLANCER_CACHE_DIR", "SYNGLANCER_DATA_DIR"}:
        monkeypatch.setenv(name, "1")
    assert synglancer("cache", "info").err == ""
