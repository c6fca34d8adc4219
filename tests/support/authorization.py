"""The authorization-code flow with PKCE, asked as functions/site/signin.js asks.

https://www.rfc-editor.org/rfc/rfc7636
"""

import base64
import hashlib


def request(client_id: str, back: str, verifier: str, state: str, **more: str) -> dict[str, str]:
    """The query of the authorization endpoint.

    ``back``: where the issuer sends the customer with a code.
    """
    challenge = (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    )
    return {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": back,
        "scope": "openid profile",
        "state": state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **more,
    }
