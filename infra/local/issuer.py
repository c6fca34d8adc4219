"""An OIDC issuer for the local stack: RS256 tokens, code flow with PKCE, three demo users.

Nothing here is for production.

https://openid.net/specs/openid-connect-core-1_0.html and https://www.rfc-editor.org/rfc/rfc7636
"""

import base64
import hashlib
import html
import json
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.local.paths import AUDIENCE

TOKEN_SECONDS: Final = 3600
CODE_SECONDS: Final = 120
DEMO_USERS: Final = ("alice", "bob", "小明")
COOKIE: Final = "topup_demo_user"
LOCAL: Final = ("http://localhost", "http://127.0.0.1")
INVALID_REQUEST: Final = {
    "error": "invalid_request",
    "error_description": "a local redirect_uri and PKCE with S256 are needed",
}


class Keys:
    """The signing key of the issuer, kept in a file so that tokens outlive a restart."""

    def __init__(self, file: Path, issuer: str) -> None:
        """Make the key on first use."""
        if not file.exists():
            key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
            plain = serialization.NoEncryption()
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(pem)
        pem = file.read_bytes()
        self.issuer = issuer
        self.key_id = hashlib.sha256(pem).hexdigest()[:16]
        # Loaded once: loading checks the key, which takes as long as a call of the API.
        loaded = serialization.load_pem_private_key(pem, None)
        assert isinstance(loaded, rsa.RSAPrivateKey)  # noqa: S101 - we made it
        self._key = loaded

    def token(
        self,
        subject: str,
        scope: str = "",
        ttl: int = TOKEN_SECONDS,
        audience: str = AUDIENCE,
        **more: object,
    ) -> str:
        """Return an access token for the local stack's API, with ``more`` claims.

        With a negative ``ttl`` the token has expired already.
        """
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "sub": subject,
            "aud": audience,
            "client_id": audience,
            "iat": now if ttl > 0 else now + ttl - 1,
            "exp": now + ttl,
            "jti": secrets.token_hex(8),
            "scope": scope,
            **more,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self.key_id})

    def public(self) -> dict[str, object]:
        """Return the public key set, with which tokens are verified."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**jwk, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}


def create_app(keys: Keys) -> Starlette:
    """Return the issuer as an ASGI application."""
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
    """What an authorization code stands for, and when it expires."""

    user: str
    challenge: str
    target: str
    nonce: str
    ends: float


class _Desk:
    """Answers the issuer's requests. Codes are kept in memory, for two minutes."""

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
        """Show the users, or redirect at once where one has signed in before."""
        asked = request.query_params
        target = asked.get("redirect_uri", "")
        if not target.startswith(LOCAL) or asked.get("code_challenge_method") != "S256":
            return JSONResponse(INVALID_REQUEST, 400)
        form = await request.form() if request.method == "POST" else {}
        chosen = str(form.get("user", ""))
        user = chosen if chosen in DEMO_USERS else _user_of(request)
        if not user:
            if asked.get("prompt") != "none":
                return HTMLResponse(_page())
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


def session_of(user: str) -> str:
    """Return the cookie value of a user who has signed in before.

    It is not protected, because every user of a local stack may act as any other.
    """
    return base64.urlsafe_b64encode(user.encode()).decode()


def _redirect(target: str, **query: str) -> RedirectResponse:
    return RedirectResponse(f"{target}?{urlencode(query)}", 303)


def _user_of(request: Request) -> str:
    try:
        return base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")).decode()
    except ValueError:
        return ""


def _page() -> str:
    buttons = "".join(_button(html.escape(user)) for user in DEMO_USERS)
    style = "body{font:18px/1.6 system-ui;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    style += "button{font:inherit;width:100%;padding:.7rem;margin:.3rem 0}"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Sign in</title><style>{style}</style><main><h1>Who are you?</h1>"
        f"<p>Demo users of this local stack.</p>{buttons}</main></html>"
    )


def _button(user: str) -> str:
    button = f'<button name="user" value="{user}">Sign in as {user}</button>'
    return f'<form method="post">{button}</form>'
