"""The files in which a fault can lose money, units or service."""

from typing import Final

_BILLING: Final = (
    "facts money deployment cursors "
    "storage/dynamodb storage/writes storage/expressions storage/keys "
    "stripe_api/client stripe_api/signatures stripe_api/events stripe_api/objects "
    "stripe_api/refusals "
    "quota/balance quota/ledger quota/debits quota/holds quota/spending quota/hold_expiry "
    "quota/daily_usage quota/history keys/api_keys "
    "payments/payment payments/reversals payments/plans payments/checkout payments/settlement "
    "payments/parking payments/fact_queue payments/confirmation payments/queries "
    "reconciliation/run reconciliation/compare reconciliation/report reconciliation/retry_parked "
    "reconciliation/audit reconciliation/repair wiring/secrets"
)
_HANDLERS: Final = "webhook debit_quota hold_quota authorize recover reconcile"
_CLIENT: Final = (
    "aio aio_leases aio_meter answers asgi closing costs decorator errors forks json_lines keeper "
    "lease leases locks memory meter purse results service sizing spender terms tranche wire"
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
