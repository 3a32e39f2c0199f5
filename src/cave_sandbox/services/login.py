"""The pages behind the sandbox's refusals: where CAVE would ask to log in or to accept terms.

They say what to do instead.
"""

from __future__ import annotations

from typing import Any

from cave_sandbox.services.auth import LOGIN_PATH
from cave_sandbox.web.handler import Handler

__all__ = ["routes"]

PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>synglancer sandbox</title>\n<h1>{title}</h1>\n"
    "<p>{text}</p>\n"
)
PAGES = {
    "authorize": (
        "No login here",
        (
            "This is a sandbox on this machine. It takes the token that it was started with, in "
            "the header <code>Authorization: Bearer TOKEN</code>."
        ),
    ),
    "tos/3/accept": (
        "No terms here",
        (
            "This is a sandbox on this machine. One of its tokens stands for an account that has "
            "not accepted the terms of service; use another one."
        ),
    ),
}


class LoginHandler(Handler):
    """One of the pages."""

    def get(self, which: str) -> None:
        """Answer it."""
        title, text = PAGES[which]
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", "default-src 'none'")
        self.finish(PAGE.format(title=title, text=text))


def routes() -> list[Any]:
    """Return the routes of the pages."""
    return [(rf"{LOGIN_PATH}/({'|'.join(PAGES)})", LoginHandler)]
