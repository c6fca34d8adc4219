"""The files in which a fault can lose money, units or service."""

from typing import Final

_BILLING: Final = (
    "reversals payments settlement parking recovery reconciliation comparing mending "
    "verification balances ledger quota holds "
    "spending upkeep keys checkout confirmation events facts observed store writes spelling "
    "signatures outbox pages purchases plans money vault "
    "deployment refusals gateway"
)
_HANDLERS: Final = "webhook debit_quota hold_quota authorize recover reconcile"
_CLIENT: Final = "aio aio_leases asgi decorator errors forks keeper lease leases meter purse results spender terms wire"
FILES: Final = [
    *(f"functions/billing/{name}.py" for name in _BILLING.split()),
    *(f"functions/{name}.py" for name in _HANDLERS.split()),
    "infra/ops/grants.py",
    *(f"client/src/topup_client/{name}.py" for name in _CLIENT.split()),
]
