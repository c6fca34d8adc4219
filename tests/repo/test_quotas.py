"""What AWS documents as a quota, held against the template as CloudFormation gets it: a refusal
after ten minutes of deploying is late.
"""

import json
import re
from typing import Any, Final

import pytest
from repo.declared import template
from repo.transformed import UNKNOWN, longest, made, transformed

from infra.build.artifact import BUILD, build
from infra.deploy import snapstart
from infra.local.paths import Paths

PUBLISHED: Final = {"SnapStart": "PublishedVersions"}


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """The largest template that is ever deployed: with a version and an alias of every function."""
    build(Paths.from_environment())
    return transformed(snapstart.template_for(BUILD, PUBLISHED).read_text(), **PUBLISHED)


@pytest.mark.parametrize(
    ("section", "quota"),
    {"Resources": 500, "Outputs": 200, "Parameters": 200, "Mappings": 200}.items(),
)
def test_a_section_of_the_template_has_room(
    published: dict[str, Any], section: str, quota: int
) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html."""
    assert len(published.get(section, {})) <= quota


def test_the_template_has_room(published: dict[str, Any]) -> None:
    """1 MB in a bucket, as SAM puts it there; what SAM makes of it counts too. The same page."""
    assert len(json.dumps(published, indent=1).encode()) <= 1024 * 1024
    assert len(template()["Description"].encode()) <= 1024
    assert max(len(name) for name in published["Resources"]) <= 255
    assert max(len(row.get("Description", "")) for row in published["Parameters"].values()) <= 4000
    assert (
        max(
            len(json.dumps(row.get("Default", "")).encode())
            for row in published["Parameters"].values()
        )
        <= 4096
    )


def test_every_output_can_be_shown() -> None:
    """1 024 characters of description:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html.
    """
    for name, row in transformed()["Outputs"].items():
        assert re.fullmatch(r"[A-Za-z0-9]{1,255}", name)
        assert len(row["Description"].encode()) <= 1024


@pytest.mark.parametrize("name", sorted(made("AWS::Lambda::Function")))
def test_a_functions_environment_fits(name: str) -> None:
    """4 KB for all variables:
    https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
    """
    variables = made()[name]["Environment"]["Variables"]
    assert sum(len(key) + len(longest(value)) for key, value in variables.items()) <= 4096


@pytest.mark.parametrize("name", sorted(made("AWS::Lambda::Function")))
def test_a_functions_memory_and_time_are_what_lambda_gives(name: str) -> None:
    row = made()[name]
    assert 128 <= row["MemorySize"] <= 10_240
    assert 1 <= row["Timeout"] <= 900
    assert len(row.get("Description", "")) <= 256


@pytest.mark.parametrize("name", sorted(made("AWS::IAM::Role")))
def test_a_role_fits(name: str) -> None:
    """Of all inline policies 10 240 characters, of its trust 2 048, ten managed policies; white
    space does not count.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    role = made()[name]
    named = len(re.findall('"Fn::GetAtt"|"Ref"', json.dumps(role))) * 2 * len(UNKNOWN)
    assert (
        sum(
            len(json.dumps(row["PolicyDocument"], separators=(",", ":")))
            for row in role.get("Policies", [])
        )
        + named
        <= 10_240
    )
    assert len(json.dumps(role["AssumeRolePolicyDocument"], separators=(",", ":"))) <= 2048
    attached = [
        row
        for row in made("AWS::IAM::ManagedPolicy").values()
        if {"Ref": name} in row.get("Roles", [])
    ]
    assert len(role["ManagedPolicyArns"]) + len(attached) <= 10


@pytest.mark.parametrize("name", sorted(made("AWS::IAM::ManagedPolicy")))
def test_a_managed_policy_fits(name: str) -> None:
    """6 144 characters; a thousand for its description. The same page."""
    policy = made()[name]
    assert (
        len(json.dumps(policy["PolicyDocument"], separators=(",", ":"))) + 10 * len(UNKNOWN) <= 6144
    )
    assert len(longest(policy["Description"])) <= 1000
