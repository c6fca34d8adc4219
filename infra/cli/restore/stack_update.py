"""Changes one parameter of a stack. The template and all other parameters stay as deployed.

It uses a change set, because AWS expands a template with transforms (SAM's) for change sets:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateChangeSet.html
(UsePreviousTemplate, UsePreviousValue)
"""

from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import WaiterError

from infra.cli.errors import not_found, unreachable
from infra.deploy.stack_states import Kind, state_of
from infra.deploy.waiting import wait

CHANGE_SET: Final = "switch-{:%Y%m%d%H%M%S}"
CAPABILITIES: Final = ("CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND")
"""What CloudFormation must be allowed to do: create roles without names, and expand SAM's
transform.
"""


def change_parameter(client: Any, stack: str, name: str, value: str) -> bool:
    """Change one parameter and wait for the update. Returns False if it has that value already.

    Raises OperatorError for a stack without that parameter, and for a failed update, which AWS has
    rolled back.
    """
    values = _values(client, stack)
    if name not in values:
        raise not_found(f"the stack {stack} has no parameter {name}", "deploy this release first")
    if values[name] == value:
        return False
    kept = [{"ParameterKey": other, "UsePreviousValue": True} for other in values if other != name]
    asked = {"StackName": stack, "ChangeSetName": CHANGE_SET.format(datetime.now(UTC))}
    client.create_change_set(
        **asked,
        ChangeSetType="UPDATE",
        UsePreviousTemplate=True,
        Parameters=[*kept, {"ParameterKey": name, "ParameterValue": value}],
        Capabilities=list(CAPABILITIES),
    )
    _wait(client, "change_set_create_complete", "preparing the update", asked)
    client.execute_change_set(**asked)
    _wait(client, "stack_update_complete", f"updating {stack}", {"StackName": stack})
    return True


def _values(client: Any, stack: str) -> dict[str, str]:
    """Return the stack's parameters. Raises OperatorError if the stack cannot be updated now."""
    (found,) = client.describe_stacks(StackName=stack)["Stacks"]
    if state_of(found["StackStatus"]).kind is not Kind.ALIVE:
        message = f"{stack} is in {found['StackStatus']} and cannot be updated now"
        raise not_found(message, "`make deploy` says what to do with it")
    return {row["ParameterKey"]: row["ParameterValue"] for row in found.get("Parameters", [])}


def _wait(client: Any, waiter: str, doing: str, asked: dict[str, str]) -> None:
    try:
        wait(client, waiter, doing, **asked)
    except WaiterError as error:
        message = f"{doing} failed: {error}"
        repair = "AWS rolled it back, or never began; the tables of before are in use. Run it again"
        raise unreachable(message, repair) from error
