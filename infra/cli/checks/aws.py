"""Checks the stack in AWS: dead-letter queues, schedules, reserved concurrency and alarms."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.cli.checks.findings import Finding, Level, Patient
from infra.deploy.concurrency import LEFT_MIN, PARAMETER, USUAL

NAMES_A_CALL: Final = 100
"""The most alarms that one call can ask for:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
"""
MESSAGE_COUNTS: Final = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
ON: Final = ("ENABLED", "CREATING", "ENABLING", "UPDATING")


def queues(patient: Patient) -> Iterator[Finding]:
    """Check that the dead-letter queue of Stripe's events is empty.

    It has the events that could be neither settled nor kept for a later retry. Yields one finding.
    """
    found = patient.target.resources.get("ParkedDeadLetterQueue")
    if found is None:
        what = "the stack has no ParkedDeadLetterQueue"
        yield Finding("dead letters", "wrong", what, "deploy the template again")
        return
    answer = patient.target.client("sqs").get_queue_attributes(
        QueueUrl=found.physical_id, AttributeNames=list(MESSAGE_COUNTS)
    )
    count = sum(int(answer["Attributes"].get(name, "0")) for name in MESSAGE_COUNTS)
    if count:
        repair = (
            "repair the cause (the log of RecoverFunction has it), then"
            " aws sqs start-message-move-task; messages are kept for 14 days"
        )
        yield Finding("dead letters", "wrong", f"{count} events could not even be parked", repair)
    else:
        yield Finding("dead letters", "ok", "none")


NOTIFIES: Final = "NotifyFunction"
CHARGES: Final = "AutoTopUpFunction"


def schedules(patient: Patient) -> Iterator[Finding]:
    """Check that the rules and event sources that start the functions are enabled."""
    states = _states(patient)
    for function in _switched_off(patient):
        states = {name: state for name, state in states.items() if function not in name}
    off = [f"{logical} is {state}" for logical, state in states.items() if state.upper() not in ON]
    if off or not states:
        what = "; ".join(off) or "there are none: parked events are not retried"
        repair = (
            "aws events enable-rule --name ...,"
            " aws lambda update-event-source-mapping --enabled --uuid ...,"
            " or deploy the template again"
        )
        yield Finding("schedules", "wrong", what, repair)
    else:
        yield Finding("schedules", "ok", f"{len(states)} are on")


def _switched_off(patient: Patient) -> Iterator[str]:
    """Yield the logical ids of functions that the stack's parameters switch off."""
    if not patient.target.settings.telling.is_on:
        yield NOTIFIES
    if not patient.target.settings.auto_top_up:
        yield CHARGES


def _states(patient: Patient) -> dict[str, str]:
    """Return the state of each EventBridge rule and event source mapping, by logical id."""
    events, functions = patient.target.client("events"), patient.target.client("lambda")
    states = {
        logical: events.describe_rule(**_rule(patient, logical, name))["State"]
        for logical, name in patient.target.of_type("AWS::Events::Rule").items()
    }
    for logical, uuid in patient.target.of_type("AWS::Lambda::EventSourceMapping").items():
        states[logical] = functions.get_event_source_mapping(UUID=uuid)["State"]
    return states


def _rule(patient: Patient, logical: str, name: str) -> dict[str, str]:
    """Return the arguments with which EventBridge's DescribeRule finds a rule.

    ``name`` is the rule's physical id. For a rule on its own event bus it is ``bus|name``, and the
    call takes the two parts separately.
    """
    asked = {"Name": re.split(r"[/|]", name)[-1]}
    bus = patient.target.outputs.get("StripeEventBus", "")
    if bus and logical == "StripeEventsRule":
        asked["EventBusName"] = bus
    return asked


def reserve(patient: Patient) -> Iterator[Finding]:
    """Check that Lambda reserves concurrency for the webhook.

    Without a reserve, a burst of other calls can delay Stripe's deliveries. That is only a note,
    and only in live mode: no reserve is the default, because a new AWS account has ten concurrent
    executions in all.
    """
    name = patient.target.resources["WebhookFunction"].physical_id
    answer = patient.target.client("lambda").get_function_concurrency(FunctionName=name)
    if reserved := answer.get("ReservedConcurrentExecutions", 0):
        what = f"{reserved} concurrent executions are reserved for the webhook"
        yield Finding("reserve", "ok", what)
    elif patient.target.settings.livemode:
        what = (
            "no concurrent execution is reserved for the webhook: a burst of other calls delays it"
        )
        repair = (
            f"once the account has more than {LEFT_MIN + USUAL} (Service Quotas):"
            f" {PARAMETER}={USUAL} in the stage's file, and deploy"
        )
        yield Finding("reserve", "note", what, repair)
    else:
        what = "none is reserved for the webhook; with test cards none is needed"
        yield Finding("reserve", "ok", what)


def alarms(patient: Patient) -> Iterator[Finding]:
    """Check that alarms exist, that they have a subscriber, and that none is in alarm."""
    names = list(patient.target.of_type("AWS::CloudWatch::Alarm").values())
    if not names:
        what = "the stack has none: no operator is notified when the webhook fails"
        repair = "deploy the template with its alarms, and with an operator's address"
        yield Finding("alarms", patient.unless_local("wrong"), what, repair)
        return
    found = list(_described_alarms(patient, names))
    faults = [*_no_receiver(patient, found), *(fault for row in found for fault in _alarm(row))]
    yield from faults
    yield from _receivers(patient, {arn for row in found for arn in row["AlarmActions"]})
    if not faults:
        yield Finding("alarms", "ok", f"{len(found)} alarms, none fires")


def _described_alarms(patient: Patient, names: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    paginator = patient.target.client("cloudwatch").get_paginator("describe_alarms")
    for start in range(0, len(names), NAMES_A_CALL):
        for page in paginator.paginate(AlarmNames=names[start : start + NAMES_A_CALL]):
            yield from page["MetricAlarms"]


def _no_receiver(patient: Patient, rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield one finding if some CloudWatch alarms have no receiver, and nothing otherwise.

    ``rows`` are the stack's alarms as CloudWatch describes them. The finding is a fault in live
    mode once the stack is a few hours old, and a note before that or in test mode.
    """
    count = sum(not row["AlarmActions"] for row in rows)
    if not count:
        return
    level: Level = "note"
    if patient.target.settings.livemode and not patient.is_new:
        level = "wrong"
    what = f"{count} of {len(rows)} have no receiver: no operator is notified (AlarmTopicArn)"
    repair = "name an SNS topic with a subscriber in the parameter AlarmTopicArn: make deploy ASK=1"
    yield Finding("alarms", level, what, repair)


def _alarm(row: Mapping[str, Any]) -> Iterator[Finding]:
    check = f"alarm {row['AlarmName']}"
    if row["AlarmActions"] and not row.get("ActionsEnabled", True):
        repair = f"aws cloudwatch enable-alarm-actions --alarm-names {row['AlarmName']}"
        yield Finding(check, "wrong", "its actions are switched off", repair)
    if row["StateValue"] == "ALARM":
        repair = "docs/operations.md has a paragraph on each alarm"
        yield Finding(check, "wrong", f"it fires: {row.get('StateReason', '')}", repair)


def _receivers(patient: Patient, arns: set[str]) -> Iterator[Finding]:
    sns = patient.target.client("sns")
    for arn in sorted(arn for arn in arns if ":sns:" in arn):
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        rows = [row for page in pages for row in page["Subscriptions"]]
        if not any(row["SubscriptionArn"].startswith("arn:") for row in rows):
            yield _unconfirmed(arn, is_subscribed=bool(rows))


def _unconfirmed(arn: str, *, is_subscribed: bool) -> Finding:
    repair = f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ..."
    if is_subscribed:
        repair = "open the link in the mail that AWS sent"
    what = "no subscription is confirmed: alarms notify no operator"
    return Finding(f"topic {arn.rsplit(':', 1)[-1]}", "wrong", what, repair)
