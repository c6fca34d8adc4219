"""Opens a charge in the write that takes an account below ``when_below``."""

from datetime import datetime

from billing.books import Opened
from billing.payments import plans
from billing.storage.dynamodb import Store
from billing.top_up import agreement as agreements
from billing.top_up import messages
from billing.top_up.agreement import Agreement
from billing.top_up.opening import opening
from billing.top_up.telling import told_by


class AutomaticCharges:
    """The automatic top-ups of a deployment that offers them."""

    is_on = True

    def __init__(self, queue_url: str) -> None:
        """``queue_url``: where messages hurry a charge."""
        self._queue_url = queue_url

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the rows that open a charge, and what that tells. One read.

        Where none is opened, the agreement must still be the one that forbids it: it may be agreed
        to again at this moment, and then nothing else would see that the account is below.
        """
        found = store.get(*agreements.row(user_id))
        seen = Agreement.from_item(user_id, found)
        plan = plans.catalogue().get(seen.plan)
        opened = opening(seen, plan, now)
        writes = opened.writes or (agreements.pin(seen),)
        return Opened(writes, tuple(told_by(seen, opened.after)))

    def hurry(self, user_id: str) -> None:
        """Send a message, once. The sweep finds the charge if it is lost."""
        messages.hurry(self._queue_url, user_id)
