"""The Cognito pool as it has to be from its first day on, and the way back from signing in."""

import json
from typing import Any, Final

import pytest
from repo.conditions import Conditions
from repo.declared import parameters, template
from repo.transformed import transformed

from infra.deploy import choices, questions

SIGN_IN: Final = {"Fn::Sub": "https://${SignInApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}/"}
DOMAIN: Final = {
    "DomainName": "topup.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
}
FIREWALL: Final = {"WebAclArn": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1"}
ISSUER: Final = {"JwtIssuer": "https://sign-in.example.com", "JwtAudience": "api"}
SIGN_IN_PARTS: Final = {
    *("SignInApi", "SignInStage", "SignInIntegration", "SignInRoute", "SignInPermission"),
    *("ReturnFromSignInFunction", "ReturnFromSignInFunctionRole"),
}


@pytest.fixture(scope="module")
def whole() -> Conditions:
    """template.yaml, with what SAM makes of it."""
    return Conditions(transformed())


@pytest.mark.parametrize("name", ["CallbackURLs", "LogoutURLs"])
@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, SIGN_IN),
        (FIREWALL, SIGN_IN),
        (DOMAIN, {"Fn::Sub": "https://${DomainName}/"}),
        ({"SiteUrl": "https://shop.example.com"}, {"Fn::Sub": "${SiteUrl}/"}),
        (DOMAIN | {"SiteUrl": "https://shop.example.com"}, {"Fn::Sub": "${SiteUrl}/"}),
    ],
)
def test_one_deployment_gives_cognito_the_return_address(
    whole: Conditions, name: str, values: dict[str, str], address: dict[str, str]
) -> None:
    """To the page where its address is known beforehand, else to an API that nothing has to be
    known for.
    """
    client = whole.template["Resources"]["UserPoolClient"]["Properties"]
    assert whole.settled(client[name], values) == [address]


@pytest.mark.parametrize(
    ("values", "is_made"),
    [
        ({}, True),
        (FIREWALL, True),
        (DOMAIN, False),
        ({"SiteUrl": "https://shop.example.com"}, False),
        (ISSUER, False),
    ],
)
def test_the_sign_in_api_exists_where_needed_and_the_page_knows_its_address(
    whole: Conditions, values: dict[str, str], *, is_made: bool
) -> None:
    """The page names the same address to Cognito, which compares the two letter by letter (RFC
    6749, 3.1.2.3).
    """
    assert whole.resources(values) & SIGN_IN_PARTS == (SIGN_IN_PARTS if is_made else set())
    told = whole.template["Resources"]["ServeSiteFunction"]["Properties"]["Environment"][
        "Variables"
    ]["SIGN_IN_RETURN_URL"]
    assert whole.settled(told, values) == (SIGN_IN if is_made else "")


@pytest.mark.parametrize(
    ("values", "address"),
    [
        ({}, "${HttpApi}.execute-api.${AWS::Region}.${AWS::URLSuffix}"),
        (FIREWALL, "${Distribution.DomainName}"),
    ],
)
def test_the_sign_in_api_leads_to_the_page(
    whole: Conditions, values: dict[str, str], address: str
) -> None:
    """Where the output ApiUrl says that it is."""
    page = whole.template["Resources"]["ReturnFromSignInFunction"]["Properties"]["Environment"][
        "Variables"
    ]["PAGE_URL"]
    assert whole.settled(page, values) == {"Fn::Sub": f"https://{address}"}
    assert whole.settled(whole.template["Outputs"]["ApiUrl"]["Value"], values) == {
        "Fn::Sub": f"https://{address}"
    }


def test_no_resource_waits_for_itself() -> None:
    """CloudFormation refuses a circle: the API names the client, the client the way back, and that
    one nothing.
    """
    resources = transformed()["Resources"]
    needs = {name: _named_in(row, set(resources)) - {name} for name, row in resources.items()}
    while ready := {name for name, others in needs.items() if not others}:
        needs = {name: others - ready for name, others in needs.items() if name not in ready}
    assert needs == {}
    assert "UserPoolClient" in _named_in(resources["HttpApi"], set(resources)), (
        "what this looks for is there"
    )


def _named_in(row: Any, known: set[str]) -> set[str]:
    text = json.dumps(row)
    return {
        name
        for name in known
        if f'"{name}"' in text
        or f"${{{name}}}" in text
        or f"${{{name}." in text
        or f'"{name}.' in text
    }


def test_the_stack_says_what_remains_to_be_done() -> None:
    """In an output that is always there, and comes first."""
    name, row = next(iter(template()["Outputs"].items()))
    assert name == "NextStep"
    assert "Condition" not in row
    assert "topup connect --stack ${AWS::StackName} --region ${AWS::Region}" in row["Value"]["Sub"]


def test_the_pages_address_means_the_same_in_the_question_and_in_the_template() -> None:
    """An origin: what one takes, the other does not refuse."""
    (question,) = (question for question in questions.QUESTIONS if question.parameter == "SiteUrl")
    assert parameters()["SiteUrl"]["AllowedPattern"] == question.pattern


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        ({}, {}),
        ({"Id": "eu_1"}, {"CaseSensitiveUserNames": "true"}),
        (
            {"Id": "eu_1", "UsernameConfiguration": {"CaseSensitive": True}},
            {"CaseSensitiveUserNames": "true"},
        ),
        ({"Id": "eu_1", "UsernameConfiguration": {"CaseSensitive": False}}, {}),
    ],
)
def test_a_pool_that_was_made_with_case_keeps_it(
    pool: dict[str, Any], told: dict[str, str]
) -> None:
    """Also one that an earlier version made, or that was taken back.

    Cognito would refuse the whole update.
    """
    assert choices.user_names({}, pool)[0] == told
    assert choices.user_names({"CaseSensitiveUserNames": "false"}, pool)[0] == {}


def test_a_user_name_has_no_case_and_mail_goes_by_ses_where_it_is_named() -> None:
    """A pool of version 1 was made without the first, and Cognito refuses any update that brings
    it.
    """
    pool = template()["Resources"]["UserPool"]["Properties"]
    assert pool["UsernameConfiguration"] == {
        "If": ["KeepsCase", {"Ref": "AWS::NoValue"}, {"CaseSensitive": False}]
    }
    assert parameters()["CaseSensitiveUserNames"]["Default"] == "false"
    by_ses = {
        "EmailSendingAccount": "DEVELOPER",
        "SourceArn": {"Ref": "SesIdentityArn"},
        "From": {"Ref": "SesFrom"},
    }
    assert pool["EmailConfiguration"] == {
        "If": ["SendsBySes", by_ses, {"EmailSendingAccount": "COGNITO_DEFAULT"}]
    }
    assert pool["UsernameAttributes"] == ["email"]


def test_the_sign_in_pages_know_prompt_none() -> None:
    """Managed login (2), which shows nothing for a client without a style, and which the cheapest
    plan does not have.

    https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-managed-login.html
    """
    resources = template()["Resources"]
    assert resources["UserPoolDomain"]["Properties"]["ManagedLoginVersion"] == 2
    assert resources["UserPool"]["Properties"]["UserPoolTier"] in ("ESSENTIALS", "PLUS")
    style = resources["UserPoolBranding"]["Properties"]
    assert (style["ClientId"], style["UseCognitoProvidedValues"]) == (
        {"Ref": "UserPoolClient"},
        True,
    )
