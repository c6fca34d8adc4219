"""Restores one table, step by step.

AWS itself stores the progress, so running the command again continues an interrupted restore.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.cli.errors import OperatorError, not_found, unreachable
from infra.cli.restore.table_settings import SETTINGS, Setting, Table, differing, missing_indexes

POLL_SECONDS: Final = 10
HOURS_MAX: Final = 24
"""The longest wait for a table. A restore can take hours:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
"""
POLLS_MAX: Final = HOURS_MAX * 3600 // POLL_SECONDS
UNDER_WAY: Final = ("CREATING", "UPDATING")
ABSENT: Final = ("ResourceNotFoundException", "TableNotFoundException")
STEPS: Final = 3 + len(SETTINGS)
"""The progress bar's steps for one table: started, active, each setting, and all settings."""
LATER: Final = (
    "ContinuousBackupsUnavailableException",
    "LimitExceededException",
    "ResourceInUseException",
)
"""The errors with which DynamoDB refuses a change while it is still making the table:
https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateTable.html
"""
Report = Callable[[str], None]
"""Is called with each step that is done."""


@dataclass(frozen=True, slots=True)
class Restoration:
    """The restore of ``source`` into a new table ``target``, with the settings of ``original``.

    ``original`` is the stack's own table. ``names_source`` is true if the description of a restored
    table always names its source, as AWS's does. An embedded AWS may leave the source out.
    """

    client: Any
    original: str
    source: str
    target: str
    at: datetime
    names_source: bool = True

    def is_started(self) -> bool:
        """Return whether the target table exists.

        Raises OperatorError if a table of that name was not restored from the source.
        """
        if self.target == self.source:
            return True  # in use already: only its settings are copied again
        description = describe(self.client, self.target)
        if description is None:
            return False
        summary = description.get("RestoreSummary")
        source = describe(self.client, self.source) or {}
        is_other = (
            summary["SourceTableArn"] != source.get("TableArn") if summary else self.names_source
        )
        if is_other:
            message = (
                f"there is a table {self.target} already, and it is not a restore of {self.source}"
            )
            raise not_found(message, "delete it if it is not in use, or give another second")
        return True

    def start(self) -> None:
        """Ask DynamoDB to restore ``source`` into ``target``, unless ``target`` exists already.

        It does not wait for the result. Raises OperatorError if ``target`` exists and is not a
        restore of ``source``.
        """
        if self.is_started():
            return
        try:
            self.client.restore_table_to_point_in_time(
                SourceTableName=self.source,
                TargetTableName=self.target,
                RestoreDateTime=self.at,
            )
        except self.client.exceptions.TableAlreadyExistsException:
            self.is_started()  # an answer was lost, or a concurrent command started it

    def wait(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait until the restored table and its indexes are active.

        Raises OperatorError after a day, and for a table that cannot become active.
        """
        for _ in range(POLLS_MAX):
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
            sleep(POLL_SECONDS)
        raise unreachable(f"{self.target} was not ready after {HOURS_MAX} hours")

    def settle(self, report: Report, sleep: Callable[[float], None] = time.sleep) -> None:
        """Copy every setting of the original to the target, the deletion protection last.

        ``report`` is called with the name of each setting.
        """
        original = Table.read(self.client, self.original)
        for setting in SETTINGS:
            self._copy(setting, setting.read(original), sleep)
            report(setting.name)

    def _copy(self, setting: Setting, wanted: Any, sleep: Callable[[float], None]) -> None:
        """Write one setting to the restored table, and poll until it has the value ``wanted``.

        Raises OperatorError if it does not have it within a day.
        """
        is_taken = False
        for _ in range(POLLS_MAX):
            target = Table.read(self.client, self.target)
            if setting.read(target) == wanted:
                return
            if is_taken:
                sleep(POLL_SECONDS)
            else:
                is_taken = _try_write(setting, target, wanted)
                if not is_taken:
                    sleep(POLL_SECONDS)
            self.wait(sleep)
        raise unreachable(f"{self.target} does not take the {setting.name} of {self.original}")

    def lacks(self) -> list[str]:
        """Return the names of the settings and indexes that the target lacks; [] if it has all."""
        description = describe(self.client, self.target)
        if description is None:
            return ["everything: there is no such table"]
        if description["TableStatus"] != "ACTIVE":
            return [f"everything: it is {description['TableStatus']}"]
        original = Table.read(self.client, self.original)
        target = Table.read(self.client, self.target)
        settings = [setting.name for setting in differing(original, target)]
        return [*settings, *(f"index {name}" for name in missing_indexes(original, target))]


def describe(client: Any, name: str) -> Mapping[str, Any] | None:
    """Return the table's description, or None for an unknown table."""
    try:
        found: Mapping[str, Any] = client.describe_table(TableName=name)["Table"]
    except ClientError as error:
        if error.response["Error"]["Code"] in ABSENT:
            return None
        raise
    return found


def restore_all(jobs: list[Restoration], again: str, report: Report) -> None:
    """Start all restores, then wait for each and copy its settings.

    A failed restore does not stop the others. The OperatorError at the end names the failed ones,
    and ``again`` as the command that continues.
    """
    failed: dict[str, str] = {}
    steps: tuple[tuple[str, Callable[[Restoration], None]], ...] = (
        ("started", Restoration.start),
        ("active", Restoration.wait),
        ("settings", lambda job: job.settle(report)),
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
                report(f"{job.target} {name}")
    if failed:
        lines = "\n".join(f"  {name}: {why}" for name, why in failed.items())
        message = f"{len(failed)} of {len(jobs)} tables are not restored yet:\n{lines}"
        raise unreachable(message, f"to continue: {again}")


def _try_write(setting: Setting, target: Table, wanted: Any) -> bool:
    """Write ``wanted`` as a setting of the target table.

    Returns False if DynamoDB cannot change the table yet, because it is still making it.
    """
    try:
        setting.write(target, wanted)
    except ClientError as error:
        if error.response["Error"]["Code"] not in LATER:
            raise
        return False
    return True
