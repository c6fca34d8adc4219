"""Defines one simulated Stripe account: its objects, deliveries, secret keys and faults."""

from pathlib import Path

from infra.stripe_simulator.api.faults import Faults
from infra.stripe_simulator.api.idempotency import Answers
from infra.stripe_simulator.deliveries.sender import Deliveries
from infra.stripe_simulator.objects import purchases, settling
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.settings import API_VERSION, Timing, WebhookTarget
from infra.stripe_simulator.store import Store


class Simulator:
    """One simulated Stripe account, in test mode. ``app.application`` serves it."""

    def __init__(
        self,
        base_url: str,
        secret_key: str,
        file: Path | str = ":memory:",
        *,
        api_version: str = API_VERSION,
        timing: Timing | None = None,
        clock_file: Path | None = None,
    ) -> None:
        """``base_url`` is the simulator's own address, ``file`` is where objects are stored.

        Other programs read from ``clock_file``, if given, by how many seconds the simulator's
        clock was advanced.
        """
        timing = timing or Timing()
        self.store = Store(file, timing.clock, clock_file)
        self.deliveries = Deliveries(self.store, timing)
        self.world = World(self.store, self.deliveries, base_url, api_version)
        self.faults = Faults()
        self.answers = Answers(self.store)
        self.secret_keys: tuple[str, ...] = (secret_key,)
        self._given: tuple[WebhookTarget, ...] = ()
        self.refresh_targets()

    def deliver_to(self, *targets: WebhookTarget) -> None:
        """Send webhooks to ``targets``, in place of those of the last call.

        Endpoints that were created with the API get them as well.
        """
        self._given = targets
        self.refresh_targets()

    def accept_keys(self, *secret_keys: str) -> None:
        """Accept exactly these secret keys until the simulator stops.

        While a key is being rolled, the old and the new one are both valid:
        https://docs.stripe.com/keys#rolling-keys
        """
        self.secret_keys = secret_keys

    def refresh_targets(self) -> None:
        """Read the webhook endpoints again after one was created, changed or deleted."""
        rows = list(self.store.newest_first("webhook_endpoint"))
        made = [
            WebhookTarget(
                row["url"],
                self.store.note(f"secret:{row['id']}"),
                events=tuple(row["enabled_events"]),
                endpoint_id=row["id"],
            )
            for row in rows
            if row["status"] == "enabled"
        ]
        disabled = [row["id"] for row in rows if row["status"] != "enabled"]
        self.deliveries.disabled = frozenset(disabled)
        self.deliveries.targets = {target.name: target for target in (*self._given, *made)}
        self.deliveries.wake()

    def do_housekeeping(self) -> None:
        """Do what is due by the simulator's clock, which tests can advance.

        Expires sessions, ends card charges that are still processing, deletes idempotency answers
        after a day and undelivered webhooks after three days, and makes the sender look for due
        webhooks.
        """
        purchases.expire_overdue(self.world)
        settling.settle_due(self.world)
        self.answers.prune()
        self.deliveries.queue.give_up_old()
        self.deliveries.wake()
