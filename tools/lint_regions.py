"""Lints template.yaml for every region that cfn-lint knows and compares the gaps with a list.

Regions whose resource types have the same schemas get the same answer.
So one region of each kind is linted, not forty-five.
"""

import json
import re
import subprocess
import sys
from typing import Final

from infra.local.paths import ROOT

TOOLS: Final = ROOT / ".local" / "venvs" / "sam" / "bin"
COGNITO: Final = (
    "UserPool",
    "UserPoolClient",
    "UserPoolResourceServer",
    "UserPoolDomain",
    "ManagedLoginBranding",
)
CHINA: Final = ("cn-north-1", "cn-northwest-1")
GOV_CLOUD: Final = ("us-gov-east-1", "us-gov-west-1")
GAPS: Final[dict[str, tuple[str, ...]]] = {
    # FunctionUrl=false. https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
    "AWS::Lambda::Url": (
        "ap-east-2",
        "ap-south-2",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-west-1",
        "eu-central-2",
        "il-central-1",
        "me-central-1",
        "mx-central-1",
        "cn-northwest-1",
        *GOV_CLOUD,
    ),
    # JwtIssuer: an issuer of your own.
    # https://docs.amazonaws.cn/en_us/aws/latest/userguide/cognito.html
    **{f"AWS::Cognito::{name}": CHINA for name in COGNITO},
    # No WebAclArn.
    # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/using-govcloud-services.html
    "AWS::CloudFront::Distribution": GOV_CLOUD,
}
"""Regions that lack a resource type. Each type stands under a condition of the template."""
MISSING_IN_A_LINE: Final = re.compile(
    r"E3006:Resource type '([\w:]+)' does not exist in '([\w-]+)'"
)
ADDED_BY_SAM: Final = (
    "AWS::Lambda::Function",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::EventInvokeConfig",
)
KINDS: Final = """
import collections, json, pathlib, sys, cfnlint
types = set(json.load(sys.stdin))
kinds = collections.defaultdict(list)
folder = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas" / "providers"
for file in sorted(folder.glob("*-*.json")):
    schemas = json.loads(file.read_text())
    kinds[json.dumps(sorted((name, schemas.get(name)) for name in types))].append(file.stem)
print(json.dumps(list(kinds.values())))
"""
"""A program for cfn-lint's environment. It groups regions by the schemas of these types."""


def kinds_of_regions() -> list[list[str]]:
    """Return groups of regions in which the template's resources have the same schemas."""
    template = (ROOT / "template.yaml").read_text()
    types = sorted(set(re.findall(r"\bType: (AWS::(?!Serverless)\w+::\w+)", template)))
    command = [str(TOOLS / "python"), "-c", KINDS]
    given = json.dumps([*types, *ADDED_BY_SAM])
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=True)
    found: list[list[str]] = json.loads(done.stdout)
    return found


def lint(regions: list[str]) -> tuple[set[tuple[str, str]], list[str]]:
    """Return pairs of resource type and region where it is lacking, and cfn-lint's other lines."""
    options = ["--format", "parseable", "--regions", *regions]
    command = [str(TOOLS / "cfn-lint"), *options, "--", str(ROOT / "template.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    missing: set[tuple[str, str]] = set()
    others: list[str] = []
    for line in (done.stdout + done.stderr).splitlines():
        if found := re.search(MISSING_IN_A_LINE, line):
            missing.add((found[1], found[2]))
        elif line.strip():
            others.append(line)
    return missing, others


def faults(kinds: list[list[str]]) -> list[str]:
    """Return what cfn-lint finds, gaps that are not on the list, and listed gaps that closed."""
    missing, others = lint([regions[0] for regions in kinds])
    alike = {regions[0]: regions for regions in kinds}
    lacking = {(kind, region) for kind, first in missing for region in alike[first]}
    known = {(kind, region) for kind, regions in GAPS.items() for region in regions}
    new = [f"{kind} is not in {region}: add it to GAPS" for kind, region in lacking - known]
    closed = [f"{kind} is in {region} now: remove it" for kind, region in known - lacking]
    return [*others, *sorted(new), *sorted(closed)]


def main() -> int:
    """Print the faults and return the exit code."""
    kinds = kinds_of_regions()
    found = faults(kinds)
    count = sum(map(len, kinds))
    sys.stdout.write("\n".join([*found, f"{count} regions of {len(kinds)} kinds"]) + "\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
