"""The doctor's questions to AWS: are the tables safe, do the schedules run, and does anybody hear an alarm."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from infra.cli.checks.findings import Finding, Level, Patient
from infra.cli.restore.table_settings import Table, differing, missing_indexes
from infra.deploy.concurrency import LEFT_MIN, PARAMETER, USUAL

TTL_TABLE: Final = "QuotasTable"
"""The only table with rows that may go: replayed answers and closed holds."""
PITR: Final = "PointInTimeRecoveryEnabled=true"
NAMES_A_CALL: Final = 100
"""https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html"""


def tables(patient: Patient) -> Iterator[Finding]:
    """They can be restored, they outlive the stack, and nothing in them expires that must not."""
    dynamodb, policies = patient.target.client("dynamodb"), _deletion_policies(patient)
    for logical, name in patient.target.tables().items():
        faults: list[Finding] = []
        backups = dynamodb.describe_continuous_backups(TableName=name)[
            "ContinuousBackupsDescription"
        ]
        if (
            backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
            != "ENABLED"
        ):
            repair = f"aws dynamodb update-continuous-backups --table-name {name} --point-in-time-recovery-specification {PITR}"
            faults.append(
                Finding(
                    f"table {logical}",
                    patient.unless_local("wrong"),
                    "it cannot be restored to a point in time",
                    repair,
                )
            )
        if not (policy := policies.get(logical, "")).startswith("Retain"):
            repair = "deploy the template with DeletionPolicy: RetainExceptOnCreate"
            what = f"deleting the stack deletes the books (DeletionPolicy {policy or 'Delete'})"
            faults.append(Finding(f"table {logical}", "wrong", what, repair))
        faults += _unlike(patient, logical, name)
        faults += _expiry(
            logical, name, dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        )
        yield from faults or [
            Finding(
                f"table {logical}", "ok", "point-in-time recovery is on, and it outlives the stack"
            )
        ]


def queues(patient: Patient) -> Iterator[Finding]:
    """What has been given up on."""
    sqs = patient.target.client("sqs")
    found = patient.target.resources.get("ParkedDeadLetterQueue")
    if found is None:
        yield Finding(
            "dead letters",
            "wrong",
            "the stack has no ParkedDeadLetterQueue",
            "deploy the template anew",
        )
        return
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = sqs.get_queue_attributes(QueueUrl=found.physical_id, AttributeNames=asked)["Attributes"]
    count = sum(int(told.get(name, "0")) for name in asked)
    if count:
        repair = "mend the cause (the log of RecoverFunction has it), then aws sqs start-message-move-task; they are kept for 14 days"
        yield Finding("dead letters", "wrong", f"{count} facts could not even be parked", repair)
    else:
        yield Finding("dead letters", "ok", "none")


def schedules(patient: Patient) -> Iterator[Finding]:
    """Recovery and reconciliation are called."""
    events, functions = patient.target.client("events"), patient.target.client("lambda")
    states = {
        logical: events.describe_rule(**_where(patient, logical, name))["State"]
        for logical, name in patient.target.of_type("AWS::Events::Rule").items()
    }
    for logical, uuid in patient.target.of_type("AWS::Lambda::EventSourceMapping").items():
        states[logical] = functions.get_event_source_mapping(UUID=uuid)["State"]
    off = [
        f"{logical} is {state}"
        for logical, state in states.items()
        if state.upper() not in ("ENABLED", "CREATING", "ENABLING", "UPDATING")
    ]
    if off or not states:
        repair = "aws events enable-rule --name ..., aws lambda update-event-source-mapping --enabled --uuid ..., or deploy the template anew"
        yield Finding(
            "schedules",
            "wrong",
            "; ".join(off) or "there are none: parked facts are not tried again",
            repair,
        )
    else:
        yield Finding("schedules", "ok", f"{len(states)} are on")


def reserve(patient: Patient) -> Iterator[Finding]:
    """No burst of other calls can keep Stripe's deliveries waiting.

    The default is none, because a new account has ten in all.
    """
    name = patient.target.resources["WebhookFunction"].physical_id
    told = patient.target.client("lambda").get_function_concurrency(FunctionName=name)
    if reserved := told.get("ReservedConcurrentExecutions", 0):
        yield Finding(
            "reserve", "ok", f"{reserved} concurrent executions are set aside for the webhook"
        )
    elif patient.target.settings.livemode:
        repair = f"once the account has more than {LEFT_MIN + USUAL} (Service Quotas): {PARAMETER}={USUAL} in the stage's file, and deploy"
        yield Finding(
            "reserve",
            "note",
            "no concurrent execution is set aside for the webhook: a burst of other calls delays it",
            repair,
        )
    else:
        yield Finding(
            "reserve", "ok", "none is set aside for the webhook; with test cards none is needed"
        )


def alarms(patient: Patient) -> Iterator[Finding]:
    """There are alarms, somebody hears them, and none rings."""
    names = list(patient.target.of_type("AWS::CloudWatch::Alarm").values())
    if not names:
        repair = "deploy the template with its alarms, with the address of somebody who hears them"
        yield Finding(
            "alarms",
            patient.unless_local("wrong"),
            "the stack has none: nobody learns that the webhook fails",
            repair,
        )
        return
    cloudwatch = patient.target.client("cloudwatch")
    found = [
        row
        for start in range(0, len(names), NAMES_A_CALL)
        for page in cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNames=names[start : start + NAMES_A_CALL]
        )
        for row in page["MetricAlarms"]
    ]
    faults = [*_unheard(patient, found), *(fault for row in found for fault in _alarm(row))]
    yield from faults
    yield from _receivers(patient, {arn for row in found for arn in row["AlarmActions"]})
    if not faults:
        yield Finding("alarms", "ok", f"{len(found)} alarms, none rings")


def _where(patient: Patient, logical: str, name: str) -> dict[str, str]:
    """How a rule is asked for. On another bus than the default one its physical id is ``bus|name``."""
    bus = patient.target.outputs.get("StripeEventBus", "") if logical == "StripeEventsRule" else ""
    return {"Name": re.split(r"[/|]", name)[-1], **({"EventBusName": bus} if bus else {})}


def _expiry(logical: str, name: str, ttl: Mapping[str, Any]) -> Iterator[Finding]:
    attribute, on = ttl.get("AttributeName"), ttl.get("TimeToLiveStatus") in ("ENABLED", "ENABLING")
    change = f"aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification"
    if on and (logical != TTL_TABLE or attribute != "ttl"):
        what = (
            f"rows expire by {attribute!r}: what guards against a second credit must stay for ever"
        )
        yield Finding(
            f"table {logical}", "wrong", what, f"{change} Enabled=false,AttributeName={attribute}"
        )
    if not on and logical == TTL_TABLE:
        what = "closed holds and replayed answers never go: the table grows"
        yield Finding(f"table {logical}", "wrong", what, f"{change} Enabled=true,AttributeName=ttl")


def _unlike(patient: Patient, logical: str, name: str) -> Iterator[Finding]:
    """CloudFormation keeps to the table that it made: what a later release changes there, a restored table does not get."""
    own = patient.target.own_tables()[logical]
    if name == own:
        return
    client = patient.target.client("dynamodb")
    original, used = Table.read(client, own), Table.read(client, name)
    if lacking := [setting.name for setting in differing(original, used)]:
        repair = f"topup restore --at TIME, the time in the name of {name}, brings them over again"
        yield Finding(
            f"table {logical}", "wrong", f"{name} has not {own}'s {', '.join(lacking)}", repair
        )
    if missing := missing_indexes(original, used):
        repair = f"add it as it is at {own}: aws dynamodb update-table --table-name {name} --global-secondary-index-updates ..."
        yield Finding(
            f"table {logical}",
            "wrong",
            f"{name} lacks the index {', '.join(missing)}, which functions read",
            repair,
        )


def _deletion_policies(patient: Patient) -> dict[str, str]:
    told = patient.target.client("cloudformation").get_template(
        StackName=patient.target.stack_name, TemplateStage="Processed"
    )
    body = told["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    return {
        logical: row.get("DeletionPolicy", "") for logical, row in template["Resources"].items()
    }


def _unheard(patient: Patient, rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """With test cards, and in a stack's first hours, it may wait."""
    if deaf := sum(not row["AlarmActions"] for row in rows):
        repair = "name an SNS topic that somebody is subscribed to, in the parameter AlarmTopicArn: make deploy ASK=1"
        level: Level = (
            "wrong" if patient.target.settings.livemode and not patient.is_new else "note"
        )
        yield Finding(
            "alarms",
            level,
            f"{deaf} of {len(rows)} have no receiver: nobody hears them (AlarmTopicArn)",
            repair,
        )


def _alarm(row: Mapping[str, Any]) -> Iterator[Finding]:
    check = f"alarm {row['AlarmName']}"
    if row["AlarmActions"] and not row.get("ActionsEnabled", True):
        yield Finding(
            check,
            "wrong",
            "its actions are switched off",
            f"aws cloudwatch enable-alarm-actions --alarm-names {row['AlarmName']}",
        )
    if row["StateValue"] == "ALARM":
        yield Finding(
            check,
            "wrong",
            f"it rings: {row.get('StateReason', '')}",
            "docs/operations.md has a paragraph on each alarm",
        )


def _receivers(patient: Patient, arns: set[str]) -> Iterator[Finding]:
    sns = patient.target.client("sns")
    for arn in sorted(arn for arn in arns if ":sns:" in arn):
        pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
        rows = [row for page in pages for row in page["Subscriptions"]]
        if not any(row["SubscriptionArn"].startswith("arn:") for row in rows):
            repair = (
                "open the link in the mail that AWS sent"
                if rows
                else f"aws sns subscribe --topic-arn {arn} --protocol email --notification-endpoint ..."
            )
            yield Finding(
                f"topic {arn.rsplit(':', 1)[-1]}",
                "wrong",
                "nobody has confirmed a subscription: alarms go nowhere",
                repair,
            )
