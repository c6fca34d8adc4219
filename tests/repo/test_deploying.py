"""What `make deploy` does before and after `sam deploy`: a reserve that the account has, and
versions for those who want snapshots.
"""

import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.stub import Stubber
from repo.declared import functions, parameters
from repo.transformed import transformed

from infra.build.artifact import ARCHIVE, BUILD, PARSED, build
from infra.deploy import concurrency, sam, snapstart
from infra.deploy.stage import Stage
from infra.local.paths import Paths

SNAPSHOTS: Final = {"Stage": "prod", "SnapStart": "PublishedVersions"}


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """As the build leaves it, as far as it is looked at."""
    build(Paths.from_environment())
    (tmp_path / PARSED).write_bytes((BUILD / PARSED).read_bytes())
    (tmp_path / ARCHIVE).write_bytes(b"code")
    return tmp_path


def _made(built: Path, told: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    resources: dict[str, dict[str, Any]] = transformed(
        snapstart.template_for(built, told).read_text(), **told
    )["Resources"]
    return resources


def _of_type(made: Mapping[str, dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row["Properties"] for row in made.values() if row["Type"] == kind]


@pytest.mark.parametrize("told", [{}, {"SnapStart": "None"}])
def test_without_snapshots_there_is_no_version_and_no_alias(
    built: Path, told: dict[str, str]
) -> None:
    """What is deployed is what was built."""
    assert snapstart.template_for(built, told) == built / PARSED
    made = _made(built, told)
    assert not _of_type(made, "AWS::Lambda::Version")
    assert not _of_type(made, "AWS::Lambda::Alias")


def test_with_snapshots_every_way_to_a_function_leads_to_its_alias(built: Path) -> None:
    """Routes, the Function URL, schedules, the queue, and the permissions for them: what is not
    published starts from no snapshot.
    """
    made = _made(built, SNAPSHOTS)
    aliases = {f"{name}Alias{snapstart.ALIAS}" for name in functions()}
    assert {name for name, row in made.items() if row["Type"] == "AWS::Lambda::Alias"} == aliases
    operations = [
        operation
        for path in made["HttpApi"]["Properties"]["Body"]["paths"].values()
        for operation in path.values()
    ]
    uris = [
        operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"] for operation in operations
    ]
    named = [
        *(re.findall(r"functions/\$\{(\w+)\}/invocations", uri) for uri in uris),
        *([row["FunctionName"]["Ref"]] for row in _of_type(made, "AWS::Lambda::Permission")),
        *(
            [row["FunctionName"]["Ref"]]
            for row in _of_type(made, "AWS::Lambda::EventSourceMapping")
        ),
        *([row["TargetFunctionArn"]["Ref"]] for row in _of_type(made, "AWS::Lambda::Url")),
        *(
            [row["IntegrationUri"]["Ref"]]
            for row in _of_type(made, "AWS::ApiGatewayV2::Integration")
        ),
        *(
            [target["Arn"]["Ref"] for target in row["Targets"]]
            for row in _of_type(made, "AWS::Events::Rule")
            if "EventBusName" not in row
        ),
    ]
    assert len(named) > 40
    assert all(several and set(several) <= aliases for several in named)


def test_old_versions_go_because_their_snapshots_cost(built: Path) -> None:
    """SAM would keep them for good."""
    rows = [
        row for row in _made(built, SNAPSHOTS).values() if row["Type"] == "AWS::Lambda::Version"
    ]
    assert len(rows) == len(functions())
    assert {row["DeletionPolicy"] for row in rows} == {"Delete"}


def test_a_version_is_published_when_code_template_or_a_parameter_changes_and_not_otherwise(
    built: Path,
) -> None:
    """SAM alone overlooks the parameter: its new value would stand in the unpublished function,
    which is never called.
    """

    def versions(told: Mapping[str, str]) -> set[str]:
        return {
            name
            for name, row in _made(built, told).items()
            if row["Type"] == "AWS::Lambda::Version"
        }

    first = versions(SNAPSHOTS)
    assert versions(dict(reversed(SNAPSHOTS.items()))) == first
    assert not versions(SNAPSHOTS | {"ReversalPolicy": "write_off"}) & first
    (built / ARCHIVE).write_bytes(b"other code")
    second = versions(SNAPSHOTS)
    assert not second & first
    (built / PARSED).write_text(
        (built / PARSED).read_text().replace('"MemorySize": 256', '"MemorySize": 512')
    )
    assert not versions(SNAPSHOTS) & (first | second)


@pytest.mark.parametrize(
    ("unreserved", "reserved"),
    [(10, 0), (50, 0), (100, 0), (101, 1), (119, 19), (120, 20), (1000, 20), (0, 0)],
)
def test_what_is_proposed_leaves_a_hundred_executions_to_the_others(
    unreserved: int, reserved: int
) -> None:
    """Lambda refuses the deployment otherwise; and a word about why it is less."""
    proposed, sentence = concurrency.proposal(unreserved)
    assert proposed == reserved
    assert ("Service Quotas" in sentence) is (reserved < concurrency.USUAL)
    assert str(unreserved) in sentence


def test_a_plain_deployment_reserves_nothing() -> None:
    """A new account has ten executions in all, and Lambda keeps a hundred unreserved: any reserve
    would be refused.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
    """
    assert parameters()["WebhookConcurrency"]["Default"] == 0 < concurrency.USUAL


def _lambda(prepare: Callable[[Stubber], None]) -> Callable[[], Any]:
    door = boto3.client(
        "lambda", region_name="eu-west-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    stub = Stubber(door)
    prepare(stub)
    stub.activate()
    return lambda: door


def test_lambda_is_asked_what_the_account_has() -> None:
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": 10}}
    told, sentence = concurrency.proposed(
        {"Stage": "prod"}, _lambda(lambda stub: stub.add_response("get_account_settings", limit))
    )
    assert told == {"Stage": "prod", "WebhookConcurrency": "0"}
    assert "this account has 10" in sentence


def test_a_value_given_before_is_kept_and_lambda_is_not_asked() -> None:
    """Its answer would count what this stack has already reserved."""
    told, _ = concurrency.proposed({"WebhookConcurrency": "7"}, _lambda(lambda _: None))
    assert told == {"WebhookConcurrency": "7"}


@pytest.mark.parametrize(
    ("unreserved", "own", "reserved"),
    [(80, 20, "0"), (100, 20, "20"), (980, 20, "20"), (110, 5, "15")],
)
def test_what_the_stack_has_reserved_itself_is_there_for_it_again(
    unreserved: int, own: int, reserved: str
) -> None:
    """Lambda does not count it among the unreserved; a second machine would
    propose less each time.
    """
    limit = {"AccountLimit": {"UnreservedConcurrentExecutions": unreserved}}
    told, _ = concurrency.proposed(
        {}, _lambda(lambda stub: stub.add_response("get_account_settings", limit)), own
    )
    assert told == {"WebhookConcurrency": reserved}


def _unknown_region() -> Any:
    return boto3.Session().client("lambda")


def test_where_lambda_says_nothing_nothing_is_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No region yet, or no right to ask: the operator decides, and is informed about what must
    hold.
    """
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    denied = _lambda(
        lambda stub: stub.add_client_error("get_account_settings", "AccessDeniedException")
    )
    for connect in (_unknown_region, denied):
        told, sentence = concurrency.proposed({"Stage": "prod"}, connect)
        assert told == {"Stage": "prod"}
        assert "leaves 100" in sentence


@pytest.mark.parametrize(
    ("wanted", "template"), [("None", PARSED), ("PublishedVersions", "published.json")]
)
def test_what_was_answered_decides_about_versions(
    built: Path, monkeypatch: pytest.MonkeyPatch, wanted: str, template: str
) -> None:
    """`sam deploy` gets the template that publishes, or the one that does not."""
    deployed: list[str] = []

    def call(command: list[str], **_: Any) -> int:
        deployed.append(Path(command[command.index("--template-file") + 1]).name)
        return 0

    monkeypatch.setattr(subprocess, "call", call)
    stage = Stage("qa", "topup-qa", "eu-west-1", parameters={"SnapStart": wanted}, folder=built)
    assert sam.run(stage, built, yes=True) == 0
    assert deployed == [template]
