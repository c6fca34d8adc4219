"""Deploys the unchanged template.yaml to the embedded AWS (MiniStack, which imitates AWS).

Its CloudFormation does not support everything. The rest is created by API afterwards.
"""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from infra.build.artifact import BUILD, PARSED, RUNTIME
from infra.deploy import uninstall
from infra.local.paths import AUDIENCE, ROOT, STACK, LocalStackError, Paths

_MADE: Final = {"route": "RouteId", "integration": "IntegrationId", "authorizer": "AuthorizerId"}
_FUNCTION: Final = re.compile(r"functions/\$\{(\w+)\.Arn\}/invocations")


def deploy(paths: Paths, stripe_base: str, *, stripe_live: bool = False) -> dict[str, Any]:
    """Create or update the stack. Returns its resources by logical id, and its outputs."""
    update(paths, stripe_base, stripe_live=stripe_live)
    cloudformation = paths.client("cloudformation")
    found = uninstall.resources(cloudformation, STACK)
    resources = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in found}
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    make_routes(paths, STACK, resources, {"Issuer": paths.issuer_url, "Audience": [AUDIENCE]})
    _switch_on_ttl(paths, resources)
    return {"resources": resources, "outputs": outputs}


def update(
    paths: Paths,
    stripe_base: str,
    *,
    stripe_live: bool = False,
    built: Path = BUILD,
    event_bus: str = "",
    notify_bus: str = "",
) -> None:
    """Run `sam deploy` on the embedded AWS, for the functions' package in ``built``.

    ``stripe_base`` is the address of Stripe's API, or of its simulator. ``event_bus`` names an
    event bus that also delivers Stripe's events, and ``notify_bus`` the event bus on which events
    to the seller are put. Raises LocalStackError if SAM fails.
    """
    overrides = {
        "Stage": "local",
        "Runtime": RUNTIME,
        "Architecture": "x86_64",
        "StripeApiBase": stripe_base,
        "StripeMode": "live" if stripe_live else "test",
        "SiteUrl": paths.front_url,
        "JwtIssuer": paths.issuer_url,
        "JwtAudience": AUDIENCE,
        # Set even when it is empty: otherwise SAM keeps the last deployment's value.
        "StripeEventBus": f'"{event_bus}"',
        "NotifyUrl": paths.notify_url,
        "AutoTopUp": "true",
        "NotifyBus": f'"{notify_bus}"',
    }
    command = [
        *(str(paths.tools / "sam" / "bin" / "sam"), "deploy", "--template", str(built / PARSED)),
        *("--stack-name", STACK, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())),
    ]
    # SAM must not read samconfig.toml, whose stacks are in AWS.
    empty = paths.state / "samconfig.toml"
    empty.write_text("version = 0.1\n")
    command += ["--config-file", str(empty)]
    done = subprocess.run(  # noqa: S603 - SAM
        command, cwd=ROOT, env=paths.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"sam deploy failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise LocalStackError(message)


def put_secrets(
    paths: Paths, resources: dict[str, str], stripe_key: str, webhook_secrets: list[str]
) -> None:
    """Store Stripe's secret key and the webhook's signing secrets for the local stack.

    In AWS, `topup connect` does this after the first deployment.
    """
    manager = paths.client("secretsmanager")
    manager.put_secret_value(SecretId=resources["StripeKeySecret"], SecretString=stripe_key)
    manager.put_secret_value(
        SecretId=resources["WebhookSecretsSecret"],
        SecretString=json.dumps({"secrets": webhook_secrets}),
    )


def put_event_secret(paths: Paths, resources: dict[str, str], secret: str) -> None:
    """Store ``secret`` in the local Secrets Manager. It signs events to the seller."""
    paths.client("secretsmanager").put_secret_value(
        SecretId=resources["NotifySecretsSecret"], SecretString=json.dumps({"secrets": [secret]})
    )


def make_routes(paths: Paths, stack: str, resources: dict[str, str], jwt: dict[str, Any]) -> None:
    """Create the routes, integrations and authorizer of the local stack's HTTP API.

    They are in the deployed template, as the API's OpenAPI body, which the embedded AWS (MiniStack)
    ignores. Those of an earlier deployment are deleted first. ``jwt`` is the authorizer's
    JwtConfiguration, which the template has only as expressions.
    """
    template = _processed_template(paths, stack)
    gateway = paths.client("apigatewayv2")
    api = resources["HttpApi"]
    _delete_routes(gateway, api)
    source = ["$request.header.Authorization"]
    authorizer = gateway.create_authorizer(
        ApiId=api, Name="Jwt", AuthorizerType="JWT", IdentitySource=source, JwtConfiguration=jwt
    )["AuthorizerId"]
    integrations: dict[str, str] = {}
    body = template["Resources"]["HttpApi"]["Properties"]["Body"]
    for path, methods in body["paths"].items():
        for method, operation in methods.items():
            name = _function_of(operation)
            if name not in integrations:
                arn = _arn(paths, resources[name])
                integrations[name] = _integrate(gateway, api, arn)
            route = f"{method.upper()} {path}"
            target = f"integrations/{integrations[name]}"
            rules = _authorization(operation, authorizer)
            gateway.create_route(ApiId=api, RouteKey=route, Target=target, **rules)


def _processed_template(paths: Paths, stack: str) -> dict[str, Any]:
    cloudformation = paths.client("cloudformation")
    answer = cloudformation.get_template(StackName=stack, TemplateStage="Processed")
    body = answer["TemplateBody"]
    template: dict[str, Any] = body if isinstance(body, dict) else json.loads(body)
    return template


def _delete_routes(gateway: Any, api: str) -> None:
    """Delete the routes, integrations and authorizers that an earlier deployment created."""
    for kind, key in _MADE.items():
        pages = gateway.get_paginator(f"get_{kind}s").paginate(ApiId=api)
        for row in [row for page in pages for row in page["Items"]]:
            getattr(gateway, f"delete_{kind}")(ApiId=api, **{key: row[key]})


def _function_of(operation: dict[str, Any]) -> str:
    """Return the logical id of the function that an operation of the OpenAPI body calls."""
    uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
    found = _FUNCTION.search(uri)
    if not found:
        raise LocalStackError(f"an operation of the template calls no function: {uri}")
    return found[1]


def _integrate(gateway: Any, api: str, arn: str) -> str:
    made = gateway.create_integration(
        ApiId=api,
        IntegrationType="AWS_PROXY",
        PayloadFormatVersion="2.0",
        IntegrationUri=arn,
    )
    return str(made["IntegrationId"])


def _authorization(operation: dict[str, Any], authorizer: str) -> dict[str, Any]:
    security = operation.get("security")
    if not security:
        return {}
    return {
        "AuthorizationType": "JWT",
        "AuthorizerId": authorizer,
        "AuthorizationScopes": security[0]["Jwt"],
    }


def _arn(paths: Paths, function: str) -> str:
    found = paths.client("lambda").get_function(FunctionName=function)
    return str(found["Configuration"]["FunctionArn"])


def _switch_on_ttl(paths: Paths, resources: dict[str, str]) -> None:
    """Enable TTL by API, because the embedded AWS ignores TimeToLiveSpecification."""
    ttl = {"Enabled": True, "AttributeName": "ttl"}
    for table in ("QuotasTable", "NoticesTable"):
        paths.client("dynamodb").update_time_to_live(
            TableName=resources[table], TimeToLiveSpecification=ttl
        )
