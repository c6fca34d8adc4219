import json
import re
import subprocess
import sys
from typing import Any, Final

import pytest
from support.stand import Stand

from infra.build.artifact import ARCHIVE, BUILD
from infra.local.paths import ROOT

HANDLERS: Final = dict(
    re.findall(
        r"^  (\w+):\n    Type: AWS::Serverless::Function\n    Metadata: .*\n"
        r"    Properties:\n      Handler: ([\w.]+)\.handler\n",
        (ROOT / "template.yaml").read_text(),
        re.MULTILINE,
    )
)
NOT_HERE: Final = {"ReturnFromSignInFunction"}
"""Made with a Cognito pool, which the stand has not: tests/e2e/test_stranger.py has one."""
MADE: Final = sorted(set(HANDLERS) - NOT_HERE)
ZIP_BYTES_MAX: Final = 8 * 1024 * 1024
WITHOUT_STRIPE: Final = ("ReadQuotaFunction", "DebitQuotaFunction", "AuthorizeFunction")
"""What the seller's calls wait for. Importing stripe costs more than all the rest of a cold start.
"""
PROGRAM: Final = """
import importlib, json, sys
sys.path.insert(0, {folder!r})
handler = importlib.import_module({module!r}).handler
said = handler(json.loads(sys.stdin.read()), None) if {called!r} else {{}}
has_stripe = "stripe" in sys.modules
print(json.dumps(
    {{"callable": callable(handler), "stripe": has_stripe, "path": sys.path, "said": said}}
))
"""


def _loaded(stand: Stand, function: str, event: dict[str, Any] | None = None) -> dict[str, Any]:
    """Load a handler in an interpreter that has its artifact, its environment in the stack and
    nothing else; call it with an event.
    """
    told = stand.boto("lambda").get_function_configuration(FunctionName=stand.resources()[function])
    environment = {
        **told["Environment"]["Variables"],
        "AWS_REGION": stand.facts["aws_region"],
        "AWS_DEFAULT_REGION": stand.facts["aws_region"],
        "AWS_ENDPOINT_URL": stand.facts["aws_endpoint_url"],
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    folder = BUILD / function
    program = PROGRAM.format(
        folder=str(folder),
        module=told["Handler"].removesuffix(".handler"),
        called=event is not None,
    )
    clean = [sys.executable, "-I", "-S", "-B", "-c", program]
    done = subprocess.run(
        clean,
        cwd=folder,
        env=environment,
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _event(function: str, user: str) -> dict[str, Any]:
    """A call as API Gateway delivers it, payload format 2.0."""
    routes = {
        "ReadQuotaFunction": ("GET", "/api/v1/quota", {}),
        "DebitQuotaFunction": ("POST", "/api/v1/quota/debits", {"user_id": user, "units": 1}),
        "AuthorizeFunction": ("GET", "/hello", {}),
    }
    method, path, body = routes[function]
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", "x-api-key": "tk_local_nobody"},
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "127.0.0.1"},
            "domainName": "api.example.com",
            "requestId": "request-1",
            "authorizer": {
                "jwt": {"claims": {"sub": user, "scope": "quota.write"}, "scopes": ["quota.write"]}
            },
        },
        "body": json.dumps(body) if body else None,
        "isBase64Encoded": False,
    }


def test_the_stack_has_every_function_of_the_template(stand: Stand) -> None:
    """Each with its own role; and the template was read whole."""
    resources = stand.resources()
    functions = {name for name in resources if name.endswith("Function")}
    assert functions == set(MADE)
    lambdas = stand.boto("lambda")
    told = [lambdas.get_function_configuration(FunctionName=resources[name]) for name in MADE]
    assert [found["Handler"] for found in told] == [f"{HANDLERS[name]}.handler" for name in MADE]
    assert len({found["Role"] for found in told}) == len(MADE)


@pytest.mark.parametrize("function", MADE)
def test_a_handler_loads_from_its_artifact_alone(stand: Stand, function: str) -> None:
    """With the environment that the stack gives it, and no package of this machine."""
    found = _loaded(stand, function)
    assert found["callable"]
    assert not [place for place in found["path"] if "site-packages" in place]


@pytest.mark.parametrize("function", WITHOUT_STRIPE)
def test_spending_never_loads_stripe(stand: Stand, function: str) -> None:
    """Neither when the handler is imported nor while it answers."""
    found = _loaded(stand, function, _event(function, "nobody-of-the-deploy-test"))
    said = found["said"]
    expected = {"ReadQuotaFunction": 200, "DebitQuotaFunction": 402, "AuthorizeFunction": None}
    assert said.get("statusCode") == expected[function], said
    assert said.get("isAuthorized", False) is False
    assert not found["stripe"]


def test_the_checkout_does_load_stripe(stand: Stand) -> None:
    """The check above can see it: creating a checkout loads Stripe's library from the artifact."""
    assert _loaded(stand, "WebhookFunction")["stripe"]


@pytest.mark.usefixtures("stand")
@pytest.mark.parametrize("function", sorted(HANDLERS))
def test_an_artifact_holds_no_native_code(function: str) -> None:
    """So that it runs on arm64 and x86_64, and on every Python that the template admits."""
    names = [str(path.relative_to(BUILD / function)) for path in (BUILD / function).rglob("*")]
    assert f"{HANDLERS[function].replace('.', '/')}.py" in names
    assert not [name for name in names if name.endswith((".so", ".pyd", ".dylib", ".dll"))]


@pytest.mark.usefixtures("stand")
def test_the_archive_is_small() -> None:
    assert 1024 * 1024 < (BUILD / ARCHIVE).stat().st_size <= ZIP_BYTES_MAX
