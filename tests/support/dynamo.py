"""Real DynamoDB APIs for tests: the stand's embedded AWS, and dynoxide, which keeps its tables on
disk and survives being killed.

Both get the tables of template.yaml, a fresh set for each test, and give the product's own store on
them.
"""

import itertools
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import boto3
import pytest
from billing.deadline import Deadline
from billing.errors import Item
from billing.settings import TABLE_VARIABLES
from billing.storage.dynamodb import Store
from billing.storage.writes import KEY_NAMES, Table
from functional.template import Template
from support.deadlines import ThreadDeadline
from support.programs import lacking

from infra.local import ministack as embedded
from infra.local.paths import REGION, ROOT, Paths, free_port

TOOLS: Final = ROOT / ".local" / "venvs"
DYNOXIDES: Final = ROOT / ".local" / "npm" / "node_modules" / "@dynoxide"
TABLES: Final = get_args(Table)
CREDENTIALS: Final = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
START_SECONDS_MAX: Final = 30
SLOW_SECONDS_MAX: Final = 60
"""How long a call may take, and a request in all, on a machine that is busy with other things."""
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Contents:
    """Everything that a store contained when it was read, shaped as
    tests/support/laws.py wants it.
    """

    tables: Mapping[str, Mapping[tuple[str, str], Item]]


class Dynamo:
    """One DynamoDB API."""

    def __init__(self, name: str, port: int) -> None:
        """``name`` is for people."""
        self.name = name
        self.url = f"http://127.0.0.1:{port}"

    def new_tables(self) -> dict[str, str]:
        """Make the template's tables anew.

        Returns the product's name for each, and what it is called here.
        """
        template = Template("topup-test", REGION)
        client = boto3.client(
            "dynamodb",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        number = next(_numbers)
        for definition in template.tables():
            physical = f"{definition['TableName']}-{number}"
            client.create_table(**{**definition, "TableName": physical})
            template.name(definition["TableName"], physical)
        names = template.environment()
        return {table: names[variable] for table, variable in TABLE_VARIABLES.items()}

    def store(
        self, tables: Mapping[str, str] | None = None, deadline: Deadline | None = None
    ) -> Store:
        """The product's store, on fresh tables and with a minute's deadline by default.

        Threads may share it.
        """
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("AWS_")]:
                patch.delenv(name)
            for name, value in CREDENTIALS.items():
                patch.setenv(name, value)
            patch.setattr(
                "billing.storage.connection.READ_SECONDS", SLOW_SECONDS_MAX
            )  # lost answers are injected, never awaited
            store = Store(
                tables or self.new_tables(),
                deadline or ThreadDeadline(SLOW_SECONDS_MAX),
                REGION,
                self.url,
            )
            assert store._client is not None, (
                "made here, where the credentials are, and in one thread"
            )
        return store


def contents(store: Store) -> Contents:
    """Read everything back."""
    tables: dict[str, dict[tuple[str, str], Item]] = {}
    for table in TABLES:
        owner, name = KEY_NAMES[table]
        store.deadline.begin()
        tables[table] = {(item[owner], item[name]): item for item in _all(store, table)}
    return Contents(tables)


def _all(store: Store, table: Table) -> Iterator[Item]:
    after = None
    while True:
        page = store.scan(table, after=after)
        yield from page.items
        if (after := page.after) is None:
            return


@contextmanager
def ministack() -> Iterator[Dynamo]:
    """The embedded AWS, on a port of its own; stopped at the end.

    Skips where ``make setup`` has not put it.
    """
    if not (TOOLS / "ministack" / "bin" / "ministack").exists():
        lacking("the embedded AWS is not installed: run `make setup`")
    with tempfile.TemporaryDirectory(prefix="topup-aws-") as folder:
        port = free_port()
        child = embedded.start(Paths(Path(folder), TOOLS, 0, 0, 0, port))
        try:
            yield Dynamo("ministack", port)
        finally:
            embedded.stop(child)


class Dynoxide(Dynamo):
    """DynamoDB's API on a file. It can be killed, and started again on what it had written."""

    def __init__(self, program: Path, folder: Path) -> None:
        """Nothing runs until ``start``."""
        self._port = free_port()
        super().__init__("dynoxide", self._port)
        self.file = folder / "dynoxide.db"
        self._command = [str(program), "--port", str(self._port), "--db-path", str(self.file)]
        self._log = folder / "dynoxide.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return when it answers."""
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS_MAX
        while self._child.poll() is None and time.monotonic() < deadline:
            if (
                subprocess.run(
                    [self._command[0], "healthcheck", "--port", str(self._port)],
                    capture_output=True,
                    check=False,
                ).returncode
                == 0
            ):
                return
            time.sleep(0.02)  # it is starting: there is nothing to wait on but time
        self.kill()
        raise AssertionError(f"dynoxide did not start: {self._log.read_text()[-1000:]}")

    def kill(self) -> None:
        """``kill -9``: it has no chance to tidy up."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()
            self._child = None


@contextmanager
def dynoxide() -> Iterator[Dynoxide]:
    """A running one with a file of its own; killed at the end. Skips where npm has not put it."""
    program = next(DYNOXIDES.glob("*/dynoxide"), None)
    if program is None:
        lacking("dynoxide is not installed: run `make setup` where npm is")
    with tempfile.TemporaryDirectory(prefix="topup-dynoxide-") as folder:
        server = Dynoxide(program, Path(folder))
        server.start()
        try:
            yield server
        finally:
            server.kill()
