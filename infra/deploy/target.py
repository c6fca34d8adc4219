"""The account and region that a stage is deployed to, and the stack of its name there, whatever state it is in."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy import kept, uninstall
from infra.deploy.kept import ElsewhereError, Kept
from infra.deploy.removal import Remnant
from infra.deploy.stack_states import MAY_BE_EMPTY, Kind, State, state_of
from infra.deploy.stage import Stage, deployed_with

Agree = Callable[[str], bool]
PROD: Final = "prod"


class StateError(Exception):
    """The stack cannot be deployed or deleted now; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """``arn`` is who asks."""

    stage: Stage
    client: Any
    account: str
    arn: str

    @classmethod
    def reached(cls, stage: Stage, environment: Mapping[str, str] = os.environ) -> "Target":
        """Ask AWS who we are, with the credentials that everything else of this stage uses."""
        caller = stage.client("sts", environment).get_caller_identity()
        return cls(
            stage, stage.client("cloudformation", environment), caller["Account"], caller["Arn"]
        )

    @property
    def region(self) -> str:
        """Where its stack is."""
        return str(self.client.meta.region_name)

    def described(self) -> dict[str, Any] | None:
        """The stack, as CloudFormation describes it."""
        try:
            (found,) = self.client.describe_stacks(StackName=self.stage.stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return dict(found)

    def is_prod(self, found: Mapping[str, Any] | None) -> bool:
        """What the stack was deployed with, or will be."""
        return PROD in (deployed_with(found or {}).get("Stage"), self.stage.parameters.get("Stage"))

    def updatable(self, found: Mapping[str, Any] | None, agree: Agree) -> dict[str, Any] | None:
        """The stack to update, or None if one is to be made.

        What a failure left is removed if ``agree`` says so.
        """
        if found is None:
            return None
        state = self.state(found)
        if state.kind is Kind.ABSENT:
            return None
        if state.kind is Kind.ALIVE:
            return dict(found)
        if state.kind is Kind.REMNANT:
            Remnant(self.client, found, self.account, self.stage.folder).remove(agree)
            return None
        raise StateError(self.explained(found, state))

    def state(self, found: Mapping[str, Any]) -> State:
        """An import that failed leaves a working stack working; where it was the first thing, it leaves an empty one."""
        status = found["StackStatus"]
        if status == MAY_BE_EMPTY and not uninstall.living(
            uninstall.resources(self.client, found["StackId"])
        ):
            return State(Kind.REMNANT)
        return state_of(status)

    def explained(self, found: Mapping[str, Any], state: State) -> str:
        """Why not now, and what to do."""
        reason = f" ({found['StackStatusReason']})" if found.get("StackStatusReason") else ""
        return f"{self.stage.stack} is in {found['StackStatus']}{reason}: {state.advice.format(stack=self.stage.stack)}"

    def kept(self) -> tuple[Kept, Any] | None:
        """What an earlier stack of this name left here, and its file.

        Raises ElsewhereError for a file of another place.
        """
        file = kept.find(self.stage.folder, self.stage.stack, self.account, self.region)
        if file is None:
            return None
        found = Kept.read(file, self.stage.stack)
        found.check(file, self.account, self.region)
        return found, file

    def take_back(self, agree: Agree) -> None:
        """Into a new stack, before anything else is in it.

        Where books of this name are elsewhere, somebody must agree to begin anew.
        """
        if found := self.kept():
            what, file = found
            print(
                f"taking the tables and users of the earlier {self.stage.stack} back, by {file}",
                flush=True,
            )
            uninstall.take_back(self.client, what, file)
            return
        there = kept.elsewhere(self.stage.folder, self.stage.stack, self.account, self.region)
        asked = f"{self.stage.stack} was left with its books in {'; '.join(there)}. Here it begins with empty tables. Go on?"
        if there and not agree(asked):
            raise ElsewhereError(
                f"nothing was made. Sign in to {'; or '.join(there)}, and deploy there"
            )
