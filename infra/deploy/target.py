"""Finds a stage's stack in its account and region, and prepares it for a deployment."""

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
    """The stack cannot be deployed or deleted now. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """Finds a stage's stack in the caller's AWS account, and prepares it for a deployment.

    ``client`` is a client of CloudFormation. ``arn`` is the caller's identity.
    """

    stage: Stage
    client: Any
    account: str
    arn: str

    @classmethod
    def reached(cls, stage: Stage, environment: Mapping[str, str] = os.environ) -> "Target":
        """Return the Target of a stage, after asking AWS for the caller's account and identity.

        The stage's profile is used, or else the credentials in ``environment``.
        """
        caller = stage.client("sts", environment).get_caller_identity()
        return cls(
            stage, stage.client("cloudformation", environment), caller["Account"], caller["Arn"]
        )

    @property
    def region(self) -> str:
        """Return the region of the stack."""
        return str(self.client.meta.region_name)

    def described(self) -> dict[str, Any] | None:
        """Return CloudFormation's description of the stack, or None without a stack."""
        try:
            (found,) = self.client.describe_stacks(StackName=self.stage.stack)["Stacks"]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        return dict(found)

    def is_prod(self, found: Mapping[str, Any] | None) -> bool:
        """Return whether the stack is, or will be, deployed for production.

        ``found`` is CloudFormation's description of the stack, or None without one.
        """
        return PROD in (deployed_with(found or {}).get("Stage"), self.stage.parameters.get("Stage"))

    def updatable(self, found: Mapping[str, Any] | None, agree: Agree) -> dict[str, Any] | None:
        """Return the stack to update, or None if it must be created.

        ``found`` is CloudFormation's description of the stack, or None without one. Deletes the
        remains of a failed operation, if the operator agrees. Raises StateError for a stack that
        can be neither updated nor created now.
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
        """Return what can be done with the stack in its present state.

        ``found`` is CloudFormation's description of it. A stack whose first import failed is empty,
        so it counts as a remnant, which can be deleted.
        """
        status = found["StackStatus"]
        if status == MAY_BE_EMPTY:
            rows = uninstall.resources(self.client, found["StackId"])
            if not uninstall.living(rows):
                return State(Kind.REMNANT)
        return state_of(status)

    def explained(self, found: Mapping[str, Any], state: State) -> str:
        """Return a sentence that says why the stack cannot be used now, and what to do.

        ``found`` is CloudFormation's description of the stack, and ``state`` has the advice.
        """
        stack = self.stage.stack
        where = f"{stack} is in {found['StackStatus']}"
        if reason := found.get("StackStatusReason"):
            where += f" ({reason})"
        return f"{where}: {state.advice.format(stack=stack)}"

    def kept(self) -> tuple[Kept, Any] | None:
        """Return the tables and users that a deleted stack of this name left, and the file's path.

        The file lists them. Returns None if there is none. Raises ElsewhereError for a file of
        another account or region.
        """
        file = kept.find(self.stage.folder, self.stage.stack, self.account, self.region)
        if file is None:
            return None
        found = Kept.read(file, self.stage.stack)
        found.check(file, self.account, self.region)
        return found, file

    def take_back(self, agree: Agree) -> None:
        """Create the stack by importing the tables and users of an earlier stack, if one left them.

        Otherwise nothing is created here. But if an earlier stack of this name left its data in
        another account or region, the operator must agree to begin with empty tables. If not,
        ElsewhereError is raised.
        """
        if found := self.kept():
            what, file = found
            earlier = f"the earlier {self.stage.stack}"
            print(  # noqa: T201
                f"taking the tables and users of {earlier} back, by {file}", flush=True
            )
            uninstall.take_back(self.client, what, file)
            return
        there = kept.elsewhere(self.stage.folder, self.stage.stack, self.account, self.region)
        left = f"{self.stage.stack} was left with its books in {'; '.join(there)}"
        if there and not agree(f"{left}. Here it begins with empty tables. Go on?"):
            raise ElsewhereError(
                f"nothing was made. Sign in to {'; or '.join(there)}, and deploy there"
            )
