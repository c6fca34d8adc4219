"""The books after ``topup restore``: the same deployment, keys that were revoked, and what was sold
in between.
"""

import contextlib

import pytest
from billing import deployment
from billing.audit.repair import repair_account
from billing.clock import epoch, utc_now
from billing.keys.holders import holder
from billing.reconciliation import run
from billing.reconciliation.job import Run
from billing.reconciliation.report import Report
from functional.lab import Lab, forget
from functional.restoring import environment, production, restore
from simulator.lab import Lab as Stripe

from infra.cli.books.verification import examine
from infra.cli.errors import OperatorError
from infra.cli.restore.revived_keys import revived, revoke_again
from infra.cli.target import TargetStack


@pytest.fixture
def target(lab: Lab) -> TargetStack:
    """A stack of production."""
    lab.fund("alice", 70)
    return production(lab)


def test_a_restore_to_before_the_first_sale_is_the_same_deployment(target: TargetStack) -> None:
    """Without its id every session of its own would be another deployment's,
    and never be credited.
    """
    client = target.client("dynamodb")
    rows = [("PaymentsTable", ("owner", "id")), ("WebhookEventsTable", ("subject", "fact_id"))]
    found = {}
    for table, names in rows:
        key = dict(zip(names, ({"S": part} for part in deployment.KEY), strict=True))
        found[table] = client.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")[
            "Attributes"
        ]
    with contextlib.suppress(OperatorError):
        restore(target)
    for table, row in found.items():
        client.put_item(TableName=table, Item=row)  # made by the first sale, after that second
    new = restore(target)
    books = new.books()
    books.store.deadline.begin()
    assert (
        deployment.StoredDeployment(books.store).known()
        == found["PaymentsTable"]["deployment"]["S"]
    )


def test_keys_that_a_restore_revives_are_named_and_revoked_again(
    lab: Lab, target: TargetStack
) -> None:
    """Those made afterwards are gone, and those that live in both stay."""
    made = [
        lab.call("POST", "/keys", sub="alice", body={"name": name}).json
        for name in ("kept", "revoked")
    ]
    new = restore(target)
    assert lab.call("DELETE", f"/keys/{made[1]['key_id']}", sub="alice").status == 204
    lab.call("POST", "/keys", sub="alice", body={"name": "later"})
    found = revived(target, new)
    assert [(key.user_id, key.key_id) for key in found] == [("alice", made[1]["key_id"])]
    revoke_again(new, found)
    revoke_again(new, found)
    assert revived(target, new) == []
    books = new.books()
    books.store.deadline.begin()
    presented = [holder(books, "local", row["key"]) for row in made]
    assert [one.key_id if one else None for one in presented] == [made[0]["key_id"], None]


class Shop:
    """Buyers at the handlers, paid at the simulator, confirmed."""

    def __init__(self, lab: Lab, stripe: Stripe) -> None:
        """Nothing was sold."""
        self.lab, self.stripe = lab, stripe

    def sell(self, user: str, plan: str = "starter") -> str:
        """A purchase that is credited. Returns the payment's id."""
        said = self.lab.call("POST", "/payments/checkout", sub=user, body={"plan": plan})
        assert said.status == 201, said
        self.stripe.control(f"sessions/{said.json['session_id']}/pay", method="card")
        assert (
            self.lab.call("POST", f"/payments/{said.json['payment_id']}/confirm", sub=user).json[
                "status"
            ]
            == "completed"
        )
        paid: str = said.json["payment_id"]
        return paid

    def spend(self, user: str, units: int) -> None:
        """As the seller's backend does."""
        said = self.lab.call(
            "POST",
            "/quota/debits",
            sub="backend",
            scope="quota.write",
            body={"user_id": user, "units": units},
        )
        assert said.status == 200, said


def _reconcile(target: TargetStack) -> Report:
    books = target.books()
    books.store.deadline.begin()
    job = Run(books, target.gateway(books), repair=True, resumes=False)
    return run.run(job, epoch(utc_now()) - 86_400)


def _nobody_watches(steps: int = 1, *, now: str = "") -> None:
    del steps, now


def _differences(target: TargetStack) -> list[str]:
    return [row["user_id"] for row in examine(target.books(), 1, _nobody_watches).findings]


def test_what_was_sold_in_between_is_credited_once_and_the_way_back_works(
    lab: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sold, restored, sold and spent; switched, reconciled, verified; nothing is lost or doubled,
    and then all the way back.
    """
    shop = Shop(lab, stripe_side)
    first = shop.sell("dora")
    shop.spend("dora", 30)
    target = production(lab)
    new = restore(target)
    second, third = shop.sell("dora", "pro"), shop.sell("erik")
    shop.spend("dora", 50)
    before = {user: lab.quota(user) for user in ("dora", "erik")}
    with monkeypatch.context() as patch:
        for name, value in environment(new).items():
            patch.setenv(name, value)
        forget(clients=True)
        assert lab.quota("dora")["total"] == 100
        for _ in range(2):
            report = _reconcile(new)
            assert report.failed == 0, report
        for user in _differences(new):
            books = new.books()
            books.store.deadline.begin()
            repair_account(Run(books, new.gateway(books), repair=True, resumes=False), user)
        assert _differences(new) == []
        dora, erik = lab.quota("dora"), lab.quota("erik")
        assert (dora["total"], dora["used"], dora["remaining"]) == (1100, 30, 1070)
        assert (erik["total"], erik["used"], erik["remaining"]) == (100, 0, 100)
        for user, payment in (("dora", first), ("dora", second), ("erik", third)):
            assert lab.call("GET", f"/payments/{payment}", sub=user).json["status"] == "completed"
        entries = lab.call("GET", "/quota/ledger", sub="dora").json["entries"]
        assert sorted(row["units"] for row in entries if row["type"] == "funded") == [100, 1000]
        shop.sell("erik")  # the deployment's id is the same one: its own sessions are still its own
        assert lab.quota("erik")["total"] == 200
    forget(clients=True)
    assert {user: lab.quota(user) for user in before} == before
    _reconcile(target)
    assert lab.quota("erik")["total"] == 200
    assert _differences(target) == []
