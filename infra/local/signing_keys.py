"""Keeps the signing key of the local sign-in issuer, and signs access tokens with it."""

import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.paths import AUDIENCE

TOKEN_SECONDS: Final = 3600


class Keys:
    """Signs the tokens of the local sign-in with a key that is kept in a file.

    So tokens stay valid when the local stack restarts. ``public`` returns the keys that verify
    them.
    """

    def __init__(self, file: Path, issuer: str) -> None:
        """Read the signing key from ``file``. It is created if there is no such file."""
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
