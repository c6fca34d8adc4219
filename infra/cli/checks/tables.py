"""Checks that the tables can be restored, outlive the stack, and let only ended rows expire.

A restored table must also have the settings of the table that it replaces.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from infra.cli.checks.findings import Finding, Patient
from infra.cli.restore.table_settings import ON, Table, differing, missing_indexes, recovery

TTL_TABLES: Final = ("QuotasTable", "NoticesTable")
"""The only tables with rows that may expire: answers kept for repeats, closed holds, and events to
the seller that were delivered or are dead.
"""
PITR: Final = "PointInTimeRecoveryEnabled=true"


def tables(patient: Patient) -> Iterator[Finding]:
    """Check each table's backup, its protection from deletion, and which rows expire.

    Point-in-time recovery must be on, and the table must stay if the stack is deleted. Only rows
    that have ended, for example delivered events, may expire by time to live. A restored table
    must have the settings of the one that it replaces.
    """
    policies = _deletion_policies(patient)
    for logical, name in patient.target.tables().items():
        faults = [
            *_recovery(patient, logical, name),
            *_deletion(logical, policies.get(logical, "")),
            *_differences(patient, logical, name),
            *_expiry(patient, logical, name),
        ]
        good = "point-in-time recovery is on, and it outlives the stack"
        yield from faults or [Finding(f"table {logical}", "ok", good)]


def _recovery(patient: Patient, logical: str, name: str) -> Iterator[Finding]:
    state = recovery(patient.target.client("dynamodb"), name).get("PointInTimeRecoveryStatus")
    if state == "ENABLED":
        return
    repair = (
        f"aws dynamodb update-continuous-backups --table-name {name}"
        f" --point-in-time-recovery-specification {PITR}"
    )
    level, what = patient.unless_local("wrong"), "it cannot be restored to a point in time"
    yield Finding(f"table {logical}", level, what, repair)


def _deletion(logical: str, policy: str) -> Iterator[Finding]:
    if not policy.startswith("Retain"):
        what = f"deleting the stack deletes the books (DeletionPolicy {policy or 'Delete'})"
        repair = "deploy the template with DeletionPolicy: RetainExceptOnCreate"
        yield Finding(f"table {logical}", "wrong", what, repair)


def _differences(patient: Patient, logical: str, name: str) -> Iterator[Finding]:
    """Yield findings for settings and indexes that a restored table lacks.

    The table is compared with the stack's own. CloudFormation changes only the tables that it
    created, so a restored one misses later changes of the template.
    """
    own = patient.target.own_tables()[logical]
    if name == own:
        return
    client = patient.target.client("dynamodb")
    original, used = Table.read(client, own), Table.read(client, name)
    if lacking := [setting.name for setting in differing(original, used)]:
        what = f"{name} has not {own}'s {', '.join(lacking)}"
        repair = f"topup restore --at TIME, the time in the name of {name}, copies them again"
        yield Finding(f"table {logical}", "wrong", what, repair)
    if missing := missing_indexes(original, used):
        what = f"{name} lacks the index {', '.join(missing)}, which functions read"
        repair = (
            f"add it as it is at {own}: aws dynamodb update-table --table-name {name}"
            " --global-secondary-index-updates ..."
        )
        yield Finding(f"table {logical}", "wrong", what, repair)


def _expiry(patient: Patient, logical: str, name: str) -> Iterator[Finding]:
    answer = patient.target.client("dynamodb").describe_time_to_live(TableName=name)
    ttl = answer["TimeToLiveDescription"]
    attribute, is_on = ttl.get("AttributeName"), ttl.get("TimeToLiveStatus") in ON
    change = f"aws dynamodb update-time-to-live --table-name {name} --time-to-live-specification"
    if is_on and (logical not in TTL_TABLES or attribute != "ttl"):
        what = (
            f"rows expire by {attribute!r}: what guards against a second credit must stay for ever"
        )
        repair = f"{change} Enabled=false,AttributeName={attribute}"
        yield Finding(f"table {logical}", "wrong", what, repair)
    if not is_on and logical in TTL_TABLES:
        what = "rows that have ended never expire: the table grows"
        repair = f"{change} Enabled=true,AttributeName=ttl"
        yield Finding(f"table {logical}", "wrong", what, repair)


def _deletion_policies(patient: Patient) -> dict[str, str]:
    answer = patient.target.client("cloudformation").get_template(
        StackName=patient.target.stack_name, TemplateStage="Processed"
    )
    body: Any = answer["TemplateBody"]
    template = body if isinstance(body, dict) else json.loads(body)
    rows = template["Resources"].items()
    return {logical: row.get("DeletionPolicy", "") for logical, row in rows}
