"""The scopes that tokens must have, and those that a token's claims grant."""

from typing import Final

SCOPE: Final = "quota.write"
GRANT_SCOPE: Final = "quota.grant"
"""Its own scope: a leaked token that spends cannot give units away."""


def scopes(scope: str) -> frozenset[str]:
    """Return a scope as template.yaml's routes ask for it.

    It is bare, or behind the name of Cognito's resource server.
    """
    return frozenset({scope, f"topup/{scope}"})


SCOPES: Final = scopes(SCOPE)


def scopes_in(claim: object) -> set[str]:
    """Return the scopes in a claim: separated by spaces, or a list.

    API Gateway passes a list as the text ``[a b]``.
    """
    if isinstance(claim, list):
        return {scope for scope in claim if isinstance(scope, str)}
    if not isinstance(claim, str):
        return set()
    if claim.startswith("[") and claim.endswith("]"):
        claim = claim[1:-1]
    return set(claim.split())
