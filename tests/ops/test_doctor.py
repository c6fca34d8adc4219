import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from billing.clock import utc_now
from billing.facts import SessionFact
from billing.parked import parking
from billing.payments import plans
from billing.payments.decision import Park
from billing.stripe_api.connection import API_VERSION
from billing.stripe_api.events import SUBSCRIBED
from support import builders
from support.fakes.memory_store import MemoryStore
from support.stand import Stand

from infra.cli.checks.findings import Finding, Patient
from infra.cli.commands.doctor import CHECKS, examine, exit_code
from infra.cli.find_target import find_target
from infra.cli.stripe.account import AccountAtStripe
from infra.cli.stripe.stored_secrets import fingerprint
from infra.cli.target import Resource
from infra.local.paths import free_port

Topup = Callable[..., tuple[int, Any]]
API_PATH = "/api/v1/payments/webhook"
BUS = "aws.partner/stripe.com/ed_test_of_the_doctor"


@pytest.fixture
def patient(topup: Topup) -> Patient:
    """The healthy local stack, as the doctor sees it."""
    del topup
    found = find_target("", "", "")
    return Patient(
        found, found.books(), AccountAtStripe(found.stripe_key, found.settings.stripe_api_base)
    )


def _wrong(patient: Patient, check: str) -> list[Finding]:
    return [
        finding for finding in examine(patient, check, CHECKS[check]) if finding.level == "wrong"
    ]


def _only(patient: Patient, check: str) -> Finding:
    (finding,) = _wrong(patient, check)
    assert finding.repair, "a fault without a remedy is a complaint"
    return finding


@pytest.mark.parametrize(
    ("route", "lacks"),
    [
        ("GET /v1/refunds", "read access to refunds"),
        ("GET /v1/checkout/sessions", "read access to checkout sessions"),
        ("GET /v1/payment_intents", "read access to payment_intents"),
        ("POST /v1/checkout/sessions", "write access to checkout sessions"),
        ("POST /v1/customers", "write access to customers"),
        ("POST /v1/payment_methods/{id}/detach", "write access to payment methods"),
        ("POST /v1/payment_intents", "write access to payment intents"),
    ],
)
def test_a_key_without_a_right_is_found_before_a_buyer_meets_it(
    patient: Patient, stand: Stand, route: str, lacks: str
) -> None:
    """A restricted key; nothing is made at Stripe by asking."""
    before = _made_last(stand)
    stand.control("faults", route=route, status=403, times=1)
    try:
        assert lacks in _only(patient, "stripe key's rights").repair
    finally:
        stand.control("faults", route=route, status=403, times=0)
    assert not _wrong(patient, "stripe key's rights")
    assert _made_last(stand) == before


def _made_last(stand: Stand) -> list[Any]:
    """What a check could make by mistake."""
    v1 = stand.stripe.v1
    lists = (v1.checkout.sessions.list, v1.customers.list, v1.payment_intents.list)
    return [found({"limit": 1}).data for found in lists]


def test_a_key_needs_no_right_for_top_ups_where_they_are_not_offered(
    patient: Patient, stand: Stand
) -> None:
    stand.control("faults", route="POST /v1/customers", status=403, times=1)
    try:
        assert not _wrong(_set(patient, auto_top_up=False), "stripe key's rights")
    finally:
        stand.control("faults", route="POST /v1/customers", status=403, times=0)


def test_a_price_that_stripe_does_not_charge_is_found(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the catalogue that would be deployed next."""
    assert not _wrong(patient, "prices")
    catalogue = tmp_path / "plans.json"
    catalogue.write_text(plans.CATALOGUE.read_text().replace("999,", "30,", 1))
    monkeypatch.setattr(plans, "CATALOGUE", catalogue)
    plans.whole_catalogue.cache_clear()
    try:
        assert "amount_minor must be an integer from 50" in _only(patient, "prices").what
    finally:
        plans.whole_catalogue.cache_clear()


def _set(patient: Patient, **settings: Any) -> Patient:
    changed = replace(patient.target.settings, **settings)
    return replace(patient, target=replace(patient.target, settings=changed))


def _with(patient: Patient, name: str, physical_id: str, kind: str) -> Patient:
    return replace(
        patient,
        target=replace(
            patient.target,
            resources={**patient.target.resources, name: Resource(physical_id, kind)},
        ),
    )


def _alone(patient: Patient, name: str, physical_id: str, kind: str) -> Patient:
    return replace(
        patient, target=replace(patient.target, resources={name: Resource(physical_id, kind)})
    )


def _later(patient: Patient, **duration: int) -> Patient:
    def clock() -> datetime:
        return utc_now() + timedelta(**duration)

    return replace(patient, books=replace(patient.books, clock=clock))


@contextlib.contextmanager
def _planted(stand: Stand, logical_id: str, value: str) -> Iterator[None]:
    """Another value in a secret, for a moment."""
    manager, name = stand.boto("secretsmanager"), stand.resources()[logical_id]
    before = manager.get_secret_value(SecretId=name)["SecretString"]
    manager.put_secret_value(SecretId=name, SecretString=value)
    try:
        yield
    finally:
        manager.put_secret_value(SecretId=name, SecretString=before)


@contextlib.contextmanager
def _endpoint(stand: Stand, **members: Any) -> Iterator[str]:
    """An endpoint at Stripe that leads here, paused so that nothing is delivered to it."""
    stand.control("deliveries", pause=True)
    asked: Any = {
        "url": stand.facts["webhook_url"],
        "enabled_events": list(SUBSCRIBED),
        "api_version": API_VERSION,
        **members,
    }
    made = stand.stripe.v1.webhook_endpoints.create(asked)
    try:
        yield made.id
    finally:
        stand.stripe.v1.webhook_endpoints.delete(made.id)
        stand.control("deliveries", pause=False)


def test_a_healthy_local_stack_has_nothing_to_fix(topup: Topup, stand: Stand) -> None:
    """What only AWS has is a note.

    Facts that other tests left parked or undelivered on this stand are theirs.
    """
    stand.invoke("ReconcileFunction", {})
    _, answer = topup("doctor")
    wrong = [finding for finding in answer["findings"] if finding["level"] in ("wrong", "unknown")]
    assert {finding["check"] for finding in wrong} <= {"parked", "deliveries", "dead letters"}, (
        wrong
    )
    assert {finding["check"] for finding in answer["findings"] if finding["level"] == "ok"} >= {
        "stripe key",
        "webhook",
        "clock",
        "schedules",
    }


def test_a_fault_is_exit_1_with_its_remedy(topup: Topup, stand: Stand) -> None:
    with _planted(stand, "WebhookSecretsSecret", "as CloudFormation made it"):
        code, answer = topup("doctor")
    assert code == 1
    (fault,) = [finding for finding in answer["findings"] if finding["check"] == "webhook secret"]
    assert fault["level"] == "wrong"
    assert "put-secret-value" in fault["repair"]


def test_a_secret_that_was_never_filled_is_found(patient: Patient, stand: Stand) -> None:
    """CloudFormation puts a random text into it."""
    with _planted(stand, "StripeKeySecret", "aB3$random"):
        assert "no Stripe key" in _only(patient, "stripe key").what


def test_a_live_key_in_a_test_stack_is_found(patient: Patient, stand: Stand) -> None:
    """Every event would be ignored as of the other mode."""
    with _planted(stand, "StripeKeySecret", "_".join(("sk", "live", "made" * 4))):
        assert any("live key" in finding.what for finding in _wrong(patient, "stripe key"))


def test_a_production_stage_in_test_mode_is_found(patient: Patient) -> None:
    """Anybody could buy with a test card."""
    assert (
        "Stage prod with StripeMode test" in _only(_set(patient, stage="prod"), "stripe key").what
    )


def test_a_key_that_stripe_refuses_is_found(patient: Patient, stand: Stand) -> None:
    with _planted(stand, "StripeKeySecret", "sk_test_rolled"):
        assert "refuses the key" in _only(patient, "stripe key").what


def test_signing_secrets_that_are_none_of_stripes_are_found(patient: Patient, stand: Stand) -> None:
    """The webhook takes what is signed with them; Stripe signs with another."""
    with _planted(stand, "WebhookSecretsSecret", json.dumps({"secrets": ["the endpoint's id"]})):
        assert "whsec_" in _only(patient, "webhook").what


def test_a_webhook_that_refuses_our_secret_is_found(patient: Patient) -> None:
    """Another stack's secret: what Stripe signs would be refused."""
    name = patient.target.client("secretsmanager").create_secret(
        Name=f"other-{free_port()}", SecretString=json.dumps({"secrets": ["whsec_" + "other"]})
    )["Name"]
    assert (
        "refuses what is signed"
        in _only(_set(patient, webhook_secrets_secret=name), "webhook").what
    )


def test_a_webhook_that_cannot_be_reached_is_found(patient: Patient) -> None:
    """No such host, no listener, no certificate."""
    away = replace(
        patient,
        target=replace(patient.target, webhook_url=f"http://127.0.0.1:{free_port()}{API_PATH}"),
    )
    assert "cannot be reached" in _only(away, "webhook").what


def test_the_stacks_other_address_is_tried_too(patient: Patient) -> None:
    """API Gateway may answer and the Function URL not, or the other way round: who relies on one
    must know.
    """
    away = f"http://127.0.0.1:{free_port()}/"
    both = replace(patient, target=replace(patient.target, other_urls=(away,)))
    assert f"{away} cannot be reached" in _only(both, "webhook").what
    same = replace(
        patient, target=replace(patient.target, other_urls=(patient.target.webhook_url,))
    )
    accepted = [
        finding for finding in examine(same, "webhook", CHECKS["webhook"]) if finding.level == "ok"
    ]
    assert len(accepted) == len(examine(patient, "webhook", CHECKS["webhook"])) + 1


def test_an_address_that_was_named_is_tried_beside_the_stacks_own(patient: Patient) -> None:
    """`--webhook-url` adds one, and takes none away."""
    named = patient.target.at("https://shop.example.test/hook")
    assert (named.webhook_url, named.other_urls) == (
        "https://shop.example.test/hook",
        (patient.target.webhook_url,),
    )
    assert named.at(f"{patient.target.webhook_url}/").other_urls == (
        "https://shop.example.test/hook",
    )
    assert patient.target.at("") is patient.target


@pytest.mark.parametrize(
    ("livemode", "reserved", "level"),
    [(True, 0, "note"), (True, 5, "ok"), (False, 0, "ok"), (False, 5, "ok")],
)
def test_a_live_stack_without_a_reserve_for_the_webhook_is_noted(
    patient: Patient, *, livemode: bool, reserved: int, level: str
) -> None:
    """A note, for a new account cannot have one."""
    name, functions = (
        patient.target.resources["WebhookFunction"].physical_id,
        patient.target.client("lambda"),
    )
    if reserved:
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
    try:
        (found,) = examine(_set(patient, livemode=livemode), "reserve", CHECKS["reserve"])
    finally:
        functions.delete_function_concurrency(FunctionName=name)
    assert found.level == level
    assert ("WebhookConcurrency=20" in found.repair) is (level == "note")


def test_a_webhook_behind_a_redirect_is_found(patient: Patient) -> None:
    """Stripe does not follow: https://docs.stripe.com/webhooks#debug-webhook-integrations."""

    class Redirects(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(308)
            self.send_header("location", "https://www.example.test/")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with HTTPServer(("127.0.0.1", 0), Redirects) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}{API_PATH}"
        found = _only(replace(patient, target=replace(patient.target, webhook_url=url)), "webhook")
        thread.join()
    assert "redirects (308)" in found.what
    assert "https://www.example.test/" in found.repair


def test_a_webhook_address_that_is_another_page_is_found(patient: Patient) -> None:
    """404, or a page that answers 200 to everything."""
    elsewhere = patient.target.webhook_url.removesuffix("/webhook")
    assert (
        "answers 4"
        in _only(
            replace(patient, target=replace(patient.target, webhook_url=elsewhere)), "webhook"
        ).what
    )


def test_no_endpoint_at_stripe_is_found(patient: Patient) -> None:
    """On a stand a note, in AWS the reason why nothing is credited; the remedy
    is a whole command.
    """
    found = _only(_set(patient, stage="dev"), "endpoint")
    assert "no endpoint" in found.what
    assert all(kind in found.repair for kind in SUBSCRIBED)


def test_where_events_come_by_eventbridge_an_endpoint_is_not_missed(patient: Patient) -> None:
    """One there is as good beside it; none is no fault."""
    patient = _set(patient, stage="dev")
    bridged = replace(
        patient,
        target=replace(patient.target, outputs={**patient.target.outputs, "StripeEventBus": BUS}),
    )
    assert not _wrong(bridged, "endpoint")
    assert [
        BUS in finding.what for finding in examine(bridged, "endpoint", CHECKS["endpoint"])
    ] == [True]


def test_an_endpoint_on_another_domain_is_named_not_taken_for_ours(
    patient: Patient, stand: Stand
) -> None:
    """It may be another stack's; the operator knows."""
    url = f"http://127.0.0.1:{free_port()}{API_PATH}"
    with _endpoint(stand, url=url):
        assert url in _only(_set(patient, stage="dev"), "endpoint").repair


def test_the_address_that_stripe_has_is_tried_too(patient: Patient, stand: Stand) -> None:
    """The stack's own address answers, the one at Stripe does not."""
    port = free_port()
    site = _set(patient, site_url=f"http://127.0.0.1:{port}")
    with _endpoint(stand, url=f"http://127.0.0.1:{port}{API_PATH}"):
        assert "cannot be reached" in _only(site, "endpoint").what
        assert not _wrong(site, "webhook")


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"enabled_events": ["checkout.session.completed"]}, "charge.refunded"),
        ({"api_version": "2023-10-16"}, "2023-10-16"),
    ],
)
def test_an_endpoint_that_does_not_fit_is_found(
    patient: Patient, stand: Stand, members: dict[str, Any], told: str
) -> None:
    """Missing event types; another version of the API."""
    with _endpoint(stand, **members):
        assert told in _only(patient, "endpoint").what


def test_a_disabled_endpoint_is_found(patient: Patient, stand: Stand) -> None:
    """Stripe switches one off that failed for days."""
    with _endpoint(stand) as name:
        stand.stripe.v1.webhook_endpoints.update(name, {"disabled": True})
        assert "disabled" in _only(patient, "endpoint").what


def test_an_endpoint_that_fits_is_fine(patient: Patient, stand: Stand) -> None:
    """By its event types one by one, or all of them."""
    for kinds in (list(SUBSCRIBED), ["*"]):
        with _endpoint(stand, enabled_events=kinds):
            assert not _wrong(patient, "endpoint")


def test_an_endpoint_whose_signing_secret_the_stack_does_not_have_is_found(
    patient: Patient, stand: Stand
) -> None:
    """An endpoint made by hand at the right address looks right, but every delivery of it would be
    refused.
    """
    secrets, name = stand.boto("secretsmanager"), stand.resources()["WebhookSecretsSecret"]
    before, known = (
        secrets.get_secret_value(SecretId=name)["SecretString"],
        stand.facts["webhook_secret"],
    )
    document = {"secrets": [known], "endpoints": {"we_another": fingerprint(known)}}
    secrets.put_secret_value(SecretId=name, SecretString=json.dumps(document))
    try:
        with _endpoint(stand):
            assert "does not have its signing secret" in _only(patient, "endpoint").what
    finally:
        secrets.put_secret_value(SecretId=name, SecretString=before)


def test_deliveries_that_stripe_could_not_make_are_found(patient: Patient, stand: Stand) -> None:
    """Once they are older than a delivery may take."""
    stand.control("deliveries", drop=1)
    bought = stand.buy("ops-undelivered")
    stand.pay(bought["session_id"])
    stand.control("deliveries", drop=0)
    assert "not delivered" in _only(_later(patient, hours=1), "deliveries").what
    assert not _wrong(_later(_made(patient, seconds=-5), hours=1), "deliveries"), (
        "a stack that was made since cannot have missed it"
    )
    stand.call("POST", f"/payments/{bought['payment_id']}/confirm", sub="ops-undelivered")


def test_a_clock_that_is_wrong_is_found(patient: Patient) -> None:
    account = patient.account
    skewed = AccountAtStripe(
        account.read_key, account.api_base, lambda: utc_now().timestamp() - 400
    )
    assert "behind Stripe's" in _only(replace(patient, account=skewed), "clock").what
    assert not _wrong(patient, "clock")


def test_events_that_wait_for_an_operator_are_found(patient: Patient) -> None:
    fact = SessionFact(
        fact_id="evt_ops_doctor",
        type="checkout.session.completed",
        created=0,
        kind="paid",
        session_id="cs_ops",
        payment_id="pay_ops",
        user_id="ops",
        plan="starter",
        quota=100,
        amount_subtotal=1,
        amount_total=1,
        currency="usd",
        payment_intent=None,
    )
    books = builders.books_on(MemoryStore(), clock=builders.Clock())
    patient = replace(patient, books=books)
    assert not _wrong(patient, "parked")
    assert parking.park(books, fact, Park("mismatch", "planted"))
    assert "1 mismatch" in _only(patient, "parked").what
    books.clock.advance(hours=2)  # type: ignore[attr-defined]
    assert any("waits for 120 min" in finding.what for finding in _wrong(patient, "parked"))


def _made(patient: Patient, **ago: int) -> Patient:
    made = int((utc_now() - timedelta(**ago)).timestamp())
    return replace(patient, target=replace(patient.target, made_epoch=made))


def test_books_that_were_never_compared_are_found_once_there_was_time_for_it(
    patient: Patient,
) -> None:
    """Right after the first deployment it is a note: the schedule begins within the hour."""
    never = _set(
        replace(patient, books=replace(builders.books_on(MemoryStore()), clock=utc_now)),
        stage="prod",
    )
    assert [
        finding.level
        for finding in examine(_made(never, minutes=1), "books", CHECKS["reconciliation"])
    ] == ["note"]
    assert "never compared" in _only(_made(never, hours=4), "reconciliation").what


def test_a_reconciliation_that_does_not_run_is_found(patient: Patient, stand: Stand) -> None:
    """The last one is too long ago."""
    stand.invoke("ReconcileFunction", {})
    live = _set(patient, stage="prod")
    assert not _wrong(live, "reconciliation")
    assert "overdue" in _only(_later(live, hours=4), "reconciliation").what


def test_tables_that_cannot_be_restored_are_found(patient: Patient) -> None:
    """The embedded AWS drops point-in-time recovery: in AWS that would be wrong."""
    assert len(_wrong(_set(patient, stage="prod"), "tables")) == 6


def test_a_table_that_goes_with_the_stack_is_found(patient: Patient) -> None:
    """One without a DeletionPolicy."""
    name = patient.target.resources["PaymentsTable"].physical_id
    assert (
        "deleting the stack"
        in _only(_with(patient, "OtherTable", name, "AWS::DynamoDB::Table"), "tables").what
    )


def test_rows_that_expire_in_a_table_that_must_keep_them_are_found(patient: Patient) -> None:
    """A guard that is gone is a second credit; and a table whose rows never go, grows."""
    names = {
        name: patient.target.resources[name].physical_id
        for name in ("QuotasTable", "WebhookEventsTable")
    }
    swapped = _with(patient, "WebhookEventsTable", names["QuotasTable"], "AWS::DynamoDB::Table")
    assert "must stay for ever" in _only(swapped, "tables").what
    swapped = _with(patient, "QuotasTable", names["WebhookEventsTable"], "AWS::DynamoDB::Table")
    assert "the table grows" in _only(swapped, "tables").what


def test_dead_letters_are_found(patient: Patient) -> None:
    """Events that could not even be parked."""
    sqs = patient.target.client("sqs")
    url = sqs.create_queue(QueueName=f"dead-{free_port()}")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert (
        "1 events"
        in _only(
            _with(patient, "ParkedDeadLetterQueue", url, "AWS::SQS::Queue"), "dead letters"
        ).what
    )
    assert not _wrong(patient, "dead letters")


def test_a_schedule_that_is_off_is_found(patient: Patient) -> None:
    """Recovery or reconciliation would never run."""
    name = f"off-{free_port()}"
    patient.target.client("events").put_rule(
        Name=name, ScheduleExpression="rate(1 hour)", State="DISABLED"
    )
    assert (
        "DISABLED" in _only(_with(patient, "OffRule", name, "AWS::Events::Rule"), "schedules").what
    )
    assert "none" in _only(_alone(patient, "Nothing", "", "AWS::SQS::Queue"), "schedules").what


@pytest.mark.parametrize("physical_id", [BUS + "|{}", "{}"])
def test_a_rule_on_stripes_bus_that_is_off_is_found(patient: Patient, physical_id: str) -> None:
    """CloudFormation names the bus with the rule, the embedded one does not."""
    events, name = patient.target.client("events"), f"off-{free_port()}"
    with contextlib.suppress(events.exceptions.ResourceAlreadyExistsException):
        events.create_event_bus(Name=BUS, EventSourceName=BUS)
    events.put_rule(
        Name=name, EventBusName=BUS, EventPattern='{"source": ["any"]}', State="DISABLED"
    )
    bridged = replace(patient, target=replace(patient.target, outputs={"StripeEventBus": BUS}))
    found = _with(bridged, "StripeEventsRule", physical_id.format(name), "AWS::Events::Rule")
    assert "StripeEventsRule is DISABLED" in _only(found, "schedules").what


def _alarm(patient: Patient, *actions: str) -> Patient:
    name = f"alarm-{free_port()}"
    patient.target.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Topup",
        MetricName="parked",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=list(actions),
    )
    return _alone(patient, "PlantedAlarm", name, "AWS::CloudWatch::Alarm")


def test_a_stack_without_alarms_is_found(patient: Patient) -> None:
    """A note in the local stack."""
    assert (
        "has none"
        in _only(
            _set(_alone(patient, "Nothing", "", "AWS::SQS::Queue"), stage="prod"), "alarms"
        ).what
    )


def test_alarms_without_a_receiver_are_found(patient: Patient) -> None:
    """They would fire without notifying an operator: a fault in live mode, after the stack's first
    hours.
    """
    live = _set(_alarm(patient), stage="prod", livemode=True)
    assert "1 of 1 have no receiver" in _only(_made(live, hours=4), "alarms").what
    for spared in (_made(live, minutes=1), _made(_set(live, livemode=False), hours=4)):
        found = examine(spared, "alarms", CHECKS["alarms"])
        assert [finding.level for finding in found] == ["note"]
        assert "no operator is notified" in found[0].what


def test_a_topic_without_a_confirmed_subscription_is_found(patient: Patient) -> None:
    """AWS asks every address to confirm."""
    topic = patient.target.client("sns").create_topic(Name=f"nobody-{free_port()}")["TopicArn"]
    assert "no subscription is confirmed" in _only(_alarm(patient, topic), "alarms").what


def test_an_alarm_that_fires_is_found(patient: Patient) -> None:
    """With its reason."""
    firing = _alarm(patient, "arn:aws:lambda:us-east-1:000000000000:function:pager")
    name = firing.target.resources["PlantedAlarm"].physical_id
    patient.target.client("cloudwatch").set_alarm_state(
        AlarmName=name, StateValue="ALARM", StateReason="planted"
    )
    assert "planted" in _only(firing, "alarms").what


def test_what_cannot_be_looked_at_is_unknown_and_the_rest_goes_on(
    topup: Topup, stand: Stand
) -> None:
    """One question without an answer is one finding."""
    stand.control("faults", route="GET /v1/events", status=500, times=1)
    _, answer = topup("doctor")
    assert [
        finding["check"] for finding in answer["findings"] if finding["level"] == "unknown"
    ] == ["deliveries"]
    assert answer["findings"][-1]["check"].startswith("alarm")


@pytest.mark.parametrize(
    ("levels", "code"), [("ok note", 0), ("ok wrong", 1), ("wrong unknown", 1), ("ok unknown", 3)]
)
def test_exit_codes_say_fine_wrong_or_not_known(levels: str, code: int) -> None:
    assert exit_code([Finding("check", level, "") for level in levels.split()]) == code  # type: ignore[arg-type]
