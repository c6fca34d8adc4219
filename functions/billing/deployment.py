"""Keeps this deployment's id in its own tables, so that events of other deployments are ignored.

A stack's name cannot be this id, because two accounts, regions or developers can use one name with
the same Stripe account.
"""

import secrets
from typing import Final

from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.storage.dynamodb import Store
from billing.storage.writes import Table, Write, absent_or

KEY: Final = ("deployment", "id")
TABLES: Final[tuple[Table, ...]] = ("payments", "events")
"""Both hold the id. DynamoDB restores one table at a time, and the other one still has it."""
ATTEMPTS_MAX: Final = 2
"""A write that finds another id is repeated with that one, once."""


class StoredDeployment:
    """The deployment's id, read from the tables at its first use.

    It implements settings.Deployment.
    """

    def __init__(self, store: Store) -> None:
        """Nothing is read yet."""
        self._store = store
        self._id = ""

    def id(self) -> str:
        """Return the id to write into new metadata. Creates the id at its first use."""
        if not self._id:
            self._id = self._read() or self._stored(
                f"dep_{secrets.token_hex(16)}"
            )
        return self._id

    def known(self) -> str:
        """Return the id, or "" if it was not created yet. Never writes."""
        self._id = self._id or self._read()
        return self._id

    def wrote(self, deployment: str) -> bool:
        """Return whether metadata with this id was written by this deployment. Never writes.

        It reads the tables at each call that finds another id, because they may have been restored.
        A wrong "no" would make us ignore an event for good.
        """
        if deployment != self._id:
            self._id = self._read()
        return deployment == self._id != ""

    def keep(self) -> None:
        """Write the id into a table that was restored to a time before the id was created."""
        if name := self._read():
            self._id = self._stored(name)

    def _read(self) -> str:
        for table in TABLES:
            if item := self._store.get(table, KEY):
                return str(item["deployment"])
        return ""

    def _stored(self, name: str) -> str:
        """Write the id into all tables, and return the id that they have afterwards.

        In a race the id of the first container wins, or the id that one table has already.
        """
        for _ in range(ATTEMPTS_MAX):
            same = absent_or("deployment", "==", name)
            writes = [
                Write(table, KEY, set={"deployment": name}, must=(same,))
                for table in TABLES
            ]
            try:
                self._store.commit(*writes)
            except ConditionFailedError as refused:
                name = next(
                    str(old["deployment"])
                    for old in refused.old.values()
                    if old
                )
                continue
            return name
        message = (
            f"the tables {' and '.join(TABLES)} hold ids of two deployments"
        )
        raise OutcomeUnknownError(message)
