"""`make deploy` and `make uninstall` on the second embedded AWS, twice each, with nothing of it done by hand."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from second import Second, second_aws
from simulator.lab import KEY, Receiver
from simulator.lab import lab as simulated

from infra.local import stages
from infra.local.artifact import RUNTIME, build
from infra.local.places import REGION, ROOT, Places
from infra.local.stage import Stage

STACK: Final = "topup-second"
ANSWERS: Final = 8
"""More Enters than there are questions."""


@dataclass
class Shop:
    """A stack, and who deploys it."""

    aws: Second
    stage: Stage

    def deploy(self) -> int:
        typed = iter([""] * ANSWERS)
        code = stages.deploy(self.stage, ask=not self.stage.file.exists(), yes=True, answers=lambda _: next(typed))
        self.stage = Stage.read(self.stage.name, folder=self.stage.folder)
        return code

    def uninstall(self) -> int:
        return stages.uninstall(self.stage, os.environ, yes=True)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("second")
    build(Places.from_environment())
    with second_aws(folder / "moto.log") as aws, simulated(Receiver(url="http://127.0.0.1:9/")) as stripe, pytest.MonkeyPatch.context() as shell:
        for name, value in aws.environment().items():
            shell.setenv(name, value)
        shell.setenv("STRIPE_API_KEY", KEY)
        shell.setenv("TOPUP_STATE_DIR", str(folder))
        shell.setenv("TOPUP_TOOLS_DIR", str(ROOT / ".local" / "venvs"))
        shell.setenv("SAM_CLI_POLL_DELAY", "0.2")
        shell.setenv("SAM_CLI_TELEMETRY", "0")
        machine = {"Runtime": RUNTIME, "StripeApiBase": stripe.url}
        yield Shop(aws, Stage("second", STACK, REGION, parameters={"Stage": "dev", **machine}, folder=folder / ".topup"))


def test_it_is_deployed(shop: Shop) -> None:
    for step in (shop.deploy, shop.deploy, shop.uninstall, shop.uninstall, shop.deploy, shop.uninstall):
        print("STEP", step.__name__)
        print("CODE", step())
    assert 0
