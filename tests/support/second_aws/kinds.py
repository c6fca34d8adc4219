"""The template's types that moto has an API for and no CloudFormation: made by that API.

It is given the template's own properties, so botocore's models check their names and types.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import boto3
from moto.cognitoidp.models import cognitoidp_backends

ACCOUNT: Final = "123456789012"
SCOPES: Final = "AWS::Cognito::UserPoolResourceServer"
SECRET: Final = "AWS::SecretsManager::Secret"
Made = tuple[str, dict[str, str]]
"""What ``Ref`` gives, and the attributes that ``Fn::GetAtt`` gives."""


@dataclass(frozen=True)
class Kind:
    """``create`` is an operation, ``named`` its parameter that the template may leave out.

    ``renamed``: properties that the operation calls otherwise.
    """

    service: str
    create: str
    made: Callable[[dict[str, Any], dict[str, Any]], Made]
    named: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict)


def client(service: str, region: str) -> Any:
    """Of this server itself."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(
        service, region_name=region, endpoint_url=os.environ["SECOND_AWS_URL"], **keys
    )


def _reference(*path: str) -> Callable[[dict[str, Any], dict[str, Any]], Made]:
    """``path`` leads to the reference in the answer, or in what was asked."""

    def made(answer: dict[str, Any], asked: dict[str, Any]) -> Made:
        value: Any = {**asked, **answer}
        for name in path:
            value = value[name]
        return str(value), {}

    return made


def create(kind: Kind, name: str, properties: Mapping[str, Any], region: str) -> Made:
    """Make one. ``name`` is for what the template does not name."""
    asked = {kind.renamed.get(key, key): value for key, value in properties.items()}
    if kind.named:
        asked.setdefault(kind.named, name)
    answer = getattr(client(kind.service, region), kind.create)(**asked)
    return kind.made(answer, asked)


def create_secret(name: str, properties: Mapping[str, Any], region: str) -> Made:
    """With a generated value, as CloudFormation makes it."""
    manager = client("secretsmanager", region)
    rest = {key: value for key, value in properties.items() if key != "GenerateSecretString"}
    asked = dict(properties["GenerateSecretString"])
    whole, key = asked.pop("SecretStringTemplate", ""), asked.pop("GenerateStringKey", "")
    word = manager.get_random_password(**asked)["RandomPassword"]
    if key:
        word = json.dumps({**json.loads(whole), key: word})
    arn = manager.create_secret(Name=name, SecretString=word, **rest)["ARN"]
    return arn, {"Id": arn}


def create_api(name: str, properties: Mapping[str, Any], region: str) -> Made:
    """An empty one, or of its description, which moto takes for an API that is there."""
    gateway = client("apigatewayv2", region)
    if "Body" not in properties:
        return gateway.create_api(**properties)["ApiId"], {}
    found = gateway.create_api(Name=name, ProtocolType="HTTP")["ApiId"]
    gateway.reimport_api(ApiId=found, Body=json.dumps(properties["Body"]))
    return found, {}


def create_queue_policy(name: str, properties: Mapping[str, Any], region: str) -> Made:
    """An attribute of each queue."""
    policy = {"Policy": json.dumps(properties["PolicyDocument"])}
    for url in properties["Queues"]:
        client("sqs", region).set_queue_attributes(QueueUrl=url, Attributes=policy)
    return name, {}


def create_url(name: str, properties: Mapping[str, Any], region: str) -> Made:
    """A function's."""
    del name
    asked = {
        "FunctionName" if key == "TargetFunctionArn" else key: value
        for key, value in properties.items()
    }
    answer = client("lambda", region).create_function_url_config(**asked)
    return answer["FunctionArn"], {"FunctionUrl": answer["FunctionUrl"]}


def create_alarm(name: str, properties: Mapping[str, Any], region: str) -> Made:
    """Its ARN is not in the answer."""
    watch = client("cloudwatch", region)
    watch.put_metric_alarm(AlarmName=name, **properties)
    (found,) = watch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return name, {"Arn": found["AlarmArn"]}


def delete(kind: str, asked: Mapping[str, Any], reference: str, region: str) -> None:
    """Delete one: what the operation needs and the properties do not name is its reference."""
    if kind == SCOPES:  # moto has no such operation
        pool = cognitoidp_backends[ACCOUNT][region].describe_user_pool(asked["UserPoolId"])
        del pool.resource_servers[asked["Identifier"]]
    service, operation = DELETED.get(kind, ("", ""))
    if not service:
        return  # it goes with what it belongs to
    found = client(service, region)
    model = found.meta.service_model.operation_model(found.meta.method_to_api_mapping[operation])
    getattr(found, operation)(
        **{name: asked.get(name, reference) for name in model.input_shape.required_members}
    )


DELETED: Final = {
    SECRET: ("secretsmanager", "delete_secret"),
    "AWS::ApiGatewayV2::Api": ("apigatewayv2", "delete_api"),
    "AWS::Cognito::UserPool": ("cognito-idp", "delete_user_pool"),
    "AWS::Cognito::UserPoolClient": ("cognito-idp", "delete_user_pool_client"),
    "AWS::Cognito::UserPoolDomain": ("cognito-idp", "delete_user_pool_domain"),
}
BY_HAND: Final = {
    "AWS::CloudWatch::Alarm": create_alarm,
    SECRET: create_secret,
    "AWS::ApiGatewayV2::Api": create_api,
    "AWS::SQS::QueuePolicy": create_queue_policy,
    "AWS::Lambda::Url": create_url,
}
KINDS: Final = {
    "AWS::Cognito::UserPool": Kind(
        "cognito-idp",
        "create_user_pool",
        _reference("UserPool", "Id"),
        "PoolName",
        {"UserPoolName": "PoolName"},
    ),
    "AWS::Cognito::UserPoolClient": Kind(
        "cognito-idp",
        "create_user_pool_client",
        _reference("UserPoolClient", "ClientId"),
        "ClientName",
    ),
    SCOPES: Kind("cognito-idp", "create_resource_server", _reference("Identifier")),
    "AWS::Cognito::UserPoolDomain": Kind(
        "cognito-idp", "create_user_pool_domain", _reference("Domain")
    ),
    "AWS::ApiGatewayV2::Stage": Kind("apigatewayv2", "create_stage", _reference("StageName")),
    "AWS::ApiGatewayV2::Integration": Kind(
        "apigatewayv2", "create_integration", _reference("IntegrationId")
    ),
    "AWS::ApiGatewayV2::Route": Kind("apigatewayv2", "create_route", _reference("RouteId")),
    "AWS::Lambda::EventInvokeConfig": Kind(
        "lambda", "put_function_event_invoke_config", _reference("FunctionArn")
    ),
}
