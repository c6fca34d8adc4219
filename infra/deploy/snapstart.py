"""Adds versions and an alias to the template of a stage with SnapStart=PublishedVersions.

Lambda takes snapshots of published versions only. SAM's AutoPublishAlias publishes a version and
sends every event to the alias, but it takes no condition, so in template.yaml it would hold for
every stage: https://github.com/aws/serverless-application-model/issues/1154

SAM also publishes only when the code or the template's text has changed. A new value of a parameter
would then have no effect: https://github.com/aws/serverless-application-model/issues/3820
So the property is added here, with a hash of code, template and parameters.
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
"""The properties that name a function directly. SAM does not change them, so this module points
them to the function's alias.

Each key is a resource and its property. Each value is the function.
"""
MARK_CHARS: Final = 10
"""The length of the hash in the name that SAM gives a version."""


def is_wanted(parameters: Mapping[str, str]) -> bool:
    """Return whether these parameters ask for snapshots (SnapStart)."""
    return parameters.get("SnapStart") == "PublishedVersions"


def template_for(built: Path, parameters: Mapping[str, str]) -> Path:
    """Return the path of the template to deploy.

    If ``parameters`` ask for SnapStart, it is a copy, written here, that publishes a version of
    each function. Otherwise it is the template in the folder ``built``.
    """
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
    """Return a hash of all that a new version of a function depends on.

    That is the code, the template and the parameters. SAM publishes new versions if the hash
    differs from that of the last deployment.
    """
    digest = hashlib.sha256(json.dumps(sorted(parameters.items())).encode())
    for name in (PARSED, ARCHIVE):
        digest.update((built / name).read_bytes())
    return digest.hexdigest()[:MARK_CHARS]
