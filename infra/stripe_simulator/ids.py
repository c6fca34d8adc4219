"""Makes ids in Stripe's format for each kind of object."""

import secrets
import string
from typing import Final

_LETTERS: Final = string.ascii_letters + string.digits
PREFIXES: Final = {
    "checkout.session": ("cs_test_a1", 56),
    "payment_intent": ("pi_3", 23),
    "payment_method": ("pm_1", 23),
    "customer": ("cus_", 14),
    "charge": ("ch_3", 23),
    "refund": ("re_3", 23),
    "dispute": ("du_1", 23),
    "balance_transaction": ("txn_1", 23),
    "event": ("evt_1", 23),
    "webhook_endpoint": ("we_1", 23),
    "item": ("li_1", 23),
    "price": ("price_1", 23),
    "product": ("prod_", 14),
    "request": ("req_", 14),
    "webhook_secret": ("whsec_", 32),
}


def new_id(kind: str) -> str:
    """Return a new id for an object of this kind, for example ``cus_...`` for a customer."""
    prefix, length = PREFIXES[kind]
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(length))
