"""Leaving with the books kept, and the way back: CloudFormation takes what stayed into a stack of the same name again.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-manually.html
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from infra.local.stage import proposals

KEPT: Final = {"AWS::DynamoDB::Table": "TableName", "AWS::Cognito::UserPool": "UserPoolId"}
"""What outlives the stack, and the property by which CloudFormation finds it again."""
CHANGE_SET: Final = "take-back"
MEMBERS: Final = ("AWSTemplateFormatVersion", "Conditions")


def note(client: Any, stack: str, folder: Path) -> tuple[list[dict[str, Any]], Path]:
    """Write down what will be kept, and a template that has nothing else: all that the way back needs. Returns both, and the file."""
    kept = to_import(client.describe_stack_resources(StackName=stack)["StackResources"])
    told = client.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    whole = told if isinstance(told, dict) else json.loads(told)
    values = proposals(client.describe_stacks(StackName=stack)["Stacks"][0])
    file = folder / f"kept-{stack}.json"
    folder.mkdir(exist_ok=True)
    document = {"resources": kept, "template": only(whole, {row["LogicalResourceId"] for row in kept}, values)}
    file.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return kept, file


def to_import(resources: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What stays, as `--resources-to-import` of a change set wants it."""
    return [
        {
            "ResourceType": row["ResourceType"],
            "LogicalResourceId": row["LogicalResourceId"],
            "ResourceIdentifier": {KEPT[row["ResourceType"]]: row["PhysicalResourceId"]},
        }
        for row in resources
        if row["ResourceType"] in KEPT
    ]


def only(whole: Mapping[str, Any], names: set[str], values: Mapping[str, str]) -> dict[str, Any]:
    """A template of these resources alone, its parameters' defaults being the ``values`` of now."""
    parameters = {name: row | ({"Default": values[name]} if name in values else {}) for name, row in whole["Parameters"].items()}
    resources = {name: whole["Resources"][name] for name in sorted(names)}
    return {**{name: whole[name] for name in MEMBERS if name in whole}, "Parameters": parameters, "Resources": resources}


def take_back(client: Any, stack: str, file: Path) -> None:
    """Make the stack of what was kept, and nothing else. What is missing in it a deployment adds."""
    kept = json.loads(file.read_text(encoding="utf-8"))
    asked = {"StackName": stack, "ChangeSetName": CHANGE_SET}
    client.create_change_set(
        **asked, ChangeSetType="IMPORT", ResourcesToImport=kept["resources"], TemplateBody=json.dumps(kept["template"])
    )
    client.get_waiter("change_set_create_complete").wait(**asked)
    client.execute_change_set(**asked)
    client.get_waiter("stack_import_complete").wait(StackName=stack)
    file.unlink()


def farewell(stack: str, kept: Sequence[Mapping[str, Any]], file: Path) -> str:
    """What stays, what goes, and the way back."""
    names = [f"  {next(iter(row['ResourceIdentifier'].values()))}" for row in kept]
    return "\n".join(
        [
            f"{stack} is about to be deleted: its functions, API, alarms, queue, secrets, logs, and the sign-in page of its Cognito pool.",
            "Kept, with everything in them (they cost storage; delete them yourself once you are sure):",
            *names,
            f"To take them back: `make deploy` again, which finds them in {file}. To begin anew: move that file away first.",
            "At Stripe, disable the stack's webhook endpoint: https://dashboard.stripe.com/webhooks",
        ]
    )
