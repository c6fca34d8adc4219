"""How a resource of each type is read back from an account, in the words of its properties."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from support.expected import STREAM
from support.second import Second

Reader = Callable[[Second, str, Mapping[str, Any]], Mapping[str, Any]]


def _table(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    dynamodb = aws.client("dynamodb")
    found = dynamodb.describe_table(TableName=name)["Table"]
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    return {
        **found,
        "BillingMode": found["BillingModeSummary"]["BillingMode"],
        "SSESpecification": {
            "SSEEnabled": found.get("SSEDescription", {}).get("Status") == "ENABLED"
        },
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": recovery},
        "TimeToLiveSpecification": {**expiry, "Enabled": expiry["TimeToLiveStatus"] == "ENABLED"},
    }


def _function(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    functions = aws.client("lambda")
    reserved = functions.get_function_concurrency(FunctionName=name)
    return {**functions.get_function_configuration(FunctionName=name), **reserved}


def _role(aws: Second, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    iam = aws.client("iam")
    names = iam.list_role_policies(RoleName=name)["PolicyNames"]
    attached = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
    documents = {
        policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        for policy in names
    }
    order = [row["PolicyName"] for row in asked.get("Policies", [])]
    return {
        "AssumeRolePolicyDocument": iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"],
        "ManagedPolicyArns": [row["PolicyArn"] for row in attached],
        "Policies": [
            {"PolicyName": policy, "PolicyDocument": documents[policy]}
            for policy in sorted(names, key=order.index)
        ],
    }


def _policy(aws: Second, arn: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    iam = aws.client("iam")
    found = iam.get_policy(PolicyArn=arn)["Policy"]
    version = iam.get_policy_version(PolicyArn=arn, VersionId=found["DefaultVersionId"])[
        "PolicyVersion"
    ]
    return {**found, "PolicyDocument": version["Document"]}


def _queue(aws: Second, url: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    redrive = (
        {"RedrivePolicy": json.loads(found["RedrivePolicy"])} if "RedrivePolicy" in found else {}
    )
    return {**found, **redrive}


def _rule(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    events = aws.client("events")
    return {
        **events.describe_rule(Name=name),
        "Targets": events.list_targets_by_rule(Rule=name)["Targets"],
    }


def _source(aws: Second, uuid: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("lambda").get_event_source_mapping(UUID=uuid)
    table, stream, _ = found["EventSourceArn"].partition(STREAM)
    source = f"{table}{stream}"
    function = found["FunctionArn"].rpartition(":")[2]
    is_on = found["State"] in ("Creating", "Enabled", "Enabling")
    return {**found, "FunctionName": function, "EventSourceArn": source, "Enabled": is_on}


def _group(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return {"RetentionInDays": found["retentionInDays"]}


def _alarm(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    (found,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


def _dashboard(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(aws.client("cloudwatch").get_dashboard(DashboardName=name))


def _secret(aws: Second, arn: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    manager = aws.client("secretsmanager")
    assert len(manager.get_secret_value(SecretId=arn)["SecretString"]) == 32, (
        "what CloudFormation generates where nothing else is said"
    )
    return {**manager.describe_secret(SecretId=arn), "GenerateSecretString": {}}


def _pool(aws: Second, pool: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("cognito-idp").describe_user_pool(UserPoolId=pool)["UserPool"]
    return {**found, "UserPoolName": found["Name"]}


def _client(aws: Second, client: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("cognito-idp").describe_user_pool_client(
        UserPoolId=asked["UserPoolId"], ClientId=client
    )["UserPoolClient"]
    return {**found, "GenerateSecret": "ClientSecret" in found}


def _scopes(aws: Second, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("cognito-idp").describe_resource_server(
        UserPoolId=asked["UserPoolId"], Identifier=name
    )
    return dict(found["ResourceServer"])


def _domain(aws: Second, name: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return dict(
        aws.client("cognito-idp").describe_user_pool_domain(Domain=name)["DomainDescription"]
    )


def _stage(aws: Second, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **aws.client("apigatewayv2").get_stage(ApiId=asked["ApiId"], StageName=name),
        "ApiId": asked["ApiId"],
    }


def _integration(aws: Second, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **aws.client("apigatewayv2").get_integration(ApiId=asked["ApiId"], IntegrationId=name),
        "ApiId": asked["ApiId"],
    }


def _route(aws: Second, name: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **aws.client("apigatewayv2").get_route(ApiId=asked["ApiId"], RouteId=name),
        "ApiId": asked["ApiId"],
    }


def _url(aws: Second, arn: str, _: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        **aws.client("lambda").get_function_url_config(FunctionName=arn),
        "TargetFunctionArn": arn.rpartition(":")[2],
    }


def _retries(aws: Second, arn: str, asked: Mapping[str, Any]) -> Mapping[str, Any]:
    found = aws.client("lambda").get_function_event_invoke_config(FunctionName=arn)
    return {**found, "FunctionName": asked["FunctionName"]}


READERS: Final[Mapping[str, Reader]] = {
    "AWS::ApiGatewayV2::Integration": _integration,
    "AWS::ApiGatewayV2::Route": _route,
    "AWS::ApiGatewayV2::Stage": _stage,
    "AWS::CloudWatch::Alarm": _alarm,
    "AWS::CloudWatch::Dashboard": _dashboard,
    "AWS::Cognito::UserPool": _pool,
    "AWS::Cognito::UserPoolClient": _client,
    "AWS::Cognito::UserPoolDomain": _domain,
    "AWS::Cognito::UserPoolResourceServer": _scopes,
    "AWS::DynamoDB::Table": _table,
    "AWS::Events::Rule": _rule,
    "AWS::IAM::ManagedPolicy": _policy,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::EventInvokeConfig": _retries,
    "AWS::Lambda::EventSourceMapping": _source,
    "AWS::Lambda::Function": _function,
    "AWS::Lambda::Url": _url,
    "AWS::Logs::LogGroup": _group,
    "AWS::SecretsManager::Secret": _secret,
    "AWS::SQS::Queue": _queue,
}
