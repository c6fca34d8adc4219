"""Secrets that cannot be read or used: what is told, and what works once they are mended."""

from typing import Any, Final

import pytest
from billing.errors import AwsRefusedError, OutcomeUnknownError, SettingsError
from billing.wiring import secrets
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError
from functional.lab import REGION, SITE, forget
from functional.template import Template
from support.builders import STACK

ENDPOINT: Final = "https://secretsmanager.invalid"


class Keeper:
    """Secrets Manager: answers with what stands in ``texts``, or with ``error``."""

    def __init__(self) -> None:
        """Both secrets are as they should be."""
        self.seconds = 1000.0
        self.texts: dict[str, str | None] = {}
        self.error: Exception | None = None
        self.asked: list[str] = []
        self.made_with: list[tuple[Any, Any]] = []

    def create_client(self, *name: Any, **how: Any) -> "Keeper":
        """As botocore's session does."""
        self.made_with.append((name, how))
        return self

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:  # noqa: N803 - AWS's spelling
        """See AWS."""
        self.asked.append(SecretId)
        if self.error:
            raise self.error
        kind = "webhook" if "ebhook" in SecretId else "key"
        text = self.texts.get(kind, {"webhook": '{"secrets": ["whsec_1"]}', "key": "sk_1"}[kind])
        return {} if text is None else {"SecretString": text}


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A container that has just begun."""
    keeper = Keeper()
    template = Template(
        STACK, REGION, Stage="local", SiteUrl=SITE, JwtIssuer="http://127.0.0.1:9", JwtAudience="t"
    )
    for name, value in template.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("botocore.session.get_session", lambda: keeper)
    monkeypatch.setattr(secrets, "monotonic", lambda: keeper.seconds)
    forget(clients=True)
    yield keeper
    forget(clients=True)


def test_the_client_gives_up_after_two_tries_of_a_second_each(keeper: Keeper) -> None:
    """A delivery may read its secret twice before it is settled."""
    secrets.stripe_key(fresh=False)
    ((name, how),) = keeper.made_with
    assert name == ("secretsmanager",)
    config = how["config"]
    assert (config.connect_timeout, config.read_timeout) == (1, 1)
    assert config.retries == {"total_max_attempts": 2, "mode": "standard"}


def test_a_secret_is_read_without_blanks_around_it(keeper: Keeper) -> None:
    keeper.texts["key"] = " sk_test_1\n"
    assert secrets.stripe_key(fresh=False) == "sk_test_1"


@pytest.mark.parametrize("text", ["", " \n", None])
def test_a_blank_key_is_forgotten_so_that_a_mended_one_works_at_once(
    keeper: Keeper, text: str | None
) -> None:
    keeper.texts["key"] = text
    for _ in range(2):
        with pytest.raises(SettingsError, match=r"^the secret with Stripe's key is blank$"):
            secrets.stripe_key(fresh=False)
    keeper.texts["key"] = "sk_2"
    assert secrets.stripe_key(fresh=False) == "sk_2"
    assert len(keeper.asked) == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("whsec_1", 'the webhook secret must hold {"secrets": ["whsec_..."]}'),
        (
            '{"secrets": []}',
            "the webhook secret holds no secret, or a blank one: anyone could sign with it",
        ),
    ],
)
def test_an_unusable_signing_secret_is_forgotten_so_that_a_mended_one_works_at_once(
    keeper: Keeper, text: str, why: str
) -> None:
    keeper.texts["webhook"] = text
    for _ in range(2):
        with pytest.raises(SettingsError) as missing:
            secrets.webhook_secrets(fresh=False)
        assert str(missing.value) == why
    keeper.texts["webhook"] = '{"secrets": ["whsec_2"]}'
    assert secrets.webhook_secrets(fresh=False) == ("whsec_2",)
    assert len(keeper.asked) == 3


def _refusal(code: str, status: int = 400) -> ClientError:
    answer: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "GetSecretValue")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (_refusal("AccessDeniedException"), AwsRefusedError, "AccessDeniedException"),
        (_refusal("ThrottlingException"), OutcomeUnknownError, "ThrottlingException"),
        (_refusal("InternalServiceError", 500), OutcomeUnknownError, "InternalServiceError"),
        (NoCredentialsError(), OutcomeUnknownError, "NoCredentialsError"),
        (ConnectTimeoutError(endpoint_url=ENDPOINT), OutcomeUnknownError, "ConnectTimeoutError"),
    ],
)
def test_a_secret_that_aws_does_not_give_is_told_with_aws_code(
    keeper: Keeper, error: Exception, kind: type[Exception], code: str
) -> None:
    """What passes by itself is tried again, what does not is an operator's."""
    keeper.error = error
    with pytest.raises(kind) as trouble:
        secrets.stripe_key(fresh=False)
    (name,) = keeper.asked
    assert str(trouble.value) == f"the secret {name} cannot be read: {code}"
    assert trouble.value.__cause__ is error
    keeper.error = None
    assert secrets.stripe_key(fresh=False) == "sk_1"


@pytest.mark.parametrize(
    "read", [lambda: secrets.stripe_key(fresh=False), lambda: secrets.webhook_secrets(fresh=False)]
)
def test_a_fault_of_ours_comes_out_as_itself(keeper: Keeper, read: Any) -> None:
    keeper.error = KeyError("an internal error")
    with pytest.raises(KeyError):
        read()


def test_any_secret_is_read_by_its_name_and_cached(keeper: Keeper) -> None:
    assert [secrets.read_secret("the-key") for _ in range(30)] == ["sk_1"] * 30
    assert keeper.asked == ["the-key"]
