"""What moto's CloudFormation leaves out of the types that it knows, and of change sets."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from moto.awslambda.models import LambdaFunction
from moto.cloudformation import models, parsing, responses
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.iam.models import Role
from support.second_aws.kinds import client

SETTINGS: Final = {
    "TimeToLiveSpecification": "update_time_to_live",
    "PointInTimeRecoverySpecification": "update_continuous_backups",
}
"""Of a table, and the operation that makes each."""
ENCRYPTED, PROTECTED = "SSESpecification", "DeletionProtectionEnabled"
IN_PLACE: Final = ("AWS::DynamoDB::Table", "AWS::Lambda::Function")
"""Types that an update here changes as AWS does, without replacing them."""
FUNCTION: Final = ("Architectures", "TracingConfig")
"""What moto's API takes and its CloudFormation does not."""
_imports: Final[dict[str, list[dict[str, Any]]]] = {}
"""What a change set is to take into its stack, by the stack's name."""


class Taken:
    """A resource that was there before its stack."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        """``row`` as ResourcesToImport has it."""
        (self.physical_resource_id,) = row["ResourceIdentifier"].values()
        self.logical_resource_id, self.cf_resource_type = (
            row["LogicalResourceId"],
            row["ResourceType"],
        )

    def is_created(self) -> bool:
        """Always."""
        return True


def _make_table() -> Callable[..., Any]:
    plain = Table.create_from_cloudformation_json

    def make(name: str, whole: dict[str, Any], account: str, region: str, **rest: Any) -> Any:
        asked = {**whole["Properties"], ENCRYPTED: _encryption(whole["Properties"])}
        made = plain(name, {**whole, "Properties": asked}, account, region, **rest)
        _set(name, whole["Properties"], region)
        return made

    return make


def _update_table(
    *, original_resource: Any, cloudformation_json: dict[str, Any], region_name: str, **_: Any
) -> Any:
    row = cloudformation_json["Properties"]
    asked = {ENCRYPTED: _encryption(row), PROTECTED: row.get(PROTECTED, False)}
    client("dynamodb", region_name).update_table(TableName=original_resource.name, **asked)
    _set(original_resource.name, row, region_name)
    return original_resource


def _encryption(row: Mapping[str, Any]) -> dict[str, Any]:
    """The API calls by another name what CloudFormation calls SSEEnabled."""
    given = dict(row.get(ENCRYPTED, {"SSEEnabled": False}))
    return {"Enabled": given.pop("SSEEnabled"), **given}


def _set(table: str, row: Mapping[str, Any], region: str) -> None:
    dynamodb = client("dynamodb", region)
    for setting in SETTINGS.keys() & row.keys():
        getattr(dynamodb, SETTINGS[setting])(**{"TableName": table, setting: row[setting]})


def _make_function() -> Callable[..., Any]:
    plain: Any = LambdaFunction.create_from_cloudformation_json

    def make(name: str, whole: dict[str, Any], account: str, region: str, **rest: Any) -> Any:
        made, row = plain(name, whole, account, region, **rest), whole["Properties"]
        made.told = {member: row[member] for member in FUNCTION if member in row}
        # https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html
        made.told["LoggingConfig"] = {
            "LogFormat": "Text",
            "LogGroup": f"/aws/lambda/{name}",
            **row.get("LoggingConfig", {}),
        }
        return made

    return make


def _make_role() -> Callable[..., Any]:
    plain: Any = Role.create_from_cloudformation_json

    def make(name: str, whole: dict[str, Any], account: str, region: str, **rest: Any) -> Any:
        made = plain(name, whole, account, region, **rest)
        for arn in whole["Properties"].get("ManagedPolicyArns", []):
            client("iam", region).attach_role_policy(RoleName=made.name, PolicyArn=arn)
        made.delete = lambda *_: _delete_role(made.name, region)
        return made

    return make


def _delete_role(name: str, region: str) -> None:
    iam = client("iam", region)
    for row in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=row["PolicyArn"])
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def _describe_function() -> Callable[..., Any]:
    plain = LambdaFunction.get_configuration
    return lambda self, *words, **named: plain(self, *words, **named) | getattr(self, "told", {})


def _update() -> Callable[..., Any]:
    """Moto forgets what it cannot update, and fails where a condition left it out."""
    plain = parsing.parse_and_update_resource

    def update(logical_id: str, row: dict[str, Any], resources: Any, **where: Any) -> Any:
        there = resources[logical_id]
        return (plain(logical_id, row, resources, **where) or there) if there else None

    return update


def _differ() -> Callable[..., Any]:
    """A changed parameter may change what only a condition names: moto looks for ``Ref`` alone."""
    plain = parsing.ResourceMap.build_resource_diff

    def differ(
        self: Any, template: dict[str, Any], parameters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        found = plain(self, template, parameters)
        before = self.input_parameters
        if any(before.get(name) != value for name, value in (parameters or {}).items()):
            rows = template["Resources"].items()
            more = {
                name
                for name, row in rows
                if row["Type"] in IN_PLACE and name in self._resource_json_map
            }
            found["Modify"] = sorted(more.union(found["Modify"]))
        return found

    return differ


def _remember_imports() -> Callable[..., Any]:
    plain = responses.CloudFormationResponse.create_change_set

    def create(self: Any) -> Any:
        _imports[self._get_param("StackName")] = self._get_param("ResourcesToImport") or []
        return plain(self)

    return create


def _apply(self: Any) -> None:
    """Moto changes the resources, imports none, and forgets template and outputs."""
    stack = self.stack
    for row in _imports.pop(stack.name, []):
        tables = dynamodb_backends[stack.account_id][stack.region_name].tables
        taken = (
            tables[Taken(row).physical_resource_id]
            if row["ResourceType"] in IN_PLACE
            else Taken(row)
        )
        stack.resource_map._parsed_resources[row["LogicalResourceId"]] = taken
    stack.resource_map.update(self.template_dict, self.parameters)
    stack.template, stack.template_dict = self.template, self.template_dict
    stack.parameters = self.parameters
    stack.output_map = parsing.OutputMap(stack.resource_map, self.template_dict, stack.stack_id)


def fill() -> None:
    """Add all of it. What a condition left out is no resource of a stack."""
    table: Any = Table
    table.create_from_cloudformation_json = staticmethod(_make_table())
    table.update_from_cloudformation_json = staticmethod(_update_table)
    role: Any = Role
    role.create_from_cloudformation_json = staticmethod(_make_role())
    function: Any = LambdaFunction
    function.create_from_cloudformation_json = staticmethod(_make_function())
    function.get_configuration = _describe_function()
    stacks: Any = models
    stacks.ChangeSet.apply = _apply
    stacks.Stack.stack_resources = property(
        lambda stack: [row for row in stack.resource_map.values() if row]
    )
    front: Any = responses.CloudFormationResponse
    front.create_change_set = _remember_imports()
    parsing.parse_and_update_resource = _update()
    resources: Any = parsing.ResourceMap
    resources.build_resource_diff = _differ()
