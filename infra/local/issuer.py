"""An OIDC issuer for the local stack: RS256 tokens, code flow with PKCE, three demo users.

Nothing here is for production.

https://openid.net/specs/openid-connect-core-1_0.html and https://www.rfc-editor.org/rfc/rfc7636
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.local.sign_in_page import COOKIE, DEMO_USERS, page, session_of, user_of
from infra.local.signing_keys import TOKEN_SECONDS, Keys

CODE_SECONDS: Final = 120
LOCAL: Final = ("http://localhost", "http://127.0.0.1")
INVALID_REQUEST: Final = {
    "error": "invalid_request",
    "error_description": "a local redirect_uri and PKCE with S256 are needed",
}


def create_app(keys: Keys) -> Starlette:
    """Return the local stack's OIDC issuer, which signs users in, as an ASGI application.

    ``keys`` sign its tokens.
    """
    desk = _Desk(keys)
    routes = [
        Route("/.well-known/openid-configuration", desk.discovery),
        Route("/.well-known/jwks.json", desk.key_set),
        Route("/authorize", desk.authorize, methods=["GET", "POST"]),
        Route("/token", desk.exchange, methods=["POST"]),
        Route("/logout", desk.logout),
    ]
    cors = Middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["GET", "POST"], allow_headers=["*"]
    )
    return Starlette(routes=routes, middleware=[cors])


@dataclass(frozen=True, slots=True)
class _Code:
    """Holds what one authorization code stands for: the user, and values of the sign-in request.

    ``challenge`` is the PKCE code challenge and ``target`` the redirect URI. ``ends`` is when the
    code expires, in epoch seconds.
    """

    user: str
    challenge: str
    target: str
    nonce: str
    ends: float


class _Desk:
    """Answers the HTTP requests to the local OIDC issuer, which signs the demo users in.

    Authorization codes are kept in memory, for two minutes.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._codes: dict[str, _Code] = {}

    async def discovery(self, _: Request) -> Response:
        base = self._keys.issuer
        return JSONResponse(
            {
                "issuer": base,
                "authorization_endpoint": f"{base}/authorize",
                "token_endpoint": f"{base}/token",
                "end_session_endpoint": f"{base}/logout",
                "jwks_uri": f"{base}/.well-known/jwks.json",
                "response_types_supported": ["code"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "profile"],
            }
        )

    async def key_set(self, _: Request) -> Response:
        return JSONResponse(self._keys.public())

    async def authorize(self, request: Request) -> Response:
        """Show a page on which the user signs in as one of the demo users.

        A user who has signed in before is redirected back at once, with a new code.
        """
        asked = request.query_params
        target = asked.get("redirect_uri", "")
        if not target.startswith(LOCAL) or asked.get("code_challenge_method") != "S256":
            return JSONResponse(INVALID_REQUEST, 400)
        form = await request.form() if request.method == "POST" else {}
        chosen = str(form.get("user", ""))
        user = chosen if chosen in DEMO_USERS else user_of(request)
        if not user:
            if asked.get("prompt") != "none":
                return HTMLResponse(page())
            return _redirect(target, error="login_required", state=asked.get("state", ""))
        code = secrets.token_urlsafe(24)
        challenge, nonce = asked.get("code_challenge", ""), asked.get("nonce", "")
        self._codes[code] = _Code(user, challenge, target, nonce, time.time() + CODE_SECONDS)
        back = _redirect(target, code=code, state=asked.get("state", ""))
        back.set_cookie(COOKIE, session_of(user), httponly=True, samesite="lax")
        return back

    async def exchange(self, request: Request) -> Response:
        """Exchange a code and its verifier for tokens. Each code works once."""
        form = await request.form()
        code = self._codes.pop(str(form.get("code", "")), None)
        verifier = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        proof = base64.urlsafe_b64encode(verifier).decode().rstrip("=")
        fits = code and code.ends >= time.time() and code.target == form.get("redirect_uri")
        if not code or not fits or not secrets.compare_digest(proof, code.challenge):
            return JSONResponse({"error": "invalid_grant"}, 400)
        tokens = {
            "access_token": self._keys.token(code.user, "openid profile"),
            "id_token": self._keys.token(code.user, nonce=code.nonce),
        }
        return JSONResponse({**tokens, "token_type": "Bearer", "expires_in": TOKEN_SECONDS})

    async def logout(self, request: Request) -> Response:
        asked = request.query_params
        target = asked.get("post_logout_redirect_uri") or asked.get("logout_uri") or "/"
        if not target.startswith(LOCAL):
            target = "/"
        gone = RedirectResponse(target, 303)
        gone.delete_cookie(COOKIE)
        return gone


def _redirect(target: str, **query: str) -> RedirectResponse:
    return RedirectResponse(f"{target}?{urlencode(query)}", 303)
