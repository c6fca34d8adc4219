"""The deployment's id through the handlers: made by the first checkout, found by every later
container, and never guessed.
"""

from typing import Any

import pytest
from billing import deployment
from functional.lab import Lab, forget
from simulator.lab import Lab as Stripe
from support.builders import completed, metadata, pending, refund

TABLES = {"PaymentsTable": ("owner", "id"), "WebhookEventsTable": ("subject", "fact_id")}


@pytest.fixture
def unnamed(lab: Lab) -> Lab:
    """A stack without purchases."""
    for table, names in TABLES.items():
        lab.boto("dynamodb").delete_item(TableName=table, Key=_key(names))
    forget()
    return lab


def _key(names: tuple[str, str]) -> dict[str, Any]:
    return {name: {"S": part} for name, part in zip(names, deployment.KEY, strict=True)}


def _id_in(lab: Lab, table: str) -> str:
    item = lab.boto("dynamodb").get_item(TableName=table, Key=_key(TABLES[table])).get("Item", {})
    return str(item.get("deployment", {}).get("S", ""))


def _bought(lab: Lab, stripe_side: Stripe) -> Any:
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    assert said.status == 201, said
    return stripe_side.session(said.json["session_id"]).metadata.to_dict()


def test_the_first_checkout_makes_the_id_and_all_later_containers_use_it(
    unnamed: Lab, stripe_side: Stripe
) -> None:
    """It stands in two tables, and survives whatever the stack is called."""
    first = _bought(unnamed, stripe_side)
    forget()
    second = _bought(unnamed, stripe_side)
    assert first["deployment"].startswith("dep_")
    assert {
        first["deployment"],
        second["deployment"],
        *(_id_in(unnamed, table) for table in TABLES),
    } == {first["deployment"]}


def test_the_sale_of_another_deployment_of_the_same_name_is_ignored_by_the_webhook(
    unnamed: Lab, stripe_side: Stripe
) -> None:
    """Though our own user has that payment's record, by whatever mishap."""
    _bought(unnamed, stripe_side)
    before = unnamed.everything()
    foreign = pending(unnamed.books, payment_id="pay_theirs")
    assert unnamed.deliver(completed(foreign)).json == {"status": "ignored"}
    assert unnamed.quota("alice")["total"] == 0
    assert unnamed.rows("WebhookEventsTable") == before["WebhookEventsTable"]


def test_readers_need_no_id(unnamed: Lab) -> None:
    for path in ("/plans", "/quota", "/payments"):
        assert unnamed.call("GET", path, sub="alice").status == 200
    assert [_id_in(unnamed, table) for table in TABLES] == ["", ""]


def test_an_id_that_cannot_be_read_is_an_outage_and_never_ignored(lab: Lab) -> None:
    """Stripe delivers again, and the buyer is asked to retry.

    So is a refund, whose record cannot be read.
    """
    payment = pending(lab.books)
    forget()
    lab.boto("dynamodb").delete_table(TableName="PaymentsTable")
    assert metadata(payment)["deployment"] == "dep_test"
    assert lab.deliver(completed(payment)).status >= 500
    assert (
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).status >= 500
    )
    assert lab.deliver(refund(payment, "re_1", 500)).status >= 500
