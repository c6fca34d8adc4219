"""The API's access log says who was refused and why, in lines that are JSON whatever stands in
them.
"""

import json
import re
from typing import Final

import pytest
from repo.transformed import made

BYTES_MAX: Final = 3 * 1024
"""https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html"""
KNOWN: Final = {
    *(
        "requestId",
        "routeKey",
        "status",
        "responseLatency",
        "error.responseType",
        "error.message",
        "authorizer.error",
    ),
    *("integration.error", "integration.status", "integrationErrorMessage"),
}
"""Of those that an HTTP API knows; it refuses a REST API's.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
"""
VARIABLE: Final = re.compile(r"\$context\.([A-Za-z.]+)")


def _format() -> str:
    settings = made("AWS::ApiGatewayV2::Stage")["HttpApiApiGatewayDefaultStage"][
        "AccessLogSettings"
    ]
    return str(settings["Format"])


def test_it_names_what_an_http_api_knows_in_one_line() -> None:
    """API Gateway refuses a stage with any other."""
    assert set(VARIABLE.findall(_format())) <= KNOWN
    assert "\n" not in _format()
    assert len(_format().encode()) <= BYTES_MAX


def test_it_says_why_a_token_was_refused_and_what_became_of_the_function() -> None:
    """The authorizer's word, API Gateway's own, and the integration's."""
    assert set(VARIABLE.findall(_format())) >= {
        "authorizer.error",
        "error.message",
        "error.responseType",
        "integration.error",
    }


@pytest.mark.parametrize("value", ["-", "200", 'no "kid" here', "back\\slash", "Ungültig\n"])
def test_a_line_is_json_whatever_it_contains(value: str) -> None:
    """Each value between quotes, as API Gateway escapes it there; where there is none it writes a
    dash.
    """
    escaped = json.dumps(value)[1:-1].replace("\\", "\\\\")
    line = json.loads(VARIABLE.sub(escaped, _format()))
    assert set(line.values()) == {value}
