"""The pages that the sandbox shows in place of CAVE's login and terms of service.

Each page says what to do instead.
"""

from __future__ import annotations

from cave_sandbox.web.handler import LOGIN_PATH, Handler

PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>synglancer sandbox</title>\n<h1>{title}</h1>\n"
    "<p>{text}</p>\n"
)
PAGES = {
    "authorize": (
        "There is no login",
        (
            "This server is a sandbox on this machine. Send the token that it was started with in "
            "the header <code>Authorization: Bearer TOKEN</code>."
        ),
    ),
    "tos/3/accept": (
        "There are no terms to accept",
        (
            "This server is a sandbox on this machine. The token you sent belongs to a test "
            "account that has not accepted the terms of service; use another token."
        ),
    ),
}


class LoginHandler(Handler):
    """One of the pages."""

    def get(self, which: str) -> None:
        """Answer with the page."""
        title, text = PAGES[which]
        self.set_header("Content-Security-Policy", "default-src 'none'")
        self.send_text(PAGE.format(title=title, text=text))


ROUTES = [(rf"{LOGIN_PATH}/({'|'.join(PAGES)})", LoginHandler)]
