"""Versions and an alias, for a stage that starts its functions from snapshots (SnapStart=PublishedVersions) and for no other.

Lambda takes snapshots of published versions only. SAM's AutoPublishAlias publishes them and leads every event to the alias, but takes
no condition (https://github.com/aws/serverless-application-model/issues/1154), so in template.yaml it would hold for everybody. And it
publishes when the code or the template's text has changed, not when a parameter's value has
(https://github.com/aws/serverless-application-model/issues/3820): another ReversalPolicy would be deployed and heard by nobody. So it is
put in here, with a mark of all three.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from infra.build.artifact import ARCHIVE, PARSED

ALIAS: Final = "live"
LED: Final = {
    ("WebhookFunctionUrl", "TargetFunctionArn"): "WebhookFunction",
    ("WebhookFunctionUrlPublicPermissions", "FunctionName"): "WebhookFunction",
    ("WebhookFunctionURLInvokeAllowPublicAccess", "FunctionName"): "WebhookFunction",
    ("SignInIntegration", "IntegrationUri"): "ReturnFromSignInFunction",
    ("SignInPermission", "FunctionName"): "ReturnFromSignInFunction",
}
"""What the template leads to a function by name, so that SAM does not lead it to the alias:
resource and property, and which function."""
MARK_CHARS: Final = 10
"""SAM makes a version's name of as many."""


def is_wanted(parameters: Mapping[str, str]) -> bool:
    """Whether these parameters of the template ask for snapshots."""
    return parameters.get("SnapStart") == "PublishedVersions"


def template_for(built: Path, parameters: Mapping[str, str]) -> Path:
    """The template to deploy from the folder ``built``: the one there, or another beside it that publishes versions."""
    plain = built / PARSED
    if not is_wanted(parameters):
        return plain
    added = {
        "AutoPublishAlias": ALIAS,
        "AutoPublishCodeSha256": mark(built, parameters),
        "VersionDeletionPolicy": "Delete",  # a version that is kept costs as long as its snapshot
    }
    template = json.loads(plain.read_text())
    for resource in template["Resources"].values():
        if resource.get("Type") == "AWS::Serverless::Function":  # as a global SAM takes no mark
            resource["Properties"] |= added
    for (name, member), function in LED.items():
        template["Resources"][name]["Properties"][member] = {"Ref": f"{function}.Alias"}
    publishing = built / "published.json"
    publishing.write_text(json.dumps(template))
    return publishing


def mark(built: Path, parameters: Mapping[str, str]) -> str:
    """Another one whenever a function would behave otherwise: its code, the template or a parameter's value is another."""
    digest = hashlib.sha256(json.dumps(sorted(parameters.items())).encode())
    for name in (PARSED, ARCHIVE):
        digest.update((built / name).read_bytes())
    return digest.hexdigest()[:MARK_CHARS]
