"""The outcome of a command, and constants that the tests of commands share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from synglancer.cli.printing import OPTIONS, TYPED

CELL = "864691135276234469"
TOKEN = "a-good-token"
NO_PERMISSION = "a-token-without-permission"
MISSING_TERMS = "a-token-without-terms"


_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*[a-z]")
_ELSEWHERE = re.compile(r"`[^`]*`|\b(make-link|pip install|synglancer) .*")
"""What is said of other commands."""


def check_advice(code: int, err: str) -> None:
    """Assert that an error names only options that the command which was run has."""
    if code:
        named = {*_OPTION.findall(_ELSEWHERE.sub("", err))} - {"--help", "--verbose"}
        typed = {word.partition("=")[0] for word in TYPED.get() or ()}
        others = named - typed
        assert not others or others <= {*OPTIONS.get()()}, err


@dataclass(frozen=True)
class Outcome:
    """The outcome of a command: its exit code, stdout and stderr."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    def refuses(self, code: int, *words: str) -> None:
        """Assert that there is an error of two sentences, an empty stdout, no traceback and no
        token."""
        assert (self.code, self.out) == (code, ""), (self.code, self.out, self.err)
        sentences = self.err.strip().splitlines()
        assert len(sentences) == 2, self.err
        assert all(sentence.endswith((".", "?")) for sentence in sentences), self.err
        for word in words:
            assert word in self.err, self.err
        for token in (TOKEN, NO_PERMISSION, MISSING_TERMS):
            assert token not in self.err
