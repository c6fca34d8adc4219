"""Defines the scopes that tokens must have, and reads a token's scopes."""

from typing import Final

SCOPE: Final = "quota.write"
GRANT_SCOPE: Final = "quota.grant"
"""The scope for grants. It is separate, so that a leaked token for debits
cannot grant units.
"""


def scopes(scope: str) -> frozenset[str]:
    """Return the names under which a token may have this scope.

    For ``quota.write`` they are that and ``topup/quota.write``, which has
    the name of Cognito's resource server before it. The routes in
    template.yaml ask for the same names.
    """
    return frozenset({scope, f"topup/{scope}"})


SCOPES: Final = scopes(SCOPE)


def scopes_in(claim: object) -> set[str]:
    """Return the scopes in a token's claim.

    They are separated by spaces, or in a list, which API Gateway passes as
    the text ``[a b]``.
    """
    if isinstance(claim, list):
        return {scope for scope in claim if isinstance(scope, str)}
    if not isinstance(claim, str):
        return set()
    if claim.startswith("[") and claim.endswith("]"):
        claim = claim[1:-1]
    return set(claim.split())
