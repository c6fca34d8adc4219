"""Every call to AWS that a test makes, held against botocore's model before it is sent.

The functions' client for DynamoDB has botocore's validation switched off, for speed.
A wrong parameter is an AssertionError here, which no code of ours catches: botocore's own error is
one of those that are retried.
"""

from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

EVENT = "before-parameter-build.*.*"
"""https://docs.aws.amazon.com/boto3/latest/guide/events.html"""


def validate_every_call() -> None:
    """Of every client that is made from now on with its own validation switched off."""
    if getattr(botocore.session.Session.create_client, "is_validated", False):
        return
    plain = botocore.session.Session.create_client

    def create(self: Any, *words: Any, **named: Any) -> Any:
        client = plain(self, *words, **named)
        given = named.get("config")  # a client does not keep this setting
        if given and not given.parameter_validation:
            client.meta.events.register_last(EVENT, _validate)
        return client

    create.is_validated = True  # type: ignore[attr-defined]
    botocore.session.Session.create_client = create


@cache
def _validator() -> Any:
    return ParamValidator()


def _validate(params: dict[str, Any], model: Any, **_: Any) -> None:
    report = _validator().validate(params, model.input_shape)
    assert not report.has_errors(), f"{model.name}: {report.generate_report()}"
