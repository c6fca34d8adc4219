"""An update and the way back on the embedded AWS, under traffic; and leaving, with the books kept.

The last tests of their stand: they take it apart.
"""

import contextlib
import itertools
import os
import re
import shutil
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from billing.audit.readings import settled_tally
from support.loglines import invocations
from support.stand import API, Stand

from infra.build.artifact import ARCHIVE, BUILD, PARSED
from infra.cli.find_target import find_target
from infra.deploy.commands import uninstall
from infra.deploy.stage import Stage
from infra.local import deploy
from infra.local.paths import STACK, Paths

TABLES = ("QuotasTable", "LedgerTable", "PaymentsTable", "WebhookEventsTable", "KeysTable")
MARK = "BUILD = "
CUT_OFF = (
    '"errorMessage": "Worker',
    "Endpoint request timed out",
    '"code":"outcome_unknown"',
    '"code":"busy"',
)
"""The embedded AWS, of a process that died, exited or did not begin; its gateway, and ours of a
database that was kept waiting."""
REPEATS_MAX = 50
DEBIT_SECONDS, BUY_SECONDS = 0.5, 2.0
"""Between two calls of a caller: the update shall have the machine too."""


@pytest.fixture
def paths(stand: Stand) -> Paths:
    """Its folder and ports."""
    return stand.paths()


def _marked(folder: Path, number: int) -> Path:
    """A build whose code differs from the one in .aws-sam: every handler is another file, as after
    a release.
    """
    folder.mkdir()
    shutil.copy(BUILD / PARSED, folder)
    with (
        zipfile.ZipFile(BUILD / ARCHIVE) as old,
        zipfile.ZipFile(folder / ARCHIVE, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for entry in old.infolist():
            mark = (
                f"\n{MARK}{number}\n".encode() if re.fullmatch(r"\w+\.py", entry.filename) else b""
            )
            new.writestr(entry, old.read(entry) + mark)
    return folder


class _Traffic:
    """A seller's backend that debits one unit after another, and a buyer who buys meanwhile; each
    under a key, repeated when cut off.
    """

    def __init__(self, stand: Stand) -> None:
        self.taken = 0
        self.bought = 0
        self.odd: list[str] = []
        self._stand = stand
        self._stop = threading.Event()
        self._buy(-1)
        acts = ((self._debit, DEBIT_SECONDS), (self._buy, BUY_SECONDS))
        self._threads = [threading.Thread(target=self._repeat, args=act) for act in acts]

    def _repeat(self, act: Callable[[int], None], pause: float) -> None:
        for number in itertools.count():
            if self._stop.wait(pause):
                return
            act(number)

    def _debit(self, number: int) -> None:
        body = {"user_id": "rolling", "units": 1}
        self.taken += (
            self._answered(
                "/quota/debits", body, f"roll-{number}", sub="backend", scope="quota.write"
            )
            is not None
        )

    def _buy(self, number: int) -> None:
        if made := self._answered(
            "/payments/checkout", {"plan": "pro"}, f"buy-{number}", sub="rolling"
        ):
            self._stand.pay(made["session_id"])
            self.bought += 1

    def _answered(
        self, path: str, body: object, key: str, *, sub: str, scope: str = ""
    ) -> dict[str, Any] | None:
        """The embedded AWS kills a worker when its code is replaced, even one at work (Lambda lets
        it finish): the caller repeats.

        Its answers are not held against the API's description.
        """
        headers = {
            "authorization": f"Bearer {self._stand.token(sub, scope)}",
            "idempotency-key": key,
        }
        for _ in range(REPEATS_MAX):
            answer = self._stand.http.post(
                f"{self._stand.api_url}{API}{path}", json=body, headers=headers
            )
            if answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            if not any(words in answer.text for words in CUT_OFF):
                break
        self.odd.append(f"{answer.status_code} {answer.text[:200]}")
        return None

    @contextlib.contextmanager
    def flowing(self) -> Iterator[None]:
        """Both run until the block is done, and each has done something twice.

        A call to a worker that was killed meanwhile takes half a minute.
        """
        for thread in self._threads:
            thread.start()
        try:
            yield
            self._stand.until(lambda: min(self.taken, self.bought) > 1)
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join(60)


def _tables(stand: Stand) -> dict[str, tuple[str, object]]:
    names, client = stand.resources(), stand.boto("dynamodb")
    told = {name: client.describe_table(TableName=names[name])["Table"] for name in TABLES}
    return {
        name: (row.get("TableId", row["TableArn"]), row["CreationDateTime"])
        for name, row in told.items()
    }


def _code(stand: Stand) -> set[str]:
    client = stand.boto("lambda")
    functions = [
        name for logical, name in stand.resources().items() if logical.endswith("Function")
    ]
    return {
        client.get_function_configuration(FunctionName=name)["CodeSha256"] for name in functions
    }


def test_an_update_and_the_way_back_lose_nothing_under_traffic(
    stand: Stand, paths: Paths, tmp_path: Path
) -> None:
    """Tables are the same ones, no call is refused, every unit is accounted for, and the first
    build's code runs again at the end.
    """
    tables, first = _tables(stand), _code(stand)
    traffic = _Traffic(stand)
    with traffic.flowing():
        deploy.update(paths, paths.stripe_url, built=_marked(tmp_path / "new", 2))
        second = _code(stand)
        deploy.update(paths, paths.stripe_url)
    assert len(first) == len(second) == 1
    assert first.isdisjoint(second)
    assert _code(stand) == first
    assert _tables(stand) == tables
    assert traffic.odd == [], _faults(stand)
    stand.control("idle")
    stand.invoke(
        "ReconcileFunction", {}
    )  # a delivery that was cut off comes again, or is brought by this
    quota = stand.quota("rolling")
    plan = next(row for row in stand.call("GET", "/plans").json()["plans"] if row["id"] == "pro")
    assert min(traffic.taken, traffic.bought) > 1
    assert (quota["used"], quota["total"]) == (traffic.taken, traffic.bought * plan["quota"])
    _balanced(stand)


def _faults(stand: Stand) -> list[str]:
    """What the functions logged of faults of ours."""
    return [line for one in invocations(stand) for line in one.lines if "stack_trace" in line]


def _balanced(stand: Stand) -> None:
    """As `topup ledger verify` would say."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPUP_STATE_DIR", str(stand.state))
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
            patch.setenv(name, os.environ.get(name, ""))
        books = find_target("", "", "").books()
        books.store.deadline.begin()
        tally = settled_tally(books.store, "rolling")
        assert tally is not None
        assert not list(tally.differences("rolling"))


def test_leaving_keeps_every_table_and_says_how_to_come_back(
    stand: Stand, paths: Paths, capfd: pytest.CaptureFixture[str]
) -> None:
    """As far as the embedded AWS goes: its CloudFormation has to honour what the template says of
    the tables.
    """
    names: dict[str, Any] = {logical: stand.resources()[logical] for logical in TABLES}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOPUP_STATE_DIR", str(stand.state))
        patch.setenv("TOPUP_TOOLS_DIR", str(paths.tools))
        stage = Stage("local", STACK, paths.environment()["AWS_REGION"], folder=stand.state)
        code = uninstall(stage, paths.environment(), yes=True)
    said = capfd.readouterr().out
    assert code == 0, said
    assert all(name in said for name in names.values())
    assert len(list(stand.state.glob(f"kept-{STACK}.*.json"))) == 1
    left = stand.boto("dynamodb").list_tables()["TableNames"]
    assert set(names.values()) <= set(left), f"these went: {set(names.values()) - set(left)}"
    stacks = stand.boto("cloudformation").list_stacks()["StackSummaries"]
    assert not [
        row
        for row in stacks
        if row["StackName"] == STACK and row["StackStatus"] != "DELETE_COMPLETE"
    ]
