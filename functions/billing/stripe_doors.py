"""The doors that need Stripe's secrets, built where they are needed only: reading a quota must not pay for importing them."""

from functools import cache

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from billing.checkout import Shop
from billing.errors import OutcomeUnknownError, SettingsError
from billing.gateway import Gateway
from billing.runtime import patience, settings
from billing.signatures import usable_secrets

SECRET_AGE_SECONDS_MAX = 300
CLIENT = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2, "mode": "standard"})


@cache
def _provider() -> SecretsProvider:
    return SecretsProvider(boto_config=CLIENT)


def _secret(name: str, *, fresh: bool) -> str:
    """Cached for at most five minutes; ``fresh`` reads anew, after a roll."""
    try:
        value = _provider().get(name, max_age=SECRET_AGE_SECONDS_MAX, force_fetch=fresh)
    except (BotoCoreError, ClientError) as error:
        message = f"the secret {name} cannot be read"
        raise OutcomeUnknownError(message) from error
    return str(value or "")


def webhook_secrets(fresh: bool) -> tuple[str, ...]:  # noqa: FBT001 - the signature's own protocol
    """The endpoint's signing secrets; several while one is being rolled. Raises SettingsError rather than work with none."""
    try:
        return usable_secrets(_secret(settings().webhook_secrets_secret, fresh=fresh))
    except ValueError as error:
        raise SettingsError(str(error)) from error


def _stripe_key(fresh: bool) -> str:  # noqa: FBT001 - the gateway's own protocol
    if key := _secret(settings().stripe_key_secret, fresh=fresh).strip():
        return key
    message = "the secret with Stripe's key is blank"
    raise SettingsError(message)


@cache
def gateway() -> Gateway:
    """Stripe's API."""
    return Gateway(_stripe_key, settings().stripe_api_base, patience())


def shop(site_url: str) -> Shop:
    """What the template says about checkouts."""
    say = settings()
    return Shop(site_url, say.stack_name, say.allow_promotion_codes, say.automatic_tax, say.invoice_creation)
