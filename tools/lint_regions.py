"""Lints template.yaml for every region that cfn-lint knows, with the gaps that are known; anything else is a failure.

Regions whose resource types have the same schemas get the same answer, so that one of each kind is linted, not forty-five.
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
        *(
            "ap-east-2",
            "ap-south-2",
            "ap-southeast-4",
            "ap-southeast-5",
            "ap-southeast-6",
            "ap-southeast-7",
            "ca-west-1",
        ),
        *(
            "eu-central-2",
            "il-central-1",
            "me-central-1",
            "mx-central-1",
            "cn-northwest-1",
            *GOV_CLOUD,
        ),
    ),
    # JwtIssuer: an issuer of your own.
    # https://docs.amazonaws.cn/en_us/aws/latest/userguide/cognito.html
    **{f"AWS::Cognito::{name}": CHINA for name in COGNITO},
    # No WebAclArn.
    # https://docs.aws.amazon.com/govcloud-us/latest/UserGuide/using-govcloud-services.html
    "AWS::CloudFront::Distribution": GOV_CLOUD,
}
"""Resource types that are not everywhere, all of them under a condition: where they are lacking,
and what is said then instead."""
KINDS: Final = """
import collections, json, pathlib, sys, cfnlint
types = set(json.load(sys.stdin))
kinds = collections.defaultdict(list)
for file in sorted((pathlib.Path(cfnlint.__file__).parent / "data" / "schemas" / "providers").glob("*-*.json")):
    schemas = json.loads(file.read_text())
    kinds[json.dumps(sorted((name, schemas.get(name)) for name in types))].append(file.stem)
print(json.dumps(list(kinds.values())))
"""
"""In cfn-lint's environment: its regions, those together whose schemas of these resource types are
the same."""


def kinds_of_regions() -> list[list[str]]:
    """Regions in which the template's resources look alike."""
    types = sorted(
        set(
            re.findall(
                r"\bType: (AWS::(?!Serverless)\w+::\w+)", (ROOT / "template.yaml").read_text()
            )
        )
    )
    made = [
        "AWS::Lambda::Function",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::EventInvokeConfig",
    ]
    command = [str(TOOLS / "python"), "-c", KINDS]
    done = subprocess.run(
        command, input=json.dumps([*types, *made]), capture_output=True, text=True, check=True
    )
    found: list[list[str]] = json.loads(done.stdout)
    return found


def lint(regions: list[str]) -> tuple[set[tuple[str, str]], list[str]]:
    """What is lacking where, and what else cfn-lint finds."""
    command = [
        str(TOOLS / "cfn-lint"),
        "--format",
        "parseable",
        "--regions",
        *regions,
        "--",
        str(ROOT / "template.yaml"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = (done.stdout + done.stderr).splitlines()
    missing = {
        (found[1], found[2]) for line in told if (found := re.search(MISSING_IN_A_LINE, line))
    }
    return missing, [
        line for line in told if line.strip() and not re.search(MISSING_IN_A_LINE, line)
    ]


MISSING_IN_A_LINE: Final = re.compile(
    r"E3006:Resource type '([\w:]+)' does not exist in '([\w-]+)'"
)


def main() -> int:
    """Say what is wrong. Returns an exit code."""
    kinds = kinds_of_regions()
    missing, others = lint([regions[0] for regions in kinds])
    alike = {regions[0]: regions for regions in kinds}
    lacking = {(kind, region) for kind, first in missing for region in alike[first]}
    known = {(kind, region) for kind, regions in GAPS.items() for region in regions}
    faults = [
        *others,
        *(
            f"{kind} is not in {region}, and nothing here says so"
            for kind, region in sorted(lacking - known)
        ),
    ]
    faults += [
        f"{kind} is in {region} by now: take it off the list"
        for kind, region in sorted(known - lacking)
    ]
    print("\n".join([*faults, f"{sum(map(len, kinds))} regions of {len(kinds)} kinds"]))  # noqa: T201
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
