"""Check the token of a request as CAVE's services do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["good", "bad-header", "no-token", "invalid", "no-permission", "missing-tos"]


@dataclass(frozen=True)
class Auth:
    """The tokens that the sandbox knows: one with all permissions, and two that are refused.

    The owner of one refused token may see no datastack; the owner of the other has not accepted
    the terms of service.

    Examples
    --------
    >>> Auth("s3cret").judge("Bearer s3cret", None), Auth("s3cret").judge(None, "guess")
    ('good', 'invalid')
    """

    token: str = field(repr=False)
    no_permission_token: str | None = field(default=None, repr=False)
    missing_tos_token: str | None = field(default=None, repr=False)

    def judge(self, header: str | None, cookie: str | None) -> Verdict:
        """Judge the token in a request's ``Authorization`` header, or otherwise in its cookie.

        A token in the address is ignored, because addresses end up in logs and histories.
        """
        if header is not None and not header.startswith("Bearer"):
            return "bad-header"
        given = cookie if header is None else header.removeprefix("Bearer").strip()
        if given is None:
            return "no-token"
        if _same(given, self.token):
            return "good"
        if _same(given, self.no_permission_token):
            return "no-permission"
        return "missing-tos" if _same(given, self.missing_tos_token) else "invalid"


def _same(given: str, known: str | None) -> bool:
    """Compare two tokens in constant time, which reveals nothing about them."""
    return known is not None and hmac.compare_digest(given.encode(), known.encode())
