"""Leaving with the books kept, and the way back:

CloudFormation takes what stayed into a stack of the same name again.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-manually.html
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from botocore.exceptions import ClientError

from infra.deploy.choices import SUFFIX
from infra.deploy.kept import Kept
from infra.deploy.stage import proposals
from infra.deploy.waiting import wait

KEPT: Final = {"AWS::DynamoDB::Table": "TableName", "AWS::Cognito::UserPool": "UserPoolId"}
"""What outlives the stack, and the property by which CloudFormation finds it again."""
CHANGE_SET: Final = "take-back-{time:%Y%m%d%H%M%S}"
MEMBERS: Final = ("AWSTemplateFormatVersion", "Conditions")
GONE: Final = "DELETE_COMPLETE"
NEVER_MADE: Final = "CREATE_FAILED"


class NotWholeError(Exception):
    """What would outlive the stack cannot be named whole, so it must not be deleted."""


def resources(client: Any, stack: str) -> list[dict[str, Any]]:
    """Every page of them.

    ``describe_stack_resources`` stops at 100, and a stack with snapshots has more.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html
    """
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [row for page in pages for row in page["StackResourceSummaries"]]


def living(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Those that exist.

    A table or a pool whose creation failed may exist: it counts unless it is known to be deleted.
    """
    there = [row for row in rows if row.get("PhysicalResourceId") and row["ResourceStatus"] != GONE]
    return [
        row for row in there if row["ResourceStatus"] != NEVER_MADE or row["ResourceType"] in KEPT
    ]


def survey(client: Any, found: Mapping[str, Any], account: str) -> Kept:
    """All that the way back needs.

    ``found``: the stack as described. Raises NotWholeError; writes nothing.
    """
    stack, stack_id = found["StackName"], found["StackId"]
    told = client.get_template(StackName=stack_id, TemplateStage="Processed")["TemplateBody"]
    whole = told if isinstance(told, dict) else json.loads(told)
    rows = living(resources(client, stack_id))
    check_whole(client, stack_id, whole, rows)
    kept = to_import(rows)
    template = only(whole, {row["LogicalResourceId"] for row in kept}, proposals(found))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Kept(stack, kept, template, account, client.meta.region_name, stack_id, now)


def check_whole(
    client: Any, stack_id: str, template: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Compare the list with the template's retained resources; AWS itself says whether a missing one is really not there."""
    retained = {
        name
        for name, row in template["Resources"].items()
        if str(row.get("DeletionPolicy", "")).startswith("Retain")
    }
    listed = {row["LogicalResourceId"]: row["ResourceType"] for row in rows}
    if missed := sorted(name for name in retained - set(listed) if _exists(client, stack_id, name)):
        raise NotWholeError(
            f"AWS's list of the stack's resources is not whole: {', '.join(missed)} is missing in it. Run it again"
        )
    if lost := sorted(
        name for name, kind in listed.items() if kind in KEPT and name not in retained
    ):
        raise NotWholeError(
            f"the deployed template does not keep {', '.join(lost)} (DeletionPolicy). Deploy this release first"
        )
    if unknown := sorted(name for name in retained & set(listed) if listed[name] not in KEPT):
        raise NotWholeError(
            f"this release does not know how to take {', '.join(unknown)} back; use the one that deployed it"
        )


def to_import(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What stays, as `--resources-to-import` of a change set wants it."""
    return [
        {
            "ResourceType": row["ResourceType"],
            "LogicalResourceId": row["LogicalResourceId"],
            "ResourceIdentifier": {KEPT[row["ResourceType"]]: row["PhysicalResourceId"]},
        }
        for row in rows
        if row["ResourceType"] in KEPT
    ]


def only(whole: Mapping[str, Any], names: set[str], values: Mapping[str, str]) -> dict[str, Any]:
    """A template of these resources alone, its parameters' defaults being the ``values`` of now."""
    parameters = {
        name: row | ({"Default": values[name]} if name in values else {})
        for name, row in whole["Parameters"].items()
    }
    kept = {name: whole["Resources"][name] for name in sorted(names)}
    return {
        **{name: whole[name] for name in MEMBERS if name in whole},
        "Parameters": parameters,
        "Resources": kept,
    }


def take_back(client: Any, kept: Kept, file: Path) -> None:
    """Make the stack of what was kept, and nothing else. What is missing in it a deployment adds."""
    asked = {"StackName": kept.stack, "ChangeSetName": CHANGE_SET.format(time=datetime.now(UTC))}
    body = json.dumps(kept.template)
    client.create_change_set(
        **asked, ChangeSetType="IMPORT", ResourcesToImport=kept.resources, TemplateBody=body
    )
    wait(client, "change_set_create_complete", "preparing the import", **asked)
    client.execute_change_set(**asked)
    wait(client, "stack_import_complete", "taking the tables and users back", StackName=kept.stack)
    file.unlink()


def farewell(kept: Kept, folder: Path) -> str:
    """What stays, what goes, and the way back."""
    names = [f"  {next(iter(row['ResourceIdentifier'].values()))}" for row in kept.resources]
    books = [f"  {name} (the books, since the restore)" for name in restored_tables(kept)]
    return "\n".join(
        [
            f"{kept.stack} in account {kept.account}, region {kept.region}, is about to be deleted: its functions, API, alarms, queue,",
            "secrets, logs, and the sign-in page of its Cognito pool.",
            "Kept, with everything in them (they cost storage; delete them yourself once you are sure):",
            *names,
            *books,
            f"To take them back: `make deploy` again, which finds them by a file in {folder}. To begin anew: move that file away first.",
            "At Stripe, disable the stack's webhook endpoint: https://dashboard.stripe.com/webhooks",
        ]
    )


def restored_tables(kept: Kept) -> list[str]:
    """The tables in use after a restore.

    They are not the stack's own; the kept template says what their names end with.
    """
    suffix = kept.template.get("Parameters", {}).get(SUFFIX, {}).get("Default", "")
    own = [row["ResourceIdentifier"].get("TableName") for row in kept.resources]
    return [f"{name}{suffix}" for name in own if name and suffix]


def resource(client: Any, stack: str, name: str) -> dict[str, Any] | None:
    """One resource of a stack, by its logical id."""
    try:
        found: dict[str, Any] = client.describe_stack_resource(
            StackName=stack, LogicalResourceId=name
        )["StackResourceDetail"]
    except ClientError as error:
        if re.search(rf"Resource \[?{name}\]? does not exist", str(error)):
            return None
        raise
    return found


def _exists(client: Any, stack_id: str, name: str) -> bool:
    row = resource(client, stack_id, name)
    return bool(row and living([row]))
