"""``topup restore`` on moto, which restores: settings, resumption, refusals, and the books afterwards."""

import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from billing import deployment, keys, mending, reconciliation
from billing.differences import Report
from billing.reconciliation import Run
from billing.times import epoch, utc_now
from functional.lab import Lab, forget
from functional.restoring import AT, DeadError, dying, environment, only, production, reach, refusing, restore, restore_tables, state
from simulator.lab import Lab as Stripe

from infra.ops.errors import OperatorError
from infra.ops.ledgers import examine
from infra.ops.place import Place
from infra.ops.restore_time import suffix
from infra.ops.restoring import planned
from infra.ops.revived_keys import revived, revoke_again
from infra.ops.switching import check_ready

CHANGES_MADE = 11
"""Of two tables: restore, billing mode, recovery, tags and protection of each; and the expiry of one."""


@pytest.fixture
def place(lab: Lab) -> Place:
    """A stack of production."""
    lab.fund("alice", 70)
    return production(lab)


@pytest.fixture
def two(place: Place) -> Place:
    """With a table that expires, and one that does not. The others are like them."""
    return only(place, "KeysTable", "QuotasTable")


def test_a_restore_has_every_setting_and_every_row(place: Place) -> None:
    """Recovery, expiry, protection, tags, billing and indexes: what AWS leaves behind, and what it does not."""
    new = restore(place)
    assert new.tables() == {logical: f"{logical}{suffix(AT)}" for logical in place.tables()}
    assert state(new) == state(place)
    check_ready(new)


def test_a_restore_that_is_done_changes_nothing_more(place: Place) -> None:
    """The same command again finds everything there."""
    new = restore(place)
    before = state(new)
    with dying(place, 1, before=True) as made:
        _, jobs = planned(place, place.tables(), AT)
        for job in jobs:
            job.start()
            job.settle(lambda _: None)
    assert made == []
    assert state(new) == before


def test_every_change_can_be_the_last_before_a_death(two: Place) -> None:
    """The cases below are all that there are."""
    with dying(two, 0, before=True) as made:
        restore_tables(two)
    assert len(made) == CHANGES_MADE


def test_settings_that_change_later_are_brought_to_the_tables_in_use(place: Place) -> None:
    """CloudFormation changes its own tables alone; the same command again does the rest."""
    new = restore(place)
    arn = place.client("dynamodb").describe_table(TableName="KeysTable")["Table"]["TableArn"]
    place.client("dynamodb").tag_resource(ResourceArn=arn, Tags=[{"Key": "team", "Value": "payments"}])
    assert state(new) != state(place)
    with pytest.raises(OperatorError, match=r"KeysTable.* lacks tags"):
        check_ready(new)
    with dying(place, 2, before=True) as made:
        assert state(restore(new)) == state(place)
    assert made == ["TagResource"]


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, CHANGES_MADE + 1))
def test_an_interrupted_restore_goes_on(two: Place, number: int, *, is_before: bool) -> None:
    """Whichever change was the last, made or not: what is there is found at AWS alone."""
    with dying(two, number, before=is_before), pytest.raises(DeadError):
        restore_tables(two)
    assert state(restore_tables(two)) == state(two)


FAILURES = [
    (operation, code)
    for operation in ("RestoreTableToPointInTime", "UpdateContinuousBackups", "DescribeTimeToLive")
    for code in ("ExpiredTokenException", "AccessDeniedException")
]


@pytest.mark.parametrize(("operation", "code"), [*FAILURES, ("RestoreTableToPointInTime", "LimitExceededException")])
def test_one_table_that_fails_does_not_stop_the_others(place: Place, operation: str, code: str) -> None:
    """It is named, with the command that goes on; and that command does."""
    failing, others = f"LedgerTable{suffix(AT)}", only(place, *(name for name in place.resources if name != "LedgerTable"))
    with (
        refusing(place.session.events, operation, failing, code),
        pytest.raises(OperatorError, match=f"1 of 5(?s:.)*{failing}.*{code}") as failed,
    ):
        restore(place)
    assert failed.value.code == 3
    assert "topup restore --at" in failed.value.mend
    assert state(others.using(suffix(AT))) == state(others)
    assert state(restore(place)) == state(place)


@pytest.mark.parametrize("minutes", [-1441, 56])
def test_a_second_that_one_table_does_not_have_is_refused(place: Place, minutes: int) -> None:
    """Before anything is made."""
    with pytest.raises(OperatorError, match="not all tables"):
        restore(place, AT + timedelta(minutes=minutes))
    assert len(place.client("dynamodb").list_tables()["TableNames"]) == 5


def test_a_table_without_recovery_is_refused_by_name(place: Place) -> None:
    """Four tables of five are no books."""
    off = {"PointInTimeRecoveryEnabled": False}
    place.client("dynamodb").update_continuous_backups(TableName="KeysTable", PointInTimeRecoverySpecification=off)
    with pytest.raises(OperatorError, match="recovery is off: KeysTable"):
        restore(place)


def test_a_restore_goes_on_when_aws_has_forgotten_the_second(place: Place) -> None:
    """What is under way needs it no more."""
    with dying(place, 6, before=True), pytest.raises(DeadError):
        restore(place)
    for name in place.tables().values():
        reach(name, AT + timedelta(minutes=1), AT + timedelta(minutes=55))
    assert state(restore(place)) == state(place)


def test_a_table_of_that_name_that_is_no_restore_is_refused(place: Place) -> None:
    """It is somebody's."""
    key = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    name = f"KeysTable{suffix(AT)}"
    place.client("dynamodb").create_table(TableName=name, BillingMode="PAY_PER_REQUEST", **key)
    with pytest.raises(OperatorError, match=f"{name} already, and it is no restore of KeysTable"):
        restore(place)
    assert len(place.client("dynamodb").list_tables()["TableNames"]) == 6


@pytest.mark.parametrize(
    ("lacking", "change"),
    [
        ("point-in-time recovery", lambda client, name: client.update_continuous_backups(
            TableName=name, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False})),
        ("time to live", lambda client, name: client.update_time_to_live(
            TableName=name, TimeToLiveSpecification={"Enabled": False, "AttributeName": "ttl"})),
        ("deletion protection", lambda client, name: client.update_table(TableName=name, DeletionProtectionEnabled=False)),
        ("there is no such table", lambda client, name: (
            client.update_table(TableName=name, DeletionProtectionEnabled=False), client.delete_table(TableName=name))),
        ("index open_holds", lambda client, name: client.update_table(
            TableName=name, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "open_holds"}}])),
    ],
    ids=["recovery", "expiry", "protection", "gone", "index"],
)  # fmt: skip
def test_nothing_is_switched_to_tables_that_lack_something(place: Place, lacking: str, change: Callable[[Any, str], object]) -> None:
    """Each lack by its name."""
    new = restore(place)
    change(place.client("dynamodb"), new.tables()["QuotasTable"])
    with pytest.raises(OperatorError, match=f"QuotasTable{suffix(AT)} lacks.*{lacking}"):
        check_ready(new)


def test_a_restore_to_before_the_first_sale_is_the_same_deployment(place: Place) -> None:
    """Without its id every session of its own would be another deployment's, and never be credited."""
    client = place.client("dynamodb")
    rows = [("PaymentsTable", ("owner", "id")), ("WebhookEventsTable", ("subject", "fact_id"))]
    found = {}
    for table, names in rows:
        key = dict(zip(names, ({"S": part} for part in deployment.KEY), strict=True))
        found[table] = client.delete_item(TableName=table, Key=key, ReturnValues="ALL_OLD")["Attributes"]
    with contextlib.suppress(OperatorError):
        restore(place)
    for table, row in found.items():
        client.put_item(TableName=table, Item=row)  # made by the first sale, after that second
    new = restore(place)
    books = new.books()
    books.store.patience.begin()
    assert deployment.StoredDeployment(books.store).known() == found["PaymentsTable"]["deployment"]["S"]


def test_keys_that_a_restore_revives_are_named_and_revoked_again(lab: Lab, place: Place) -> None:
    """Those made afterwards are gone, and those that live in both stay."""
    made = [lab.call("POST", "/keys", sub="alice", body={"name": name}).json for name in ("kept", "revoked")]
    new = restore(place)
    assert lab.call("DELETE", f"/keys/{made[1]['key_id']}", sub="alice").status == 204
    lab.call("POST", "/keys", sub="alice", body={"name": "later"})
    found = revived(place, new)
    assert [(key.user_id, key.key_id) for key in found] == [("alice", made[1]["key_id"])]
    revoke_again(new, found)
    revoke_again(new, found)
    assert revived(place, new) == []
    books = new.books()
    books.store.patience.begin()
    holders = [keys.holder(books, "local", row["key"]) for row in made]
    assert [holder.key_id if holder else None for holder in holders] == [made[0]["key_id"], None]


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
        assert self.lab.call("POST", f"/payments/{said.json['payment_id']}/confirm", sub=user).json["status"] == "completed"
        paid: str = said.json["payment_id"]
        return paid

    def spend(self, user: str, units: int) -> None:
        """As the seller's backend does."""
        said = self.lab.call("POST", "/quota/debits", sub="backend", scope="quota.write", body={"user_id": user, "units": units})
        assert said.status == 200, said


def _reconcile(place: Place, *, repair: bool = True) -> Report:
    books = place.books()
    books.store.patience.begin()
    job = Run(books, place.gateway(books), repair=repair, resumes=False)
    return reconciliation.run(job, epoch(utc_now()) - 86_400)


def _nobody_watches(steps: int = 1, *, now: str = "") -> None:
    del steps, now


def _differences(place: Place) -> list[str]:
    return [row["user_id"] for row in examine(place.books(), 1, _nobody_watches).findings]


def test_what_was_sold_in_between_is_credited_once_and_the_way_back_works(
    lab: Lab, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sold, restored, sold and spent; switched, reconciled, verified; nothing is lost or doubled, and then all the way back."""
    shop = Shop(lab, stripe_side)
    first = shop.sell("dora")
    shop.spend("dora", 30)
    place = production(lab)
    new = restore(place)
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
            books.store.patience.begin()
            mending.mend(Run(books, new.gateway(books), repair=True, resumes=False), user)
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
    _reconcile(place)
    assert lab.quota("erik")["total"] == 200
    assert _differences(place) == []
