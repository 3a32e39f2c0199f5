"""Who may ask: the token checks of CAVE's services, with CAVE's own refusals.

It knows tokens and the words and headers of a refusal.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tornado.web import RequestHandler

__all__ = ["Auth"]

#: Where CAVE keeps its login page; the sandbox answers below the same path.
LOGIN_PATH = "/sticky_auth/api/v1"

#: The state server refuses in plain text, all others in JSON.
PLAIN_TEXT_SERVICES = frozenset({"nglstate"})

REDIRECT_PAGE = (
    "<!doctype html>\n<html lang=en>\n<title>Redirecting...</title>\n<h1>Redirecting...</h1>\n"
    "<p>You should be redirected automatically to the target URL: "
    '<a href="{url}">{url}</a>. If not, click the link.\n'
)


@dataclass(frozen=True)
class Auth:
    """The tokens that the sandbox knows, and what each of them may do.

    Parameters
    ----------
    token
        The token that may do everything.
    no_permission_token
        A token that is valid and may see no datastack, or None.
    missing_tos_token
        A token whose owner has not accepted the terms of service, or None.

    Examples
    --------
    >>> Auth("s3cret").knows("s3cret"), Auth("s3cret").knows("guess")
    (True, False)
    """

    token: str = field(repr=False)
    no_permission_token: str | None = field(default=None, repr=False)
    missing_tos_token: str | None = field(default=None, repr=False)

    def knows(self, given: str) -> bool:
        """Whether a token is one of the sandbox's."""
        return any(
            _same(given, known)
            for known in (self.token, self.no_permission_token, self.missing_tos_token)
        )

    def check(self, handler: RequestHandler, service: str, dataset: str | None = None) -> bool:
        """Let a request pass, or answer it with CAVE's refusal.

        Parameters
        ----------
        handler
            The request; it is finished when it is refused.
        service
            Name of the service that is asked (``info``, ``materialize``, ``nglstate``, ...).
        dataset
            The datastack that is read, or None when being logged in is enough.

        Returns
        -------
        bool
            True when the request may go on, False when it has been refused.
        """
        header = handler.request.headers.get("Authorization")
        if header is not None and not header.startswith("Bearer"):
            self._refuse_header(handler, service)
            return False
        given = _given_token(handler, header)
        if given is None:
            self._refuse_missing(handler, service)
            return False
        if not self.knows(given):
            self._refuse_invalid(handler, service)
            return False
        return dataset is None or self._may_view(handler, given, dataset)

    def _may_view(self, handler: RequestHandler, given: str, dataset: str) -> bool:
        """Let a known token see a datastack, or refuse it."""
        if _same(given, self.no_permission_token):
            body: dict[str, object] = {
                "data": {"auth_dataset": dataset, "required_permission": "view"},
                "error": "missing_permission",
                "message": f"Missing permission: view for dataset {dataset}",
            }
        elif _same(given, self.missing_tos_token):
            terms = {
                "tos_form_url": f"{_origin(handler)}{LOGIN_PATH}/tos/3/accept",
                "tos_id": 3,
                "tos_name": "MICrONS Public Synapse/Tables",
            }
            message = "Need to accept Terms of Service to access resource."
            body = {"data": terms, "error": "missing_tos", "message": message}
        else:
            return True
        _answer(handler, 403, body)
        return False

    def _refuse_missing(self, handler: RequestHandler, service: str) -> None:
        headers = handler.request.headers
        if "X-Requested-With" in headers or "Origin" in headers:
            _challenge(handler)
            body = {"error": "no_token", "message": "Unauthorized - No Token Provided"}
            _answer(handler, 401, body, "Unauthorized", service)
            return
        origin = _origin(handler)
        uri = handler.request.uri or "/"
        login = f"{origin}{LOGIN_PATH}/authorize?redirect={quote(origin + uri)}"
        handler.set_status(302)
        handler.set_header("Location", login)
        handler.set_header("Content-Type", "text/html; charset=utf-8")
        handler.finish(REDIRECT_PAGE.format(url=login))

    def _refuse_invalid(self, handler: RequestHandler, service: str) -> None:
        _challenge(handler, "invalid_token", "Invalid/Expired Token")
        body = {"error": "invalid_token", "message": "Unauthorized - Token is Invalid or Expired"}
        _answer(handler, 401, body, "Invalid/Expired Token", service)

    def _refuse_header(self, handler: RequestHandler, service: str) -> None:
        _challenge(handler, "invalid_request", "Header must begin with 'Bearer'")
        body = {
            "error": "bad_auth_header",
            "message": "Authorization header must begin with 'Bearer'",
        }
        _answer(handler, 400, body, "Invalid Request", service)


def _given_token(handler: RequestHandler, header: str | None) -> str | None:
    """Return the token of the header, else of the cookie.

    A token in the address is not looked at: addresses end in logs and histories.
    """
    if header is not None:
        return header.removeprefix("Bearer").strip()
    return handler.get_cookie("middle_auth_token")


def _same(given: str, known: str | None) -> bool:
    """Compare two tokens in a time that tells nothing about them."""
    return known is not None and hmac.compare_digest(given.encode(), known.encode())


def _origin(handler: RequestHandler) -> str:
    return f"{handler.request.protocol}://{handler.request.host}"


def _challenge(
    handler: RequestHandler, error: str | None = None, description: str | None = None
) -> None:
    parts: Iterable[str] = [f'Bearer realm="{_origin(handler)}{LOGIN_PATH}/authorize"']
    if error is not None:
        parts = [*parts, f'error="{error}"', f'error_description="{description}"']
    handler.set_header("WWW-Authenticate", ", ".join(parts))


def _answer(
    handler: RequestHandler,
    status: int,
    body: Mapping[str, object],
    text: str | None = None,
    service: str = "",
) -> None:
    handler.set_status(status)
    if text is not None and service in PLAIN_TEXT_SERVICES:
        handler.set_header("Content-Type", "text/html; charset=utf-8")
        handler.finish(text)
        return
    handler.set_header("Content-Type", "application/json")
    handler.finish(json.dumps(body))
