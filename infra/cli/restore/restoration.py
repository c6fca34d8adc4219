"""One table's restore, step by step.

AWS itself says how far it is, so the same command goes on wherever it was interrupted.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.cli.errors import OperatorError, not_found, unreachable
from infra.cli.restore.table_settings import SETTINGS, Setting, Table, differing, missing_indexes

LOOK_SECONDS: Final = 10
HOURS_MAX: Final = 24
"""A restore can take hours:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
"""
LOOKS_MAX: Final = HOURS_MAX * 3600 // LOOK_SECONDS
UNDER_WAY: Final = ("CREATING", "UPDATING")
ABSENT: Final = ("ResourceNotFoundException", "TableNotFoundException")
STEPS: Final = 3 + len(SETTINGS)
"""Of the progress bar: started, active, each setting, and all of them."""
LATER: Final = (
    "ContinuousBackupsUnavailableException",
    "LimitExceededException",
    "ResourceInUseException",
)
"""DynamoDB is still making the table:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html"""
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Restoration:
    """``original`` is the stack's own table, ``source`` the one that is read, ``target`` the one that is made.

    ``is_told``: AWS says of a restored table what it was made of. An embedded AWS may not.
    """

    client: Any
    original: str
    source: str
    target: str
    at: datetime
    is_told: bool = True

    def is_started(self) -> bool:
        """Whether the target exists.

        Raises OperatorError for a table of that name that is no restore of the source.
        """
        if self.target == self.source:
            return True  # in use already: its settings alone are brought over again
        description = describe(self.client, self.target)
        if description is None:
            return False
        summary = description.get("RestoreSummary")
        source = describe(self.client, self.source) or {}
        is_other = summary["SourceTableArn"] != source.get("TableArn") if summary else self.is_told
        if is_other:
            message = (
                f"there is a table {self.target} already, and it is no restore of {self.source}"
            )
            raise not_found(message, "delete it if it is nobody's, or give another second")
        return True

    def start(self) -> None:
        """Ask for the restore, unless there is one."""
        if self.is_started():
            return
        try:
            self.client.restore_table_to_point_in_time(
                SourceTableName=self.source,
                TargetTableName=self.target,
                RestoreDateTime=self.at,
            )
        except self.client.exceptions.TableAlreadyExistsException:
            self.is_started()  # the answer to an earlier call was lost, or a colleague was quicker

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Return when the target and its indexes can be used.

        Raises OperatorError after a day, and when it cannot become active.
        """
        for _ in range(LOOKS_MAX):
            description = describe(self.client, self.target) or {"TableStatus": "gone"}
            indexes = [
                row.get("IndexStatus", "ACTIVE")
                for row in description.get("GlobalSecondaryIndexes", [])
            ]
            states = {description["TableStatus"], *indexes}
            if states == {"ACTIVE"}:
                return
            if not states <= {"ACTIVE", *UNDER_WAY}:
                raise unreachable(f"{self.target} is {', '.join(sorted(states - {'ACTIVE'}))}")
            sleep(LOOK_SECONDS)
        raise unreachable(f"{self.target} was not ready after {HOURS_MAX} hours")

    def settle(self, told: Told, sleep: Callable[[float], None] = time.sleep) -> None:
        """Bring every setting of the original over, the protection against deletion last."""
        original = Table.read(self.client, self.original)
        for setting in SETTINGS:
            self._bring(setting, setting.read(original), sleep)
            told(setting.name)

    def _bring(self, setting: Setting, wanted: Any, sleep: Callable[[float], None]) -> None:
        """Give it once, and look until it shows.

        Raises OperatorError where the target does not take it within a day.
        """
        is_taken = False
        for _ in range(LOOKS_MAX):
            target = Table.read(self.client, self.target)
            if setting.read(target) == wanted:
                return
            if is_taken or not (is_taken := _written(lambda: setting.write(target, wanted))):  # noqa: B023 - called at once
                sleep(LOOK_SECONDS)
            self.wait(sleep)
        raise unreachable(f"{self.target} does not take the {setting.name} of {self.original}")

    def lacks(self) -> list[str]:
        """What the target has not got of the original. Empty when it is whole."""
        description = describe(self.client, self.target)
        if description is None:
            return ["everything: there is no such table"]
        if description["TableStatus"] != "ACTIVE":
            return [f"everything: it is {description['TableStatus']}"]
        original, target = (
            Table.read(self.client, self.original),
            Table.read(self.client, self.target),
        )
        settings = [setting.name for setting in differing(original, target)]
        return [*settings, *(f"index {name}" for name in missing_indexes(original, target))]


def describe(client: Any, name: str) -> Mapping[str, Any] | None:
    """The table's description, or None where there is none."""
    try:
        found: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise
    return found


def restore_all(jobs: list[Restoration], again: str, told: Told) -> None:
    """Start all, then wait for each.

    One that fails does not stop the others; OperatorError names them, and ``again`` goes on.
    """
    failed: dict[str, str] = {}
    steps: tuple[tuple[str, Callable[[Restoration], None]], ...] = (
        ("started", Restoration.start),
        ("active", Restoration.wait),
        ("settings", lambda job: job.settle(told)),
    )
    for name, step in steps:
        for job in jobs:
            if job.target in failed:
                continue
            try:
                step(job)
            except (ClientError, OperatorError) as error:
                failed[job.target] = str(error)
            else:
                told(f"{job.target} {name}")
    if failed:
        lines = "\n".join(f"  {name}: {why}" for name, why in failed.items())
        raise unreachable(
            f"{len(failed)} of {len(jobs)} tables are not restored yet:\n{lines}",
            f"to go on: {again}",
        )


def _written(write: Callable[[], None]) -> bool:
    """Whether DynamoDB took the change. False where it has to be asked later."""
    try:
        write()
    except ClientError as error:
        if error.response["Error"]["Code"] not in LATER:
            raise
        return False
    return True
