"""The page that the sandbox shows in place of CAVE's login and terms of service."""

from __future__ import annotations

from cave_sandbox.web.handler import LOGIN_PATH, Handler

PAGE = """<!doctype html>
<html lang=en>
<title>synglancer sandbox</title>
<h1>There is no login here, and there are no terms to accept</h1>
<p>This server is a sandbox on this machine. Send the token that it was started with in the header
<code>Authorization: Bearer TOKEN</code>. If your token belongs to the test account that has not
accepted the terms of service, use another token.</p>
"""


class LoginHandler(Handler):
    """The page."""

    def get(self) -> None:
        """Answer with the page."""
        self.set_header("Content-Security-Policy", "default-src 'none'")
        self.send_text(PAGE)


ROUTES = [(rf"{LOGIN_PATH}/(?:authorize|tos/3/accept)", LoginHandler)]
