"""A shop's day in two minutes, on a stand: what fills every graph of the dashboard that a stand can fill."""

from typing import Any

from support.stand import Stand

ROUNDS = 60
CUSTOMERS = ("alice", "bob", "carol", "dave")


class Day:
    """Purchases and calls all day long; declines, repeats, refunds, empty accounts, late, lost and forged deliveries at their hours."""

    def __init__(self, stand: Stand) -> None:
        """Every customer begins with a purchase and a key."""
        self._stand = stand
        self._bought = [stand.purchase(name) for name in CUSTOMERS]
        self._keys = [
            stand.call("POST", "/keys", sub=name, body={"name": "shop"}).json()["key"]
            for name in CUSTOMERS
        ]

    def spend(self) -> None:
        """From opening to closing."""
        for number in range(ROUNDS):
            self._usual(number)
            for hour, act in (
                (8, self._mismatch),
                (16, self._late),
                (22, self._on_time),
                (27, self._lost),
                (36, self._reconcile),
            ):
                if number == hour:
                    act()
            if number in range(44, 48):
                self._forge()
            if number == 52:
                self._without_stripe()

    def _usual(self, number: int) -> None:
        customer = CUSTOMERS[number % len(CUSTOMERS)]
        session_id = self._stand.buy(customer)["session_id"]
        self._stand.control(
            f"sessions/{session_id}/pay", method="declined" if number % 9 == 4 else "card"
        )
        for call in range(1 + number % 4):
            self._debit(customer, 1 + call)
            self._authorize(call)
        if number % 5 == 2:
            self._hold(customer)
        if number % 6 == 3:
            self._debit(customer, 50_000)
        if number % 7 == 5:
            self._again()
        if number % 13 == 6:
            self._refund(number)
        if number % 4 == 0:
            self._stand.invoke("RecoverFunction", {})

    def _debit(self, customer: str, units: int) -> None:
        self._stand.call(
            "POST",
            "/quota/debits",
            sub="backend",
            scope="quota.write",
            body={"user_id": customer, "units": units},
        )

    def _authorize(self, number: int) -> None:
        self._stand.invoke(
            "AuthorizeFunction",
            {"type": "REQUEST", "headers": {"x-api-key": self._keys[number % len(self._keys)]}},
        )

    def _hold(self, customer: str) -> None:
        body = {"user_id": customer, "units": 5, "expires_in_seconds": 60}
        hold = self._stand.call(
            "POST", "/quota/holds", sub="backend", scope="quota.write", body=body
        ).json()
        if "hold_id" in hold:
            self._stand.call(
                "POST",
                f"/quota/holds/{hold['hold_id']}/capture",
                sub="backend",
                scope="quota.write",
                body={"units": 5},
            )

    def _event(self) -> dict[str, Any]:
        return self._stand.events("checkout.session.completed", self._bought[0]["session_id"])[0]

    def _again(self) -> None:
        for _ in range(3):
            self._stand.deliver(self._event())

    def _refund(self, number: int) -> None:
        """A third of somebody's first purchase."""
        session = self._stand.stripe.v1.checkout.sessions.retrieve(
            self._bought[number % len(CUSTOMERS)]["session_id"]
        )
        self._stand.stripe.v1.refunds.create(
            {"payment_intent": str(session.payment_intent), "amount": 333}
        )

    def _mismatch(self) -> None:
        """Money twice for one payment: parked until a person decides."""
        event = self._event()
        event["id"], event["data"]["object"]["id"] = (
            "evt_made_up_for_the_picture",
            "cs_test_made_up_for_the_picture",
        )
        self._stand.deliver(event)

    def _late(self) -> None:
        self._stand.control("deliveries", pause=True)

    def _on_time(self) -> None:
        self._stand.control("deliveries", pause=False)
        self._stand.control("idle")

    def _lost(self) -> None:
        self._stand.control("deliveries", drop=1)
        for customer in CUSTOMERS[:3]:
            self._stand.pay(self._stand.buy(customer)["session_id"])
        self._stand.control("deliveries", drop=0)

    def _reconcile(self) -> None:
        self._stand.invoke("ReconcileFunction", {})

    def _forge(self) -> None:
        for _ in range(2):
            self._stand.deliver(self._event(), "whsec_somebody_guesses")

    def _without_stripe(self) -> None:
        self._stand.control("faults", route="POST /v1/checkout/sessions", status=500, times=2)
        for customer in CUSTOMERS[:2]:
            self._stand.call("POST", "/payments/checkout", sub=customer, body={"plan": "starter"})
