"""Doors of automatic top-ups and grants: the queue, the log, ids, and a restore."""

import json
from typing import Any

import pytest
from billing.grants import api
from billing.grants.booking import book
from billing.grants.grant import Grant
from functional import top_ups
from functional.lab import Lab
from simulator.lab import Lab as Stripe

TABLES = {
    "PaymentsTable": ("owner", "id"),
    "QuotasTable": ("user_id", "item"),
    "LedgerTable": ("user_id", "entry_id"),
    "WebhookEventsTable": ("subject", "fact_id"),
}


def _messages(lab: Lab) -> list[Any]:
    """What waits in the queue, taken out of it."""
    sqs = lab.boto("sqs")
    url = lab.template.environment()["TOP_UP_QUEUE_URL"]
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    for message in found:
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in found]


def test_agreeing_and_switching_off_hurry_the_account(offered: Lab, stripe_side: Stripe) -> None:
    """Looking does not, and neither does what is refused."""
    top_ups.save_a_card(offered, stripe_side)
    _messages(offered)
    own = {"user_id": top_ups.user()}
    top_ups.agree(offered, agreed=False)
    top_ups.call(offered, "GET", top_ups.ROUTE)
    assert _messages(offered) == []
    top_ups.agree(offered)
    assert _messages(offered) == [own]
    top_ups.call(offered, "DELETE", top_ups.ROUTE)
    assert _messages(offered) == [own]


def test_a_refusal_for_good_names_the_payment_in_the_log(
    offered: Lab, stripe_side: Stripe, caplog: pytest.LogCaptureFixture
) -> None:
    top_ups.save_a_card(offered, stripe_side)
    top_ups.agree(offered)
    stripe_side.control("faults", route=top_ups.CREATE, status=400, times=1)
    caplog.clear()
    top_ups.sweep(offered)
    (payment,) = top_ups.automatic(offered)
    lines = [vars(record) for record in caplog.records]
    named = [line for line in lines if line.get("payment_id") == payment["payment_id"]]
    assert [line["levelname"] for line in named] == ["ERROR"]


def _kept(lab: Lab) -> dict[str, list[Any]]:
    return {name: lab.boto("dynamodb").scan(TableName=name)["Items"] for name in TABLES}


def _restore(lab: Lab, kept: dict[str, list[Any]]) -> None:
    """All tables as they were."""
    dynamodb = lab.boto("dynamodb")
    for name, keys in TABLES.items():
        for item in dynamodb.scan(TableName=name)["Items"]:
            dynamodb.delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in kept[name]:
            dynamodb.put_item(TableName=name, Item=item)


def test_a_charge_that_a_restore_has_lost_is_found_at_stripe_and_not_made_again(
    offered: Lab, stripe_side: Stripe
) -> None:
    session = top_ups.save_a_card(offered, stripe_side)
    top_ups.agree(offered)
    before = _kept(offered)
    top_ups.sweep(offered)
    _restore(offered, before)
    assert top_ups.automatic(offered) == []
    top_ups.sweep(offered)
    found = stripe_side.client.v1.payment_intents.list({"customer": session["customer"]})
    charged = [row for row in found.data if "automatic" in row.to_dict()["metadata"]]
    assert len(charged) == 1
    assert [row["status"] for row in top_ups.automatic(offered) if row["plan"]].count(
        "completed"
    ) == 1
    assert offered.quota(top_ups.user())["remaining"] == 2 * top_ups.UNITS


def test_a_grant_has_the_id_that_its_caller_and_key_have_always_had(lab: Lab) -> None:
    """Repeats come for ever, also to a later version."""
    body = {"user_id": "alice", "units": 5, "reason": "sorry"}
    said = lab.call(
        "POST",
        "/quota/grants",
        sub="backend",
        scope="quota.grant",
        body=body,
        idempotency_key="k1",
    )
    known = "grant_073bdedaa49472e7392e87aa1b458e81"
    assert said.json["grant_id"] == api.grant_id_of("backend", "k1") == known


@pytest.mark.parametrize("grant_id", ["x", "x" * 100])
def test_an_operators_grant_is_voided_by_its_own_id(lab: Lab, grant_id: str) -> None:
    """The shortest and the longest."""
    book(lab.books, Grant(grant_id, "alice", 5, "why"))
    path = f"/quota/grants/{grant_id}/void"
    said = lab.call("POST", path, sub="backend", scope="quota.grant")
    assert (said.status, said.json) == (200, {"units": 5})


def test_an_id_that_no_table_could_hold_is_no_grants(lab: Lab) -> None:
    path = f"/quota/grants/{'x' * 3000}/void"
    said = lab.call("POST", path, sub="backend", scope="quota.grant")
    assert (said.status, said.code) == (404, "not_found")
