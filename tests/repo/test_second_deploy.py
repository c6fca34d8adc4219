"""`make deploy` and `make uninstall` in the second embedded AWS, twice each: the books stay."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError
from simulator.lab import KEY, Receiver
from simulator.lab import lab as simulated
from support.second import Second, second_aws

from infra.build.artifact import RUNTIME, build
from infra.deploy import commands
from infra.deploy.stage import Stage
from infra.local.paths import REGION, ROOT, Paths

STACK: Final = "topup-second"
ANSWERS: Final = 8
"""More Enters than there are questions."""
NOT_HERE: Final = {"webhook"}
"""What the doctor finds wrong here: the addresses that AWS gives are in no DNS."""
ROW: Final = {"user_id": {"S": "loyal"}, "item": {"S": "a row of theirs"}}


@dataclass
class Shop:
    """A stack, and who deploys it."""

    aws: Second
    stage: Stage

    def deploy(self) -> int:
        """`make deploy`, without the build. Every question is answered by Enter."""
        typed = iter([""] * ANSWERS)
        code = commands.deploy(
            self.stage, ask=not self.stage.file.exists(), yes=True, answers=lambda _: next(typed)
        )
        self.stage = Stage.read(self.stage.name, folder=self.stage.folder)
        return code

    def uninstall(self) -> int:
        """`make uninstall`, with yes."""
        return commands.uninstall(self.stage, os.environ, yes=True)

    def kept(self) -> dict[str, str]:
        """What outlives the stack."""
        return {
            name: value
            for name, value in self.aws.physical(STACK).items()
            if name.endswith("Table") or name == "UserPool"
        }

    def row(self, table: str) -> Any:
        """What the seller's customers would miss."""
        return self.aws.client("dynamodb").get_item(TableName=table, Key=ROW).get("Item")

    def doctor(self) -> set[str]:
        """The checks that find something wrong."""
        command = [
            sys.executable,
            "-m",
            "infra.cli",
            "doctor",
            "--json",
            "--stack",
            STACK,
            *self.stage.where(),
        ]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        return {
            row["check"]
            for row in json.loads(done.stdout)["findings"]
            if row["level"] in ("wrong", "unknown")
        }


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shell that is signed in to an empty account, and what `make deploy` made in it."""
    folder = tmp_path_factory.mktemp("second")
    build(Paths.from_environment())
    with (
        second_aws(folder / "moto.log") as aws,
        simulated(Receiver(url="http://127.0.0.1:9/")) as stripe,
        pytest.MonkeyPatch.context() as shell,
    ):
        here = {"TOPUP_STATE_DIR": str(folder), "TOPUP_TOOLS_DIR": str(ROOT / ".local" / "venvs")}
        for name, value in {
            **aws.environment(),
            **here,
            "STRIPE_API_KEY": KEY,
            "SAM_CLI_POLL_DELAY": "0.2",
        }.items():
            shell.setenv(name, value)
        told = {"Stage": "dev", "Runtime": RUNTIME, "StripeApiBase": stripe.url}
        found = Shop(aws, Stage("second", STACK, REGION, parameters=told, folder=folder / ".topup"))
        found.deploy()
        yield found


def test_a_first_deployment_is_found_fine(shop: Shop) -> None:
    """By the doctor, with point-in-time recovery, which MiniStack does not have."""
    (stack,) = shop.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert shop.doctor() == NOT_HERE


def test_a_second_deployment_changes_nothing(shop: Shop) -> None:
    """The same resources under the same names, and what is in them."""
    before = shop.aws.physical(STACK)
    table = before["QuotasTable"]
    shop.aws.client("dynamodb").put_item(TableName=table, Item=ROW)
    shop.deploy()
    assert shop.aws.physical(STACK) == before
    assert shop.row(table) == ROW
    assert shop.doctor() == NOT_HERE


def test_leaving_twice_and_coming_back_keeps_the_books_and_the_users(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    """The second time there is nothing to leave, and that is no failure."""
    before = shop.kept()
    shop.aws.client("dynamodb").put_item(TableName=before["QuotasTable"], Item=ROW)
    assert [shop.uninstall(), shop.uninstall()] == [0, 0]
    assert f"there is no stack {STACK}" in capfd.readouterr().out
    with pytest.raises(ClientError, match="does not exist"):
        shop.aws.physical(STACK)
    assert shop.row(before["QuotasTable"]) == ROW
    shop.deploy()
    assert shop.kept() == before
    assert shop.row(before["QuotasTable"]) == ROW
    assert not list(shop.stage.folder.glob("kept-*"))
    assert shop.doctor() == NOT_HERE
