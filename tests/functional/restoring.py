"""The stack in moto as ``topup`` sees it, with tables that can be restored.

Moto restores what a table holds when it is asked.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import boto3
from billing.settings import TABLE_VARIABLES, Settings
from functional.lab import REGION, Lab
from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID

from infra.cli.commands.restore import keep_deployment, planned
from infra.cli.restore.restoration import restore_all
from infra.cli.restore.restore_time import suffix
from infra.cli.target import TABLE, Resource, TargetStack

AT: Final = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
CHANGES: Final = (
    "RestoreTableToPointInTime",
    "UpdateTable",
    "UpdateTimeToLive",
    "UpdateContinuousBackups",
    "TagResource",
)
NOTHING: Final = "topup restore --at again"


def production(lab: Lab) -> TargetStack:
    """Settings as the template gives them in production, and an operator's tag, on every table."""
    client = lab.boto("dynamodb")
    names = [row["TableName"] for row in lab.template.tables()]
    for name in names:
        client.update_table(TableName=name, DeletionProtectionEnabled=True)
        recovery = {"PointInTimeRecoveryEnabled": True, "RecoveryPeriodInDays": 30}
        client.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
        reach(name, AT - timedelta(days=1), AT + timedelta(minutes=55))
        arn = client.describe_table(TableName=name)["Table"]["TableArn"]
        client.tag_resource(ResourceArn=arn, Tags=[{"Key": "cost", "Value": "billing"}])
    expiry = {"Enabled": True, "AttributeName": "ttl"}
    client.update_time_to_live(TableName="QuotasTable", TimeToLiveSpecification=expiry)
    resources = {name: Resource(name, TABLE) for name in names}
    settings = Settings.from_environment(lab.template.environment())
    session = boto3.Session(region_name=REGION)
    return TargetStack(session, None, REGION, "topup-prod", resources, {}, settings, "", "", 0)


def reach(table: str, earliest: datetime, latest: datetime) -> None:
    """What the emulator says that a table can be restored to."""
    backend: Any = get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][REGION]
    row = backend.tables[table].continuous_backups["PointInTimeRecoveryDescription"]
    row["EarliestRestorableDateTime"] = earliest.timestamp()
    row["LatestRestorableDateTime"] = latest.timestamp()


def restore(target: TargetStack, at: datetime = AT) -> TargetStack:
    """As the command does, in this process. Returns the target with the restored tables."""
    new = restore_tables(target, at)
    keep_deployment(target, new)
    return new


def restore_tables(target: TargetStack, at: datetime = AT) -> TargetStack:
    """All of it but the deployment's id."""
    _, jobs = planned(target, target.tables(), at)
    restore_all(jobs, NOTHING, lambda _: None)
    return target.using(suffix(at))


def only(target: TargetStack, *names: str) -> TargetStack:
    """With these tables alone."""
    return replace(target, resources={name: target.resources[name] for name in names})


def state(target: TargetStack) -> dict[str, Any]:
    """Everything that shall be the same of a table and its restore, by logical id, asked one by
    one.
    """
    return {
        logical: _state(target.client("dynamodb"), name)
        for logical, name in target.tables().items()
    }


def _state(client: Any, name: str) -> dict[str, Any]:
    table = client.describe_table(TableName=name)["Table"]
    backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"][
        "PointInTimeRecoveryDescription"
    ]
    expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    indexes = [*table.get("GlobalSecondaryIndexes", []), *table.get("LocalSecondaryIndexes", [])]
    return {
        "protected": table["DeletionProtectionEnabled"],
        "billing": table["BillingModeSummary"]["BillingMode"],
        "keys": table["KeySchema"],
        "indexes": sorted(row["IndexName"] for row in indexes),
        "recovery": (backups["PointInTimeRecoveryStatus"], backups.get("RecoveryPeriodInDays")),
        "expiry": (
            expiry["TimeToLiveStatus"],
            expiry.get("AttributeName") if expiry["TimeToLiveStatus"] == "ENABLED" else None,
        ),
        "tags": sorted(
            map(str, client.list_tags_of_resource(ResourceArn=table["TableArn"])["Tags"])
        ),
        "items": sorted(map(str, client.scan(TableName=name)["Items"])),
    }


class DeadError(BaseException):
    """The process is gone, like with Ctrl-C."""


@contextmanager
def dying(target: TargetStack, number: int, *, before: bool) -> Iterator[list[str]]:
    """The process dies at the so-manieth change, before or after AWS has made it.

    Yields the changes.
    """
    made: list[str] = []

    def count(model: Any, **_: Any) -> None:
        if model.name in CHANGES:
            made.append(model.name)
            if len(made) == number:
                raise DeadError

    name = f"{'before' if before else 'after'}-call.dynamodb"
    events = target.session.events
    events.register(name, count, unique_id="dying")
    try:
        yield made
    finally:
        events.unregister(name, count, unique_id="dying")


@contextmanager
def refusing(events: Any, operation: str, table: str, code: str) -> Iterator[None]:
    """AWS refuses one operation on one table.

    ``events``: of a session, for clients made from now on, or of one client.
    """

    def refuse(model: Any, params: Any, **_: Any) -> tuple[Any, dict[str, Any]] | None:
        if model.name != operation or table not in str(params["body"]):
            return None
        return type("Answer", (), {"status_code": 400})(), {
            "Error": {"Code": code, "Message": code}
        }

    events.register("before-call.dynamodb", refuse, unique_id="refusing")
    try:
        yield
    finally:
        events.unregister("before-call.dynamodb", refuse, unique_id="refusing")


class Appearing:
    """AWS says of one table, and of its indexes, what ``state`` and ``index`` say.

    Moto knows no table that is not active.
    """

    def __init__(
        self, client: Any, table: str, state: str = "ACTIVE", index: str = "ACTIVE"
    ) -> None:
        """From now on."""
        self.table, self.state, self.index = table, state, index
        client.meta.events.register("after-call.dynamodb.DescribeTable", self._change)

    def _change(self, parsed: dict[str, Any], **_: Any) -> None:
        if parsed.get("Table", {}).get("TableName") == self.table:
            parsed["Table"]["TableStatus"] = self.state
            for row in parsed["Table"].get("GlobalSecondaryIndexes", []):
                row["IndexStatus"] = self.index


def environment(target: TargetStack) -> dict[str, str]:
    """What the functions find in theirs after the switch."""
    return {TABLE_VARIABLES[table]: name for table, name in target.settings.tables.items()}
