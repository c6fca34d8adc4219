import pytest
from billing.errors import SettingsError
from billing.settings import Settings
from functional.template import Template
from support.builders import STACK


def _settings(**variables: str) -> Settings:
    template = Template(
        STACK, "us-east-1", Stage="local", JwtIssuer="http://127.0.0.1:9", JwtAudience="topup"
    )
    return Settings.from_environment({**template.environment(), **variables})


@pytest.mark.parametrize(
    ("text", "units"), [("1", 1), ("5", 5), (" 20 ", 20), ("1000000000", 10**9)]
)
def test_a_call_may_cost_from_one_unit_to_a_thousand_million(text: str, units: int) -> None:
    """As the template's parameter says; one where it says nothing."""
    assert _settings(AUTHORIZE_UNITS=text).authorize_units == units
    assert _settings().authorize_units == 1


@pytest.mark.parametrize(
    "text",
    ["-5", "0", "", " ", "1.0", "1e3", "five", "+5", "1_000", "\u0665", "1000000001", "9" * 5000],
)
def test_units_that_no_call_can_cost_stop_the_container(text: str) -> None:
    """A negative number would add units with every call, and zero would serve them free."""
    with pytest.raises(
        SettingsError, match=r"AUTHORIZE_UNITS is .*, expected a whole number from 1 to 1000000000"
    ):
        _settings(AUTHORIZE_UNITS=text)


def test_every_fault_of_the_environment_is_named_together() -> None:
    """An operator can fix them in one go."""
    with pytest.raises(SettingsError, match=r"STAGE is missing or blank; AUTHORIZE_UNITS is '0'"):
        _settings(STAGE="", AUTHORIZE_UNITS="0")
