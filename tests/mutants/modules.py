"""The files in which a fault can lose money, units or service."""

from typing import Final

from mutants.snapshot import ROOT

_PACKAGES: Final = (
    "storage",
    "stripe_api",
    "quota",
    "expiry",
    "spending",
    "holds",
    "keys",
    "lots",
    "grants",
    "account",
    "payments",
    "parked",
    "settlement",
    "buying",
    "charging",
    "agreements",
    "top_up",
    "notices",
    "reconciliation",
    "audit",
)
"""Of ``functions/billing``, as far as they are there: every file of theirs."""
_SHARED: Final = "facts money deployment cursors wiring/secrets"
_HANDLERS: Final = (
    "webhook debit_quota hold_quota authorize recover reconcile notify grant_quota auto_top_up"
)


def _found(folder: str, names: str = "*") -> list[str]:
    """The modules of those names that there are, relative to the root."""
    paths = (path for name in names.split() for path in (ROOT / folder).glob(f"{name}.py"))
    return sorted(str(path.relative_to(ROOT)) for path in paths if path.stem != "__init__")


FILES: Final = [
    *_found("functions/billing", _SHARED),
    *(file for package in _PACKAGES for file in _found(f"functions/billing/{package}")),
    *_found("functions", _HANDLERS),
    "infra/cli/commands/grant.py",
    *_found("client/src/topup_client"),
]
