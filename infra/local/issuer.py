"""An OIDC issuer for the stand:

RS256 tokens, code flow with PKCE, three demo users in one click. Nothing here is for production.

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


class Keys:
    """The signing key, kept in a file so that tokens outlive a restart."""

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
        read = serialization.load_pem_private_key(
            pem, None
        )  # once: that it is sound is proved each time, which takes as long as a call
        assert isinstance(read, rsa.RSAPrivateKey)  # noqa: S101 - we made it
        self._key = read

    def token(
        self,
        subject: str,
        scope: str = "",
        ttl: int = TOKEN_SECONDS,
        audience: str = AUDIENCE,
        **more: str,
    ) -> str:
        """An access token for the stand's API, with ``more`` claims.

        A negative ``ttl`` makes one that has expired.
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
        """The key set that verifiers fetch."""
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**jwk, "kid": self.key_id, "use": "sig", "alg": "RS256"}]}


def create_app(keys: Keys) -> Starlette:
    """The issuer as an ASGI application."""
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
    """What a code stands for, and until when."""

    user: str
    challenge: str
    target: str
    nonce: str
    ends: float


class _Desk:
    """Codes under way live in memory: they last two minutes."""

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
        """Show the users, or go straight back when one has signed in before."""
        asked = request.query_params
        target = asked.get("redirect_uri", "")
        if (
            not target.startswith(("http://localhost", "http://127.0.0.1"))
            or asked.get("code_challenge_method") != "S256"
        ):
            return JSONResponse(
                {
                    "error": "invalid_request",
                    "error_description": "a local redirect_uri and PKCE with S256 are needed",
                },
                400,
            )
        form = await request.form() if request.method == "POST" else {}
        chosen = str(form.get("user", ""))
        user = chosen if chosen in DEMO_USERS else _user_of(request)
        if not user:
            if asked.get("prompt") == "none":
                return RedirectResponse(
                    f"{target}?{urlencode({'error': 'login_required', 'state': asked.get('state', '')})}",
                    303,
                )
            return HTMLResponse(_page())
        code = secrets.token_urlsafe(24)
        ends = time.time() + CODE_SECONDS
        self._codes[code] = _Code(
            user, asked.get("code_challenge", ""), target, asked.get("nonce", ""), ends
        )
        back = RedirectResponse(
            f"{target}?{urlencode({'code': code, 'state': asked.get('state', '')})}", 303
        )
        back.set_cookie(COOKIE, session_of(user), httponly=True, samesite="lax")
        return back

    async def exchange(self, request: Request) -> Response:
        """A code and its verifier for tokens; each code once."""
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
        target = (
            request.query_params.get("post_logout_redirect_uri")
            or request.query_params.get("logout_uri")
            or "/"
        )
        gone = RedirectResponse(
            target if target.startswith(("http://localhost", "http://127.0.0.1")) else "/", 303
        )
        gone.delete_cookie(COOKIE)
        return gone


def session_of(user: str) -> str:
    """The cookie of somebody who has signed in before.

    Nothing protects it: whoever runs a stand may be anybody there.
    """
    return base64.urlsafe_b64encode(user.encode()).decode()


def _user_of(request: Request) -> str:
    try:
        return base64.urlsafe_b64decode(request.cookies.get(COOKIE, "")).decode()
    except ValueError:
        return ""


def _page() -> str:
    buttons = "".join(
        f'<form method="post"><button name="user" value="{html.escape(user)}">Sign in as {html.escape(user)}</button></form>'
        for user in DEMO_USERS
    )
    style = "body{font:18px/1.6 system-ui;max-width:24rem;margin:15vh auto;padding:0 1rem}"
    style += "button{font:inherit;width:100%;padding:.7rem;margin:.3rem 0}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Sign in</title><style>{style}</style><main><h1>Who are you?</h1><p>Demo users of this stand.</p>{buttons}</main></html>"
    )
