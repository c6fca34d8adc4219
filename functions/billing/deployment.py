"""Stores this deployment's id in its own tables.

The id is in our metadata at Stripe, so that events of other deployments are
ignored. A stack's name cannot be this id, because two accounts, regions or
developers can use the same name with one Stripe account.
"""

import secrets
from typing import Final

from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.storage.dynamodb import Store
from billing.storage.writes import Table, Write, absent_or

KEY: Final = ("deployment", "id")
TABLES: Final[tuple[Table, ...]] = ("payments", "events")
"""The tables that store the id. DynamoDB restores one table at a time, so the
other one still has it.
"""
ATTEMPTS_MAX: Final = 2
"""If a write finds another id in a table, it is repeated once, with that id.
"""


class StoredDeployment:
    """This deployment's id, read from the tables when first needed.

    It implements settings.Deployment.
    """

    def __init__(self, store: Store) -> None:
        """Keep ``store``, but read nothing yet.

        The id is read from it when it is first needed.
        """
        self._store = store
        self._id = ""

    def id(self) -> str:
        """Return this deployment's id, to mark what it creates at Stripe.

        If no id is stored yet, one is created and stored.
        """
        if not self._id:
            self._id = self._read() or self._stored(
                f"dep_{secrets.token_hex(16)}"
            )
        return self._id

    def known(self) -> str:
        """Return this deployment's stored id, or "" if none is stored yet.

        Never writes.
        """
        self._id = self._id or self._read()
        return self._id

    def wrote(self, deployment: str) -> bool:
        """Return whether this deployment wrote metadata with this id.

        ``deployment`` is the id in the metadata. If it is another than the one
        known, the tables are read again, because they may have been restored.
        A wrong "no" would make us ignore an event for good. Never writes.
        """
        if deployment != self._id:
            self._id = self._read()
        return deployment == self._id != ""

    def keep(self) -> None:
        """Store this deployment's id again in a table that has lost it.

        A table can lose it in a restore. Nothing is written if no table has
        it.
        """
        if name := self._read():
            self._id = self._stored(name)

    def _read(self) -> str:
        for table in TABLES:
            if item := self._store.get(table, KEY):
                return str(item["deployment"])
        return ""

    def _stored(self, name: str) -> str:
        """Store ``name`` as the deployment's id, and return the id in force.

        If a table has another id already, or a concurrent request writes one
        first, that id is stored in all tables instead. Raises
        OutcomeUnknownError if the tables have different ids.
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
