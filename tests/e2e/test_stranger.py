"""A stranger's way from the README to a stack of their own, with every question answered by Enter,
on the embedded AWS.

It is a second stack beside the stand's, in one account. What that AWS does not do is named where it
is done by hand.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlparse

import httpx
import pytest
from botocore.exceptions import ClientError
from functional.template import Template
from support import authorization
from support.stand import API, Stand

from infra.build.artifact import RUNTIME, build
from infra.deploy import commands
from infra.deploy.stage import Stage
from infra.local import deploy
from infra.local.paths import REGION, ROOT

STACK: Final = "Topup-AWS-Shop"
"""Upper case, and a word that Cognito keeps for itself: neither may stand in a sign-in address."""
PASSWORD: Final = "Correct-horse-1"
VERIFIER: Final = "stranger" * 8
NOT_HERE: Final = frozenset({"webhook", "endpoint"})
"""What the doctor finds wrong on the embedded AWS: the addresses that AWS gives are in no DNS
here."""
UNKNOWN_HERE: Final = {"SignInStyle": "own"}
"""The embedded AWS fails a stack with an AWS::Cognito::ManagedLoginBranding."""
ANSWERS: Final = 8
"""More Enters than there are questions."""


@dataclass
class Shop:
    """The stranger's stack, and those who call it."""

    stand: Stand
    stage: Stage
    said: str = ""

    def deploy(self) -> int:
        """`make deploy`, without the build.

        MiniStack ignores an HTTP API's OpenAPI body, TTL and point-in-time recovery: said by API.
        """
        typed = iter([""] * ANSWERS)
        code = commands.deploy(
            self.stage, ask=not self.stage.file.exists(), yes=True, answers=lambda _: next(typed)
        )
        self.stage = Stage.read(self.stage.name, folder=self.stage.folder)
        deploy.make_routes(self.stand.paths(), STACK, self.resources, self.authorizer())
        return code

    @property
    def resources(self) -> dict[str, str]:
        """Physical names by logical id."""
        rows = self.stand.boto("cloudformation").describe_stack_resources(StackName=STACK)[
            "StackResources"
        ]
        return {row["LogicalResourceId"]: row["PhysicalResourceId"] for row in rows}

    @property
    def outputs(self) -> dict[str, str]:
        """The output that the stranger reads."""
        (stack,) = self.stand.boto("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return {row["OutputKey"]: row["OutputValue"] for row in stack["Outputs"]}

    @property
    def sign_in_url(self) -> str:
        """Where Cognito sends customers back to."""
        return f"https://{self.resources['SignInApi']}.execute-api.{REGION}.amazonaws.com/"

    def authorizer(self) -> dict[str, Any]:
        """As the template has it, with its expressions worked out."""
        template = Template(STACK, REGION, **self.stage.parameters)
        for logical, physical in self.resources.items():
            template.name(logical, physical)
        jwt = template.resources["HttpApi"]["Properties"]["Auth"]["Authorizers"]["Jwt"][
            "JwtConfiguration"
        ]
        return {
            "Issuer": template.resolve(jwt["issuer"]),
            "Audience": [template.resolve(value) for value in jwt["audience"]],
        }

    def call(self, method: str, path: str, token: str, body: object = None) -> httpx.Response:
        """One call of the stack's API."""
        aws, api = self.stand.facts["aws_endpoint_url"], self.resources["HttpApi"]
        url = f"{aws}/_aws/execute-api/{api}/$default{API}{path}"
        return self.stand.http.request(
            method, url, headers={"authorization": f"Bearer {token}"}, json=body
        )

    def cognito(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """One call of the pool's own addresses, which are all at one place here."""
        return self.stand.http.request(
            method, f"{self.stand.facts['aws_endpoint_url']}{path}", follow_redirects=False, **sent
        )

    def service_token(self, scope: str = "topup/quota.write") -> httpx.Response:
        """As the README says: the client's secret is read by its id, and exchanged."""
        asked = {
            "UserPoolId": self.outputs["UserPoolId"],
            "ClientId": self.outputs["ServiceClientId"],
        }
        secret = self.stand.boto("cognito-idp").describe_user_pool_client(**asked)[
            "UserPoolClient"
        ]["ClientSecret"]
        form = {"grant_type": "client_credentials", "scope": scope}
        return self.cognito(
            "POST",
            urlparse(self.outputs["TokenUrl"]).path,
            data=form,
            auth=(asked["ClientId"], secret),
        )

    def sign_in(self, email: str) -> str:
        """A customer on the pool's sign-in page, as functions/site/signin.js sends them there.

        Returns an access token.
        """
        (back,) = self.sent_back_to()
        asked = authorization.request(self.resources["UserPoolClient"], back, VERIFIER, "s")
        assert self.cognito("GET", "/oauth2/authorize", params=asked).status_code == 200
        answer = self.cognito(
            "POST", "/login", data={**asked, "username": email, "password": PASSWORD}
        )
        assert answer.headers["location"].startswith(back), answer.text
        code = self.on_to_the_page(answer.headers["location"])["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": VERIFIER,
        }
        got = self.cognito("POST", "/oauth2/token", data={**form, "client_id": asked["client_id"]})
        return str(got.json()["access_token"])

    def on_to_the_page(self, address: str) -> dict[str, list[str]]:
        """What arrives at the page of those whom Cognito has sent to ``address``: there it is the
        sign-in API, in no DNS here.
        """
        aws, sign_in = self.stand.facts["aws_endpoint_url"], self.resources["SignInApi"]
        api = f"{aws}/_aws/execute-api/{sign_in}/$default/"
        answer = self.stand.http.get(f"{api}?{urlparse(address).query}", follow_redirects=False)
        page, _, query = answer.headers["location"].partition("?")
        assert (answer.status_code, page) == (302, f"{self.outputs['ApiUrl']}/")
        return parse_qs(query)

    def sent_back_to(self) -> list[str]:
        """Where Cognito lets customers go after signing in."""
        asked = {
            "UserPoolId": self.resources["UserPool"],
            "ClientId": self.resources["UserPoolClient"],
        }
        client = self.stand.boto("cognito-idp").describe_user_pool_client(**asked)["UserPoolClient"]
        return list(client["CallbackURLs"])

    def enrol(self, email: str) -> str:
        """A customer who has signed up. Returns the `sub`."""
        pool = {"UserPoolId": self.resources["UserPool"], "Username": email}
        client = self.stand.boto("cognito-idp")
        client.admin_create_user(
            **pool, MessageAction="SUPPRESS", UserAttributes=[{"Name": "email", "Value": email}]
        )
        client.admin_set_user_password(**pool, Password=PASSWORD, Permanent=True)
        rows = client.admin_get_user(**pool)["UserAttributes"]
        return next(str(row["Value"]) for row in rows if row["Name"] == "sub")

    def topup(self, *words: str) -> Any:
        """What the command printed as JSON."""
        command = [
            sys.executable,
            "-m",
            "infra.cli",
            *words,
            "--json",
            "--stack",
            STACK,
            *self.stage.where(),
        ]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shop(stand: Stand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A shell that is signed in to the embedded AWS and has Stripe's key; and the stack that `make
    deploy` made there.
    """
    folder = tmp_path_factory.mktemp("stranger")
    with pytest.MonkeyPatch.context() as shell:
        for name, value in stand.paths().environment().items():
            shell.setenv(name, value)
        shell.setenv("STRIPE_API_KEY", stand.facts["stripe_secret_key"])
        shell.setenv("TOPUP_STATE_DIR", str(folder))
        shell.setenv("TOPUP_TOOLS_DIR", str(ROOT / ".local" / "venvs"))
        build(stand.paths())
        machine = {
            "Runtime": RUNTIME,
            "Architecture": "x86_64",
            "StripeApiBase": stand.facts["stripe_api_base"],
            **UNKNOWN_HERE,
        }
        found = Shop(
            stand,
            Stage("shop", STACK, parameters={"Stage": "dev", **machine}, folder=folder / ".topup"),
        )
        found.deploy()
        yield found
        for row in stand.stripe.v1.webhook_endpoints.list({"limit": 100}).data:
            if row.metadata.to_dict().get("topup_stack") == STACK:
                stand.stripe.v1.webhook_endpoints.delete(row.id)
        commands.uninstall(found.stage, os.environ, yes=True)


def test_with_enter_alone_a_deployment_ends_with_nothing_wrong_that_is_not_the_emulators(
    shop: Shop,
) -> None:
    """The doctor of a first deployment: what AWS does, and this AWS does not,
    is all that it finds.
    """
    report = shop.topup("doctor")
    wrong = {
        row["check"]: row for row in report["findings"] if row["level"] in ("wrong", "unknown")
    }
    tables = {name for name in wrong if name.startswith("table ")}
    assert set(wrong) - tables - NOT_HERE == set(), report
    assert all(
        "point in time" in wrong[name]["what"] or "grows" in wrong[name]["what"] for name in tables
    )
    notes = {row["check"]: row["what"] for row in report["findings"] if row["level"] == "note"}
    assert "never compared" in notes["reconciliation"]
    assert "no operator is notified" in notes["alarms"]


def test_answers_are_kept_and_one_deployment_made_the_way_back_from_signing_in(shop: Shop) -> None:
    """The operator was not asked for an address that only AWS could know, and nothing was deployed
    twice.
    """
    kept = Stage.read("shop", folder=shop.stage.folder)
    assert kept.region == REGION
    assert "SiteUrl" not in kept.parameters
    assert shop.sent_back_to() == [shop.sign_in_url]
    page = shop.stand.boto("lambda").get_function_configuration(
        FunctionName=shop.resources["ServeSiteFunction"]
    )
    assert page["Environment"]["Variables"]["SIGN_IN_RETURN_URL"] == shop.sign_in_url
    updates = shop.stand.boto("cloudformation").describe_stack_events(StackName=STACK)[
        "StackEvents"
    ]
    done = [
        row["ResourceStatus"]
        for row in updates
        if row["ResourceType"] == "AWS::CloudFormation::Stack"
    ]
    assert not [status for status in done if "UPDATE" in status], done


def test_the_stack_says_what_comes_next(shop: Shop) -> None:
    """To those who typed `sam deploy` and have read nothing."""
    assert f"topup connect --stack {STACK} --region {REGION}" in shop.outputs["NextStep"]


def test_customers_come_back_from_signing_out_too(shop: Shop) -> None:
    assert shop.on_to_the_page(shop.sign_in_url) == {}


def test_a_sign_in_address_is_lower_case_whatever_the_stack_is_called(shop: Shop) -> None:
    """And has none of the words that Cognito keeps:
    https://docs.aws.amazon.com/cognito/latest/developerguide/.
    """
    domain = shop.resources["UserPoolDomain"]
    assert domain == domain.lower()
    assert "aws" not in domain
    assert len(domain) <= 63
    assert (
        f"https://{domain}.auth.{REGION}.amazoncognito.com/oauth2/token" == shop.outputs["TokenUrl"]
    )


def test_a_backend_gets_a_token_and_spends(shop: Shop) -> None:
    """Through the authorizer, with a token that names a client and no audience; and only with the
    scope.
    """
    alice = shop.enrol("spender@example.com")
    assert shop.topup("grant", alice, "10", "--reason", "a gift", "--yes")["units"] == 10
    got = shop.service_token()
    assert got.status_code == 200, got.text
    answer = shop.call(
        "POST", "/quota/debits", got.json()["access_token"], {"user_id": alice, "units": 3}
    )
    assert (answer.status_code, answer.json()["remaining"]) == (200, 7)
    assert shop.service_token("openid").status_code == 400


def test_a_customer_signs_in_sees_their_quota_and_cannot_spend(shop: Shop) -> None:
    """On the pool's own page, with the scopes and the address that ours asks with."""
    bob = shop.enrol("customer@example.com")
    token = shop.sign_in("customer@example.com")
    seen = shop.call("GET", "/quota", token)
    assert (seen.status_code, seen.json()["user_id"]) == (200, bob)
    assert (
        shop.call("POST", "/quota/debits", token, {"user_id": bob, "units": 1}).status_code == 403
    )
    assert shop.call("GET", "/quota", f"{token[:-4]}AAAA").status_code == 401


def test_the_other_stage_in_the_account_is_not_touched(shop: Shop) -> None:
    """Two stacks of one template, side by side: no name in common, and both work."""
    mine, theirs = set(shop.resources.values()), set(shop.stand.resources().values())
    assert mine & theirs == {"$default"}, "that is a stage of the API, within it"
    shop.stand.purchase("beside-a-stranger")
    assert shop.stand.quota("beside-a-stranger")["remaining"] == 100


def test_deploying_again_asks_nothing_and_changes_nothing(shop: Shop) -> None:
    """The stage's file has all answers, and Stripe has its endpoint."""
    before, hooks = shop.resources, len(shop.stand.stripe.v1.webhook_endpoints.list().data)
    shop.deploy()
    assert shop.resources == before
    assert shop.sent_back_to() == [shop.sign_in_url]
    assert len(shop.stand.stripe.v1.webhook_endpoints.list().data) == hooks


def test_who_leaves_and_comes_back_has_their_books_and_users_again(
    shop: Shop, capfd: pytest.CaptureFixture[str]
) -> None:
    """A balance belongs to a `sub`, which only the same pool gives again."""
    carol = shop.enrol("loyal@example.com")
    shop.topup("grant", carol, "42", "--reason", "a gift", "--yes")
    before = {
        name: physical
        for name, physical in shop.resources.items()
        if name.endswith("Table") or name == "UserPool"
    }
    assert commands.uninstall(shop.stage, os.environ, yes=True) == 0
    said = capfd.readouterr().out
    assert all(name in said for name in before.values())
    with pytest.raises(ClientError, match="does not exist"):
        shop.stand.boto("cloudformation").describe_stacks(StackName=STACK)
    shop.deploy()
    assert {name: shop.resources[name] for name in before} == before
    assert shop.call("GET", "/quota", shop.sign_in("loyal@example.com")).json()["remaining"] == 42
    assert not list(shop.stage.folder.glob("kept-*"))


def test_an_issuer_without_an_audience_is_refused_before_anything_is_made(
    shop: Shop, tmp_path: Path
) -> None:
    told = {**shop.stage.parameters, "JwtIssuer": "https://sign-in.example.com"}
    stage = Stage("refused", "topup-refused", REGION, parameters=told, folder=tmp_path)
    stage.keep()
    assert commands.deploy(stage, yes=True) != 0
    with pytest.raises(ClientError, match="does not exist"):
        shop.stand.boto("cloudformation").describe_stacks(StackName="topup-refused")
