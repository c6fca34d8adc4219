"""The files in which a fault can lose money, units or service."""

from typing import Final

_BILLING: Final = (
    "facts money deployment cursors "
    "storage/dynamodb storage/writes storage/expressions storage/keys "
    "stripe_api/client stripe_api/signatures stripe_api/events stripe_api/objects "
    "stripe_api/refusals "
    "quota/balance quota/ledger quota/debits quota/holds quota/spending quota/hold_expiry "
    "quota/daily_usage quota/history quota/key_use quota/key_days "
    "keys/api_keys keys/changes keys/counting keys/costs keys/figures keys/held keys/limits "
    "payments/payment payments/reversals payments/plans payments/checkout payments/settlement "
    "payments/parking payments/fact_queue payments/confirmation payments/queries "
    "reconciliation/run reconciliation/compare reconciliation/report reconciliation/retry_parked "
    "reconciliation/audit reconciliation/repair wiring/secrets"
)
_HANDLERS: Final = "webhook debit_quota hold_quota authorize recover reconcile"
_CLIENT: Final = (
    "aio aio_leases asgi decorator errors forks keeper lease leases meter purse results spender "
    "terms wire"
)
FILES: Final = [
    *(f"functions/billing/{name}.py" for name in _BILLING.split()),
    *(f"functions/{name}.py" for name in _HANDLERS.split()),
    "infra/cli/commands/grant.py",
    *(f"client/src/topup_client/{name}.py" for name in _CLIENT.split()),
]
