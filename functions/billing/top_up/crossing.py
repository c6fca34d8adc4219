"""Opens an automatic charge in the write that makes it necessary.

That is the write that takes an account below ``when_below``, the threshold in
the customer's agreement.
"""

from datetime import datetime

from billing.agreements import rows
from billing.agreements.agreement import Agreement
from billing.books import Opened
from billing.payments import plans
from billing.storage.dynamodb import Store
from billing.top_up import messages
from billing.top_up.opening import opening
from billing.top_up.telling import told_by


class AutomaticCharges:
    """Opens a customer's automatic charge when too few units are left.

    To open a charge is to store it, before it is sent to Stripe. A deployment
    that offers automatic top-ups uses this class, others use NoTopUps.
    """

    is_on = True

    def __init__(self, queue_url: str) -> None:
        """``queue_url`` is the SQS queue to which ``hurry`` sends."""
        self._queue_url = queue_url

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the rows that open a charge, and the events that it causes.

        It reads the customer's agreement, and nothing else. If no charge may
        be opened, it returns a write that is refused if the agreement has
        changed: the customer may be agreeing again at this moment, and
        otherwise nothing would notice that the account is below
        ``when_below``, the agreed threshold.
        """
        found = store.get(*rows.row(user_id))
        seen = Agreement.from_item(user_id, found)
        plan = plans.catalogue().get(seen.plan)
        opened = opening(seen, plan, now)
        writes = opened.writes or (rows.pin(seen),)
        return Opened(writes, tuple(told_by(seen, opened.after)))

    def hurry(self, user_id: str) -> None:
        """Send an SQS message that asks to run the customer's charge now.

        It is sent once, and a failure raises nothing. If the message is lost,
        a job that runs each minute (the sweep) finds the charge.
        """
        messages.hurry(self._queue_url, user_id)
