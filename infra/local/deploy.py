"""Deploys template.yaml, unchanged, to the embedded AWS, and does by API what its CloudFormation leaves undone."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from infra.build.artifact import BUILD, PARSED, RUNTIME
from infra.deploy import uninstall
from infra.local.paths import AUDIENCE, ROOT, STACK, LocalStackError, Paths

_FUNCTION: Final = re.compile(r"functions/\$\{(\w+)\.Arn\}/invocations")


def deploy(places: Paths, stripe_base: str, *, stripe_live: bool = False) -> dict[str, Any]:
    """Create or update the stack. Returns its resources by logical id, and its outputs."""
    update(places, stripe_base, stripe_live=stripe_live)
    cloudformation = places.client("cloudformation")
    found = uninstall.resources(cloudformation, STACK)
    resources = {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in found}
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}
    make_routes(places, STACK, resources, {"Issuer": places.issuer_url, "Audience": [AUDIENCE]})
    _switch_on_ttl(places, resources)
    return {"resources": resources, "outputs": outputs}


def update(
    places: Paths,
    stripe_base: str,
    *,
    stripe_live: bool = False,
    built: Path = BUILD,
    event_bus: str = "",
) -> None:
    """`sam deploy` of what is in ``built``, and nothing else.

    ``event_bus``: where Stripe's events come by as well.
    """
    overrides = {
        "Stage": "local",
        "Runtime": RUNTIME,
        "Architecture": "x86_64",
        "StripeApiBase": stripe_base,
        "StripeMode": "live" if stripe_live else "test",
        "SiteUrl": places.front_url,
        "JwtIssuer": places.issuer_url,
        "JwtAudience": AUDIENCE,
        # said even when it is empty: SAM would keep the last deployment's
        "StripeEventBus": f'"{event_bus}"',
    }
    command = [
        *(str(places.tools / "sam" / "bin" / "sam"), "deploy", "--template", str(built / PARSED)),
        *("--stack-name", STACK, "--resolve-s3", "--capabilities", "CAPABILITY_IAM"),
        *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
        *("--parameter-overrides", *(f"{name}={value}" for name, value in overrides.items())),
    ]
    # Beside samconfig.toml, whose names are for AWS, this one must not be found.
    empty = places.state / "samconfig.toml"
    empty.write_text("version = 0.1\n")
    command += ["--config-file", str(empty)]
    done = subprocess.run(
        command, cwd=ROOT, env=places.environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        message = f"sam deploy failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise LocalStackError(message)


def put_secrets(
    places: Paths, resources: dict[str, str], stripe_key: str, webhook_secrets: list[str]
) -> None:
    """As an operator does once after the first deploy."""
    manager = places.client("secretsmanager")
    manager.put_secret_value(SecretId=resources["StripeKeySecret"], SecretString=stripe_key)
    manager.put_secret_value(
        SecretId=resources["WebhookSecretsSecret"],
        SecretString=json.dumps({"secrets": webhook_secrets}),
    )


def make_routes(places: Paths, stack: str, resources: dict[str, str], jwt: dict[str, Any]) -> None:
    """The embedded AWS ignores an HTTP API's OpenAPI body: read it from the processed template and say it again by API.

    ``jwt``: the issuer and the audiences of the authorizer, which the template has as expressions.
    """
    gateway, api = places.client("apigatewayv2"), resources["HttpApi"]
    template = places.client("cloudformation").get_template(
        StackName=stack, TemplateStage="Processed"
    )["TemplateBody"]
    template = template if isinstance(template, dict) else json.loads(template)
    for kind, key in (
        ("route", "RouteId"),
        ("integration", "IntegrationId"),
        ("authorizer", "AuthorizerId"),
    ):
        pages = gateway.get_paginator(f"get_{kind}s").paginate(ApiId=api)
        for row in [row for page in pages for row in page["Items"]]:
            getattr(gateway, f"delete_{kind}")(ApiId=api, **{key: row[key]})
    source = ["$request.header.Authorization"]
    authorizer = gateway.create_authorizer(
        ApiId=api, Name="Jwt", AuthorizerType="JWT", IdentitySource=source, JwtConfiguration=jwt
    )
    integrations: dict[str, str] = {}
    for path, methods in template["Resources"]["HttpApi"]["Properties"]["Body"]["paths"].items():
        for method, operation in methods.items():
            uri = operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
            name = _FUNCTION.search(uri)[1]  # type: ignore[index]
            if name not in integrations:
                made = gateway.create_integration(
                    ApiId=api,
                    IntegrationType="AWS_PROXY",
                    PayloadFormatVersion="2.0",
                    IntegrationUri=_arn(places, resources[name]),
                )
                integrations[name] = made["IntegrationId"]
            guard: dict[str, Any] = {}
            if security := operation.get("security"):
                guard = {
                    "AuthorizationType": "JWT",
                    "AuthorizerId": authorizer["AuthorizerId"],
                    "AuthorizationScopes": security[0]["Jwt"],
                }
            route = f"{method.upper()} {path}"
            gateway.create_route(
                ApiId=api, RouteKey=route, Target=f"integrations/{integrations[name]}", **guard
            )


def _arn(places: Paths, function: str) -> str:
    arn: str = places.client("lambda").get_function(FunctionName=function)["Configuration"][
        "FunctionArn"
    ]
    return arn


def _switch_on_ttl(places: Paths, resources: dict[str, str]) -> None:
    """CloudFormation there drops the TimeToLiveSpecification."""
    ttl = {"Enabled": True, "AttributeName": "ttl"}
    places.client("dynamodb").update_time_to_live(
        TableName=resources["QuotasTable"], TimeToLiveSpecification=ttl
    )
