"""Copies settings from one table to another, because a restore on AWS leaves most of them behind.

"You must manually set up the following on the restored table": auto scaling, IAM policies, alarms,
tags, streams, time to live, point-in-time recovery.
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_RestoreTableToPointInTime.html
Deletion protection is off too. The template sets IAM policies, by its parameter TableSuffix, and it
has no auto scaling.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

INDEXES: Final = ("GlobalSecondaryIndexes", "LocalSecondaryIndexes")
INDEX_MEMBERS: Final = ("KeySchema", "Projection")
RESERVED: Final = "aws:"
"""The prefix of CloudFormation's own tags. Only AWS may write tags with it:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Tagging.html
"""
ON: Final = ("ENABLED", "ENABLING")


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table: a client, its name, and the description that DynamoDB gave of it."""

    client: Any
    name: str
    description: Mapping[str, Any]

    @classmethod
    def read(cls, client: Any, name: str) -> "Table":
        """Return the table ``name`` with DynamoDB's present description of it."""
        return cls(client, name, client.describe_table(TableName=name)["Table"])

    def update(self, **change: Any) -> None:
        """Send one ``UpdateTable`` request with the parameters ``change`` for this table.

        It does not wait until DynamoDB has carried the change out.
        """
        self.client.update_table(TableName=self.name, **change)


@dataclass(frozen=True, slots=True)
class Setting:
    """Reads and writes one setting of any table, for example its tags.

    ``write`` gives a table the value that ``read`` returned for another.
    """

    name: str
    read: Callable[[Table], Any]
    write: Callable[[Table, Any], None]


def differing(original: Table, other: Table) -> list[Setting]:
    """Return the settings in which the tables differ."""
    return [setting for setting in SETTINGS if setting.read(original) != setting.read(other)]


def missing_indexes(original: Table, other: Table) -> list[str]:
    """Return the names of the original's indexes that ``other`` does not have.

    An index with other keys or attributes counts as missing.
    """
    there = _indexes(other)
    return sorted(name for name, row in _indexes(original).items() if there.get(name) != row)


def _indexes(table: Table) -> dict[str, Any]:
    rows = [row for kind in INDEXES for row in table.description.get(kind, [])]
    return {row["IndexName"]: [row[member] for member in INDEX_MEMBERS] for row in rows}


def _billing(table: Table) -> str:
    mode: str = table.description.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    return mode


def _set_billing(table: Table, mode: str) -> None:
    table.update(BillingMode=mode)


def _encryption(table: Table) -> tuple[str, str]:
    row = table.description.get("SSEDescription", {})
    is_on = row.get("Status") in ("ENABLED", "UPDATING")
    return (row.get("SSEType", ""), row.get("KMSMasterKeyArn", "")) if is_on else ("", "")


def _encrypt(table: Table, wanted: tuple[str, str]) -> None:
    kind, key = wanted
    named = {"KMSMasterKeyId": key} if key else {}
    typed = {"SSEType": kind} if kind else {}
    table.update(SSESpecification={"Enabled": bool(kind), **typed, **named})


def _class(table: Table) -> str:
    found: str = table.description.get("TableClassSummary", {}).get("TableClass", "STANDARD")
    return found


def _protection(table: Table) -> bool:
    return bool(table.description.get("DeletionProtectionEnabled", False))


def _protect(table: Table, wanted: bool) -> None:  # noqa: FBT001 - a value, not a switch of ours
    table.update(DeletionProtectionEnabled=wanted)


def _stream(table: Table) -> dict[str, Any]:
    row = table.description.get("StreamSpecification") or {}
    return dict(row) if row.get("StreamEnabled") else {}


def _open_stream(table: Table, wanted: dict[str, Any]) -> None:
    table.update(StreamSpecification=wanted or {"StreamEnabled": False})


def recovery(client: Any, name: str) -> dict[str, Any]:
    """Return DynamoDB's description of a table's point-in-time recovery."""
    answer = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    return dict(answer.get("PointInTimeRecoveryDescription", {}))


def _recovery(table: Table) -> dict[str, Any]:
    row = recovery(table.client, table.name)
    if row.get("PointInTimeRecoveryStatus") != "ENABLED":
        return {"PointInTimeRecoveryEnabled": False}
    days = row.get("RecoveryPeriodInDays")
    return {"PointInTimeRecoveryEnabled": True, **({"RecoveryPeriodInDays": days} if days else {})}


def _set_recovery(table: Table, wanted: dict[str, Any]) -> None:
    table.client.update_continuous_backups(
        TableName=table.name, PointInTimeRecoverySpecification=wanted
    )


def _expiry(table: Table) -> str:
    row = table.client.describe_time_to_live(TableName=table.name)["TimeToLiveDescription"]
    return row.get("AttributeName", "") if row.get("TimeToLiveStatus") in ON else ""


def _set_expiry(table: Table, wanted: str) -> None:
    """Set the attribute of the time to live. ``wanted`` "" switches expiry off.

    DynamoDB refuses a second change within an hour:
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTimeToLive.html
    """
    attribute = wanted or _expiry(table)
    change = {"Enabled": bool(wanted), "AttributeName": attribute}
    table.client.update_time_to_live(TableName=table.name, TimeToLiveSpecification=change)


def _tags(table: Table) -> dict[str, str]:
    arn = table.description["TableArn"]
    pages = table.client.get_paginator("list_tags_of_resource").paginate(ResourceArn=arn)
    rows: Iterable[Mapping[str, str]] = (row for page in pages for row in page.get("Tags", []))
    return {row["Key"]: row["Value"] for row in rows if not row["Key"].startswith(RESERVED)}


def _tag(table: Table, wanted: dict[str, str]) -> None:
    there, arn = _tags(table), table.description["TableArn"]
    if surplus := sorted(set(there) - set(wanted)):
        table.client.untag_resource(ResourceArn=arn, TagKeys=surplus)
    changed = sorted(set(wanted.items()) - set(there.items()))
    if rows := [{"Key": key, "Value": value} for key, value in changed]:
        table.client.tag_resource(ResourceArn=arn, Tags=rows)


SETTINGS: Final = (
    Setting("billing mode", _billing, _set_billing),
    Setting("encryption", _encryption, _encrypt),
    Setting("table class", _class, lambda table, wanted: table.update(TableClass=wanted)),
    Setting("stream", _stream, _open_stream),
    Setting("time to live", _expiry, _set_expiry),
    Setting("point-in-time recovery", _recovery, _set_recovery),
    Setting("tags", _tags, _tag),
    Setting("deletion protection", _protection, _protect),
)
"""The settings that a restored table gets from the original, in this order."""
