"""The webhook's function URL: by a parameter, with what AWS requires of it, and at the same address
after an update.
"""

import json
from typing import Any, Final

from repo.conditions import Conditions
from repo.declared import parameters
from repo.transformed import transformed

PUBLIC: Final[dict[str, dict[str, Any]]] = {
    "WebhookFunctionUrlPublicPermissions": {
        "Action": "lambda:InvokeFunctionUrl",
        "FunctionUrlAuthType": "NONE",
    },
    "WebhookFunctionURLInvokeAllowPublicAccess": {
        "Action": "lambda:InvokeFunction",
        "InvokedViaFunctionUrl": True,
    },
}
"""Both, since October 2025: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html."""


def test_the_function_url_is_there_unless_the_region_has_none() -> None:
    """By a parameter, with its output, and with both permissions, or it answers 403 to Stripe."""
    resources, outputs = transformed()["Resources"], transformed()["Outputs"]
    assert parameters()["FunctionUrl"]["Default"] == "true"
    for row in (
        resources["WebhookFunctionUrl"],
        outputs["WebhookFunctionUrl"],
        *(resources[name] for name in PUBLIC),
    ):
        assert row["Condition"] == "HasFunctionUrl"
    for name, members in PUBLIC.items():
        assert resources[name]["Properties"] == {
            "FunctionName": {"Ref": "WebhookFunction"},
            "Principal": "*",
            **members,
        }
    assert not [
        name
        for name, row in resources.items()
        if "Url" in row["Type"] and name != "WebhookFunctionUrl"
    ]


def test_without_the_parameter_there_is_no_function_url() -> None:
    whole = Conditions(transformed())
    made = [whole.resources({"FunctionUrl": value}) for value in ("true", "false")]
    assert made[0] - made[1] == {"WebhookFunctionUrl", *PUBLIC}
    assert whole.dangling() == []


def test_an_update_leaves_the_function_url_where_it_is() -> None:
    """SAM's FunctionUrlConfig made it until version 1: under these names, of these properties, none
    of which may change in place.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-url.html
    """
    first = _of_version_1()
    for name in ("WebhookFunctionUrl", *PUBLIC):
        assert (
            transformed()["Resources"][name]["Properties"]
            == transformed(first)["Resources"][name]["Properties"]
        )


def _of_version_1() -> str:
    """A template with the same function as version 1 had it."""
    return json.dumps(
        {
            "Transform": "AWS::Serverless-2016-10-31",
            "Globals": {"Function": {"Runtime": "python3.13"}},
            "Resources": {
                "WebhookFunction": {
                    "Type": "AWS::Serverless::Function",
                    "Properties": {
                        "Handler": "webhook.handler",
                        "CodeUri": "s3://bucket/key",
                        "FunctionUrlConfig": {"AuthType": "NONE"},
                    },
                }
            },
        }
    )
