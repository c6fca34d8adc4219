import csv
import io
import json
import re
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.stand import Stand
from typer.testing import CliRunner

from infra.cli.app import app

Topup = Callable[..., tuple[int, Any]]


@pytest.fixture
def buyer() -> str:
    """A user of this test alone."""
    return f"ops-{uuid.uuid4().hex[:8]}"


def _lost(stand: Stand, buyer: str) -> dict[str, Any]:
    """Bought and paid, and every webhook of it lost."""
    stand.control("deliveries", drop=1)
    try:
        bought = stand.buy(buyer)
        stand.pay(bought["session_id"])
    finally:
        stand.control("deliveries", drop=0)
    return bought


def _event(stand: Stand, bought: dict[str, Any]) -> dict[str, Any]:
    return stand.events("checkout.session.completed", bought["session_id"])[0]


def _refund(stand: Stand, bought: dict[str, Any], amount: int) -> str:
    session = stand.stripe.v1.checkout.sessions.retrieve(
        bought["session_id"], {"expand": ["payment_intent"]}
    )
    intent: Any = session.payment_intent
    stand.stripe.v1.refunds.create({"payment_intent": intent.id, "amount": amount})
    stand.control("idle")
    return str(intent.id)


def test_account_shows_quota_keys_holds_payments_and_ledger(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    bought = stand.purchase(buyer)
    limit = {"units": 50, "per": "day"}
    body = {"name": "laptop", "limit": limit}
    made = stand.call("POST", "/keys", sub=buyer, body=body).json()
    of_key = {"key_id": made["key_id"]}
    for path, extra in (("debits", of_key), ("holds", {"expires_in_seconds": 600})):
        stand.call(
            "POST",
            f"/quota/{path}",
            sub="backend",
            scope="quota.write",
            body={"user_id": buyer, "units": 7, **extra},
        )
    code, found = topup("account", buyer)
    assert code == 0
    assert found["quota"]["remaining"] == 86
    assert [row["units"] for row in found["holds"]] == [7]
    (key,) = found["keys"]
    assert (key["limit"], key["limit_remaining"], key["used_today"]) == (limit, 43, 7)
    assert found["payments"][0]["payment_id"] == bought["payment_id"]
    assert found["ledger"][0]["reference_id"] == bought["session_id"]


def test_payments_are_listed_by_user_and_status(topup: Topup, stand: Stand, buyer: str) -> None:
    first, second = stand.purchase(buyer), stand.buy(buyer)
    _, mine = topup("payments", "--user", buyer)
    assert [row["payment_id"] for row in mine["payments"]] == [
        second["payment_id"],
        first["payment_id"],
    ]
    _, paid = topup("payments", "--user", buyer, "--status", "completed")
    assert [row["payment_id"] for row in paid["payments"]] == [first["payment_id"]]
    _, newest = topup("payments", "--limit", 1)
    assert [row["payment_id"] for row in newest["payments"]] == [second["payment_id"]]
    assert topup("payments", "--status", "nonsense")[0] == 2


def test_a_payment_is_found_by_any_of_its_names(topup: Topup, stand: Stand, buyer: str) -> None:
    """Payment, session and payment intent; with the whole history and Stripe's word."""
    bought = stand.purchase(buyer)
    intent = _refund(stand, bought, 500)
    stand.until(
        lambda: stand.payment(buyer, bought["payment_id"])["status"] == "partially_refunded"
    )
    stand.control("idle")
    for name in (bought["payment_id"], bought["session_id"], intent):
        code, found = topup("payment", name)
        assert code == 0
        assert found["payment"]["payment_id"] == bought["payment_id"]
    kinds = [row["type"] for row in found["facts"]]
    assert kinds[0] == "checkout.session.completed"
    assert sorted(kinds[1:]) == ["charge.refunded", "refund.created"]
    assert found["payment"]["payment_intent_id"] == intent
    assert [row["units"] for row in found["entries"]] == [100, -50]
    assert found["stripe"]["refunds"][0]["amount"] == 500
    assert found["stripe"]["differences"] == []


@pytest.mark.parametrize(
    ("name", "code"),
    [("pay_nothing", 1), ("cs_test_nothing", 1), ("pi_nothing", 1), ("nonsense", 2)],
)
def test_an_unknown_payment_is_reported_as_such(topup: Topup, name: str, code: int) -> None:
    """Exit 1 for one that does not exist, 2 for what is no id."""
    got, answer = topup("payment", name)
    assert got == code
    assert answer["error"]


def test_a_lost_purchase_differs_until_it_is_replayed(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """The command payment says so with exit 1; replay settles it by its event, once."""
    bought = _lost(stand, buyer)
    event = _event(stand, bought)
    code, found = topup("payment", bought["payment_id"], "--user", buyer)
    assert code == 1
    assert found["stripe"]["differences"] == [
        "pending here, completed at Stripe: +100 units to settle"
    ]
    _, dry = topup("replay", event["id"], "--dry-run")
    assert dry["events"][0]["status"] == "would_be_settled"
    assert stand.quota(buyer)["remaining"] == 0, "a dry run changes nothing"
    assert [topup("replay", event["id"], "--yes")[1]["events"][0]["status"] for _ in range(2)] == [
        "settled",
        "duplicate",
    ]
    assert stand.quota(buyer)["remaining"] == 100
    assert topup("payment", bought["payment_id"], "--user", buyer)[0] == 0


@pytest.mark.parametrize("shape", ["one", "list", "lines"])
def test_events_are_replayed_from_a_file(
    topup: Topup, stand: Stand, buyer: str, tmp_path: Path, shape: str
) -> None:
    """One event, a list, or one a line; what is not ours is passed over."""
    event = _event(stand, _lost(stand, buyer))
    foreign = {**event, "id": "evt_foreign", "type": "customer.created"}
    file = tmp_path / "events.json"
    file.write_text(
        {
            "one": json.dumps(event, indent=1),
            "list": json.dumps([event, foreign]),
            "lines": f"{json.dumps(foreign)}\n\n{json.dumps(event)}\n",
        }[shape]
    )
    code, answer = topup("replay", "--file", file, "--yes")
    assert code == 0
    assert "settled" in [row["status"] for row in answer["events"]]
    assert stand.quota(buyer)["remaining"] == 100


@pytest.mark.parametrize(
    "text", ["not json", "[1]", '{"object":"charge"}', '{"object":"event"}\nbroken']
)
def test_a_file_without_events_is_refused_as_a_whole(
    topup: Topup, tmp_path: Path, text: str
) -> None:
    """Nothing is settled before all of it has been read."""
    file = tmp_path / "events.json"
    file.write_text(text)
    code, answer = topup("replay", "--file", file, "--yes")
    assert code == 2
    assert "events.json" in answer["error"]


@pytest.mark.parametrize(
    "words",
    [
        ("account", ""),
        ("account", "x" * 256),
        ("account", "alice", "--profile", "seller"),
        ("account", "alice", "--region", "eu-west-1"),
        ("parked", "--stack", "elsewhere", "list"),
        ("parked", "--profile", "seller", "list"),
        ("ledger", "export", "-o", "/nowhere/at/all.csv"),
        ("ledger", "export", "-o", "/"),
        ("replay", "--yes", "--file", sys.executable),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_is_a_usage_error_and_no_traceback(
    topup: Topup, words: tuple[str, ...]
) -> None:
    """Exit 2: nothing was asked, nothing was changed, and no other stack was taken for the one that
    was named.
    """
    assert topup(*words)[0] == 2


def test_a_payment_is_shown_though_stripe_does_not_answer(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """What the books know is what the operator has then; exit 3."""
    bought = stand.purchase(buyer)
    for route in ("GET /v1/checkout/sessions/{id}", "GET /v1/checkout/sessions"):
        stand.control("faults", route=route, status=500, times=50)
    try:
        code, found = topup("payment", bought["payment_id"], "--user", buyer)
    finally:
        stand.control("faults", route="GET /v1/checkout/sessions/{id}", status=500, times=0)
        stand.control("faults", route="GET /v1/checkout/sessions", status=500, times=0)
    assert code == 3
    assert (found["payment"]["status"], found["stripe"]["session"]) == ("completed", None)
    assert found["stripe"]["trouble"]


def test_a_payment_that_waits_with_its_refund_is_found_by_stripes_names(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """Every webhook of the payment was lost; its refund came, and is parked: that is what the
    command is for.
    """
    bought = _lost(stand, buyer)
    intent = _refund(stand, bought, 999)
    charge = stand.events("charge.refunded", intent)[0]["data"]["object"]["id"]
    for name in (intent, charge):
        code, found = topup("payment", name)
        assert (code, found["payment"]["payment_id"]) == (1, bought["payment_id"])
        assert [row["kind"] for row in found["parked"]] == ["ahead", "ahead"]
    topup("reconcile", "--since", "1h", "--repair", "--yes")


def test_replay_wants_one_source(topup: Topup) -> None:
    assert topup("replay", "--yes")[0] == 2
    assert topup("replay", "evt_unknown", "--yes")[0] == 1


def _differing(report: dict[str, Any], bought: dict[str, Any]) -> list[bool]:
    return [
        row["repaired"] for row in report["differences"] if row["stripe_id"] == bought["session_id"]
    ]


def test_reconcile_repairs_only_when_asked_to(topup: Topup, stand: Stand, buyer: str) -> None:
    """Without --repair it only looks, and exits 1 while there is a difference."""
    bought = _lost(stand, buyer)
    code, report = topup("reconcile", "--since", "1h")
    assert (code, _differing(report, bought)) == (1, [False])
    assert stand.quota(buyer)["remaining"] == 0
    _, report = topup("reconcile", "--since", "1h", "--repair", "--dry-run")
    assert _differing(report, bought) == [False]
    assert stand.quota(buyer)["remaining"] == 0
    _, report = topup("reconcile", "--since", "1h", "--repair", "--yes")
    assert _differing(report, bought) == [True]
    assert stand.quota(buyer)["remaining"] == 100
    code, report = topup("reconcile", "--since", "1h")
    assert _differing(report, bought) == []
    assert code == int(sum(report["counts"].values()) > report["repaired"])


def test_reconcile_says_what_it_could_not_compare(topup: Topup, stand: Stand, buyer: str) -> None:
    """A key without the right to refunds, say: the sessions are settled all the same, and no script
    takes it for fine.
    """
    bought = _lost(stand, buyer)
    stand.control("faults", route="GET /v1/refunds", status=403, times=50)
    try:
        code, report = topup("reconcile", "--since", "1h", "--repair", "--yes")
    finally:
        stand.control("faults", route="GET /v1/refunds", status=403, times=0)
    assert (code, _differing(report, bought)) == (1, [True])
    assert (report["unlisted"], report["finished"]) == (["refunds"], False)
    assert [row["detail"] for row in report["differences"] if row["kind"] == "failed"] == [
        (
            "the list 'refunds' was not compared: StripeRefusedError: stripe_refused: "
            f"{_asked_for(report)}"
        )
    ]


def _asked_for(report: Any) -> str:
    """What the simulator says of a fault, with Stripe's own id of the request."""
    (request_id,) = set(re.findall(r"req_\w+", str(report["differences"])))
    return (
        f"A planned fault. (type invalid_request_error, request_id {request_id}, http_status 403)"
    )


def test_reconcile_that_can_compare_nothing_is_no_answer(topup: Topup, stand: Stand) -> None:
    """Exit 3, as for all that AWS or Stripe do not let us know."""
    routes = [
        f"GET /v1/{name}"
        for name in (
            "checkout/sessions",
            "checkout/sessions/{id}",
            "payment_intents",
            "payment_intents/{id}",
            "refunds",
            "disputes",
        )
    ]
    for route in routes:
        stand.control("faults", route=route, status=500, times=500)
    try:
        code, report = topup("reconcile", "--since", "1h")
    finally:
        for route in routes:
            stand.control("faults", route=route, status=500, times=0)
    assert (code, report["unlisted"]) == (3, ["sessions", "intents", "refunds", "disputes"])


@pytest.mark.parametrize("since", ["24", "0h", "1w", "h", "-1h", "9999d"])
def test_a_duration_that_is_none_is_a_usage_error(topup: Topup, since: str) -> None:
    assert topup("reconcile", f"--since={since}")[0] == 2


def test_what_changes_anything_asks_first(topup: Topup, stand: Stand, buyer: str) -> None:
    """Without a terminal and without --yes nothing happens."""
    bought = _lost(stand, buyer)
    assert topup("grant", buyer, 5, "--reason", "why")[0] == 2
    assert topup("replay", _event(stand, bought)["id"])[0] == 2
    assert topup("reconcile", "--repair")[0] == 2
    assert (
        topup("grant", buyer, 5, "--reason", "why", "--dry-run")[1]["status"] == "would_be_granted"
    )
    assert stand.quota(buyer)["total"] == 0
    topup("reconcile", "--since", "1h", "--repair", "--yes")


def test_a_grant_is_booked_once_and_seen_by_the_customer(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """On the stand's own tables; taking back goes no lower than zero."""
    assert [
        topup("grant", buyer, 50, "--reason", "sorry", "--id", buyer, "--yes")[1]["status"]
        for _ in range(2)
    ] == ["granted", "already"]
    assert stand.quota(buyer)["remaining"] == 50
    assert topup("grant", buyer, "--reason", "too much", "--yes", "--", -51)[0] == 1
    assert topup("grant", buyer, -50, "--reason", "too much", "--yes")[0] == 0
    assert stand.quota(buyer)["remaining"] == 0
    entries = stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
    assert [row["units"] for row in entries] == [-50, 50]


def test_a_parked_event_is_listed_retried_and_dropped(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """A session whose amount is not the plan's waits for an operator: parked alone exits 1."""
    bought = stand.buy(buyer)
    stand.control("deliveries", drop=1)
    stand.pay(bought["session_id"])
    stand.control("deliveries", drop=0)
    event = _event(stand, bought)
    event["data"]["object"]["amount_subtotal"] = 1
    event["id"] = f"evt_{buyer.replace('-', '')}"
    assert stand.deliver(event).json() == {"status": "parked"}
    code, listed = topup("parked")
    assert code == 1
    assert event["id"] in [row["fact_id"] for row in listed["parked"]]
    code, tried = topup("parked", "retry", event["id"], "--yes")
    assert (code, tried["status"]) == (1, "parked")
    assert "amount" in tried["why"]
    assert (
        topup("payment", bought["payment_id"], "--user", buyer)[1]["parked"][0]["fact_id"]
        == event["id"]
    )
    assert (
        topup("parked", "drop", event["id"], "--reason", "refunded by hand", "--dry-run")[1][
            "status"
        ]
        == "would_be_dropped"
    )
    assert topup("parked", "drop", event["id"], "--reason", " ", "--yes")[0] == 2
    assert (
        topup("parked", "drop", event["id"], "--reason", "refunded by hand", "--yes")[1]["status"]
        == "dropped"
    )
    assert topup("parked", "retry", event["id"], "--yes")[0] == 1
    code, dropped = topup("parked", "list", "--dropped")
    assert (
        code,
        [row["reason"] for row in dropped["dropped"] if row["fact_id"] == event["id"]],
    ) == (0, ["refunded by hand"])
    assert (
        topup("payment", bought["payment_id"], "--user", buyer)[1]["dropped"][0]["reason"]
        == "refunded by hand"
    )
    topup("reconcile", "--since", "1h", "--repair", "--yes")


def test_a_parked_event_settles_when_its_payment_has_come(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """A refund ahead of its payment: retry asks Stripe for the session and settles both."""
    bought = _lost(stand, buyer)
    _refund(stand, bought, 999)
    (refund,) = stand.events(
        "charge.refunded", _event(stand, bought)["data"]["object"]["payment_intent"]
    )
    if stand.payment(buyer, bought["payment_id"])["status"] == "pending":
        code, answer = topup("parked", "retry", refund["id"], "--yes")
        assert (code, answer["status"]) == (0, "settled")
    assert stand.payment(buyer, bought["payment_id"])["status"] == "refunded"
    assert stand.quota(buyer)["remaining"] == 0


def test_the_ledger_balances_and_a_planted_difference_is_found(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """Exit 1 names the account; nothing is repaired."""
    stand.purchase(buyer)
    code, answer = topup("ledger", "verify", "--segments", 2)
    assert (code, answer["difference_count"]) == (0, 0), answer
    table, key = stand.resources()["QuotasTable"], {"user_id": {"S": buyer}, "item": {"S": "quota"}}

    def plant(units: int) -> None:
        asked = {
            "UpdateExpression": "ADD remaining :u",
            "ExpressionAttributeValues": {":u": {"N": str(units)}},
        }
        stand.boto("dynamodb").update_item(TableName=table, Key=key, **asked)

    plant(1)
    try:
        code, answer = topup("ledger", "verify")
    finally:
        plant(-1)
    assert code == 1
    assert [(row["user_id"], row["expected"], row["found"]) for row in answer["differences"]] == [
        (buyer, 100, 101)
    ]


def test_what_a_restore_took_apart_is_repaired_from_stripe(
    topup: Topup, stand: Stand, buyer: str
) -> None:
    """The payment is back before it was paid, the credit of another is gone from the ledger: all
    three tables agree again.
    """
    first, second = stand.purchase(buyer), stand.purchase(buyer)
    tables, dynamodb = stand.resources(), stand.boto("dynamodb")
    unpaid = {"owner": {"S": f"user#{buyer}"}, "id": {"S": first["payment_id"]}}
    asked = {
        "UpdateExpression": "SET phase = :p, #s = :s",
        "ExpressionAttributeNames": {"#s": "status"},
    }
    dynamodb.update_item(
        TableName=tables["PaymentsTable"],
        Key=unpaid,
        ExpressionAttributeValues={":p": {"N": "0"}, ":s": {"S": "pending"}},
        **asked,
    )
    lost = {"user_id": {"S": buyer}, "entry_id": {"S": f"funded:{second['session_id']}"}}
    assert "Attributes" in dynamodb.delete_item(
        TableName=tables["LedgerTable"], Key=lost, ReturnValues="ALL_OLD"
    )
    code, answer = topup("ledger", "verify", "--repair", "--dry-run")
    assert (code, {row["user_id"] for row in answer["differences"]}) == (1, {buyer})
    assert topup("ledger", "verify")[0] == 1
    code, answer = topup("ledger", "verify", "--repair", "--yes")
    assert code == 0
    assert any(
        act["act"].startswith(first["session_id"]) and act["act"].endswith(", settled")
        for act in answer["acts"]
    )
    assert topup("ledger", "verify")[0] == 0
    payments = stand.call("GET", "/payments", sub=buyer).json()["payments"]
    assert [payment["status"] for payment in payments] == ["completed", "completed"]
    assert stand.quota(buyer)["remaining"] == 200


def test_the_ledger_is_exported_whole(
    stand: Stand, topup: Topup, buyer: str, tmp_path: Path
) -> None:
    """As CSV and as JSON lines, to stdout or a file, the same entries."""
    bought = stand.purchase(buyer)
    printed = CliRunner().invoke(app, ["ledger", "export"])
    marked = list(csv.DictReader(io.StringIO(printed.stdout)))
    rows = [{name: cell.removeprefix("'") for name, cell in row.items()} for row in marked]
    mine = [row for row in rows if row["user_id"] == buyer]
    assert [(row["type"], row["units"], row["reference_id"]) for row in mine] == [
        ("funded", "100", bought["session_id"])
    ]
    file = tmp_path / "ledger.jsonl"
    assert topup("ledger", "export", "--format", "jsonl", "--output", file)[0] == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert {(row["user_id"], row["entry_id"]) for row in lines} == {
        (row["user_id"], row["entry_id"]) for row in rows
    }
    assert topup("ledger", "export", "--format", "xml")[0] == 2


def test_an_exported_customer_is_no_formula(topup: Topup, tmp_path: Path) -> None:
    """In CSV marked so that it can be undone; a negative number is one; in JSON lines as it is."""
    name = f"=HYPERLINK({uuid.uuid4().hex[:6]})"
    assert topup("grant", name, 5, "--reason", "@SUM(A1)", "--yes")[0] == 0
    assert topup("grant", name, -3, "--reason", "-3", "--yes")[0] == 0
    file = tmp_path / "ledger.csv"
    for form in ("csv", "jsonl"):
        words = [
            "ledger",
            "export",
            "--user",
            name,
            "--format",
            form,
            "--output",
            str(file.with_suffix(f".{form}")),
        ]
        assert CliRunner().invoke(app, words).exit_code == 0
    rows = list(csv.DictReader(io.StringIO(file.read_text())))
    assert {(row["user_id"], row["units"], row["note"]) for row in rows} == {
        (f"'{name}", "5", "'@SUM(A1)"),
        (f"'{name}", "-3", "'-3"),
    }
    lines = [json.loads(line) for line in file.with_suffix(".jsonl").read_text().splitlines()]
    assert {(row["user_id"], row["units"], row["note"]) for row in lines} == {
        (name, 5, "@SUM(A1)"),
        (name, -3, "-3"),
    }


def test_watch_counts_the_functions_metrics(topup: Topup, stand: Stand, buyer: str) -> None:
    """Settled facts and refused debits of the last minutes."""
    stand.purchase(buyer)
    stand.call(
        "POST",
        "/quota/debits",
        sub="backend",
        scope="quota.write",
        body={"user_id": buyer, "units": 101},
    )
    code, answer = topup("watch", "--once", "--minutes", 5)
    assert code == 0
    assert len(answer["minutes"]) == 5
    assert sum(row["settled"] for row in answer["minutes"]) >= 1
    assert sum(row["refused_debits"] for row in answer["minutes"]) >= 1


def test_watch_reads_the_one_group_that_all_functions_write_into_in_aws(
    topup: Topup, stand: Stand
) -> None:
    """Here the webhook alone, for a moment."""
    lambdas, name = stand.boto("lambda"), stand.resources()["WebhookFunction"]
    group = f"topup-{uuid.uuid4().hex[:8]}"
    lambdas.update_function_configuration(FunctionName=name, LoggingConfig={"LogGroup": group})
    try:
        assert stand.deliver({"id": "evt_forged"}, "whsec_" + "forged").status_code == 400
        _, answer = topup("watch", "--once", "--minutes", 5)
    finally:
        lambdas.update_function_configuration(
            FunctionName=name, LoggingConfig={"LogGroup": f"/aws/lambda/{name}"}
        )
    assert sum(row["refused_signatures"] for row in answer["minutes"]) == 1


def test_people_read_tables_and_strangers_text_stays_text(topup: Topup) -> None:
    """A user id may hold markup or escape sequences: neither is obeyed."""
    name = f"[red]{uuid.uuid4().hex[:6]}\x1b[31m"
    assert topup("grant", name, 1, "--reason", "why", "--yes")[0] == 0
    shown = CliRunner().invoke(app, ["account", name])
    assert shown.exit_code == 0
    assert name.replace("\x1b", "\\x1b") in shown.stdout
    assert "\x1b" not in shown.stdout


@pytest.mark.usefixtures("shell")
def test_without_a_local_stack_or_a_stack_the_command_says_what_to_do() -> None:
    """Exit 2: nothing was asked."""
    done = CliRunner().invoke(app, ["account", "alice"])
    assert done.exit_code == 2
    assert "make up" in done.stderr


@pytest.mark.usefixtures("topup")
def test_aws_that_does_not_answer_is_exit_3(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another stack than the stand's is looked for in AWS."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(
        app, ["account", "alice", "--stack", "elsewhere", "--region", "eu-west-1", "--json"]
    )
    assert done.exit_code == 3
    assert json.loads(done.stdout)["repair"]


@pytest.mark.usefixtures("shell")
def test_a_stack_is_found_by_its_name_and_a_profile(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As in AWS: no stand.json, keys of another account in the shell,
    everything from the profile.
    """
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    config.write_text(
        f"[profile seller]\nregion = us-east-1\nendpoint_url = {stand.facts['aws_endpoint_url']}\n"
    )
    credentials.write_text("[seller]\naws_access_key_id = test\naws_secret_access_key = test\n")
    for name, value in {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
        "AWS_ACCESS_KEY_ID": "another-account",
        "AWS_SECRET_ACCESS_KEY": "x",
    }.items():
        monkeypatch.setenv(name, value)
    words = ["--stack", stand.facts["stack_name"], "--profile", "seller", "--json"]
    done = CliRunner().invoke(
        app, ["grant", f"aws-{uuid.uuid4().hex[:8]}", "5", "--reason", "why", "--yes", *words]
    )
    assert (done.exit_code, json.loads(done.stdout).get("remaining")) == (0, 5), done.stdout
