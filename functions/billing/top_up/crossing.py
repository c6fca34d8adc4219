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
        """Keep ``queue_url``, and send nothing yet.

        It is the SQS queue for messages that ask to run a charge now.
        """
        self._queue_url = queue_url

    def open(self, store: Store, user_id: str, now: datetime) -> Opened:
        """Return the writes that open an automatic charge, and its events.

        Only the customer's agreement to automatic top-ups is read. If it
        allows no charge now, the only write is a condition: DynamoDB refuses
        the caller's transaction if the agreement has changed since. Otherwise,
        a customer who agrees at this moment could stay below ``when_below``,
        the agreed threshold, without a charge.
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
