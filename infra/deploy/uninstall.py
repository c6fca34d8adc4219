"""Lists the tables and users that outlive a stack, and imports them into a new stack.

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
"""What outlives the stack, and the property by which CloudFormation imports it."""
CHANGE_SET: Final = "take-back-{time:%Y%m%d%H%M%S}"
MEMBERS: Final = ("AWSTemplateFormatVersion", "Conditions")
GONE: Final = "DELETE_COMPLETE"
NEVER_MADE: Final = "CREATE_FAILED"


class NotWholeError(Exception):
    """The list of what outlives the stack is incomplete, so the stack must not be deleted."""


def resources(client: Any, stack: str) -> list[dict[str, Any]]:
    """Return all resources of a stack, as ``list_stack_resources`` describes them.

    ``describe_stack_resources`` returns at most 100. A stack with Lambda's SnapStart has more.
    https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html
    """
    pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
    return [row for page in pages for row in page["StackResourceSummaries"]]


def living(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the resources that exist.

    A table or a pool whose creation failed may exist, so it counts unless it is deleted.
    """
    there = [row for row in rows if row.get("PhysicalResourceId") and row["ResourceStatus"] != GONE]
    return [
        row for row in there if row["ResourceStatus"] != NEVER_MADE or row["ResourceType"] in KEPT
    ]


def survey(client: Any, found: Mapping[str, Any], account: str) -> Kept:
    """Return the stack's tables and users, as a later import needs them. Writes nothing.

    ``found`` is CloudFormation's description of the stack. Raises NotWholeError if the list is
    incomplete, or if an import of it would fail.
    """
    stack, stack_id = found["StackName"], found["StackId"]
    body = client.get_template(StackName=stack_id, TemplateStage="Processed")["TemplateBody"]
    whole = body if isinstance(body, dict) else json.loads(body)
    rows = living(resources(client, stack_id))
    check_whole(client, stack_id, whole, rows)
    kept = to_import(rows)
    template = only(whole, {row["LogicalResourceId"] for row in kept}, proposals(found))
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Kept(stack, kept, template, account, client.meta.region_name, stack_id, now)


def check_whole(
    client: Any, stack_id: str, template: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Raise NotWholeError if a resource to keep would be lost or could not be imported.

    ``rows`` are the stack's resources that exist. It is raised if ``rows`` lacks a resource that
    the template retains and AWS finds, if the template would delete a table or user pool, or if it
    retains a resource that this release cannot import.
    """
    retained = {
        name
        for name, row in template["Resources"].items()
        if str(row.get("DeletionPolicy", "")).startswith("Retain")
    }
    listed = {row["LogicalResourceId"]: row["ResourceType"] for row in rows}
    missed = [name for name in retained - set(listed) if _exists(client, stack_id, name)]
    if missed:
        names = ", ".join(sorted(missed))
        what = f"AWS's list of the stack's resources is incomplete: it lacks {names}"
        raise NotWholeError(f"{what}. Run the command again")
    lost = [name for name, kind in listed.items() if kind in KEPT and name not in retained]
    if lost:
        names = ", ".join(sorted(lost))
        what = f"the deployed template does not keep {names} (DeletionPolicy)"
        raise NotWholeError(f"{what}. Deploy this release first")
    unknown = [name for name in retained & set(listed) if listed[name] not in KEPT]
    if unknown:
        names = ", ".join(sorted(unknown))
        what = f"this release does not know how to take {names} back"
        raise NotWholeError(f"{what}; use the one that deployed it")


def to_import(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the resources that outlive the stack, as a change set's `--resources-to-import`.

    They are the DynamoDB tables and Cognito user pools among ``rows``, the stack's resources.
    """
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
    """Return the template ``whole`` with no other resources than ``names``.

    ``values`` become the defaults of its parameters.
    """
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
    """Create a stack from the tables and users that an earlier one left, and delete ``file``.

    ``file`` lists them. CloudFormation imports them. The next deployment adds the other resources.
    """
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
    """Return the text to show before the stack is deleted.

    It says what is kept, what is deleted, and how to go back.
    """
    place = f"{kept.stack} in account {kept.account}, region {kept.region},"
    names = [f"  {next(iter(row['ResourceIdentifier'].values()))}" for row in kept.resources]
    books = [f"  {name} (the books, since the restore)" for name in restored_tables(kept)]
    return "\n".join(
        [
            f"{place} is about to be deleted: its functions, API, alarms, queue,",
            "secrets, logs, and the sign-in page of its Cognito pool.",
            "Kept, with everything in them (they cost storage; delete them yourself when sure):",
            *names,
            *books,
            f"To take them back: run `make deploy` again, which finds them by a file in {folder}.",
            "To begin with empty tables: move that file away first.",
            "At Stripe, disable the stack's webhook endpoint: https://dashboard.stripe.com/webhooks",
        ]
    )


def restored_tables(kept: Kept) -> list[str]:
    """Return the names of the restored tables that the functions use now.

    ``kept`` has what outlives the stack. A restore creates tables with a suffix added to the names
    of the stack's own, and they do not belong to the stack. The result is [] if the functions use
    the stack's own tables.
    """
    suffix = kept.template.get("Parameters", {}).get(SUFFIX, {}).get("Default", "")
    own = [row["ResourceIdentifier"].get("TableName") for row in kept.resources]
    return [f"{name}{suffix}" for name in own if name and suffix]


def resource(client: Any, stack: str, name: str) -> dict[str, Any] | None:
    """Return one resource of a stack by its logical id, or None."""
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
