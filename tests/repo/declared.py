"""What the repository declares and its pages must name: parameters, variables, alarms, targets.

Read from the files themselves.
"""

import copy
import json
import re
from functools import cache
from typing import Any, Final

import yaml

from infra.local.paths import PORT_VARIABLES, ROOT

TEMPLATE: Final = ROOT / "template.yaml"


class Loader(yaml.CSafeLoader):
    """Reads CloudFormation's short forms as plain values."""


def _short(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.ScalarNode):
        return {suffix: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {suffix: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {suffix: loader.construct_mapping(node, deep=True)}


Loader.add_multi_constructor("!", _short)


def template() -> dict[str, Any]:
    """template.yaml, its intrinsic functions as ``{"Ref": ...}``. The caller's own."""
    return copy.deepcopy(_template())


@cache
def _template() -> dict[str, Any]:
    """Reading it takes half a second."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(), Loader=Loader)  # a safe loader
    return found


def parameters() -> dict[str, dict[str, Any]]:
    """By name."""
    found: dict[str, dict[str, Any]] = template()["Parameters"]
    return found


def variables() -> dict[str, str]:
    """The functions' environment: name, and where its value comes from."""
    rows = template()["Globals"]["Function"]["Environment"]["Variables"]
    return {
        name: f"`{value}`" if isinstance(value, str) else f"from `{next(iter(value.values()))}`"
        for name, value in rows.items()
    }


def functions() -> dict[str, dict[str, Any]]:
    """Properties by logical id."""
    rows = template()["Resources"].items()
    return {
        name: row["Properties"] for name, row in rows if row["Type"] == "AWS::Serverless::Function"
    }


def alarms() -> dict[str, dict[str, Any]]:
    """Properties by name without ``Alarm``."""
    rows = template()["Resources"].items()
    return {
        name.removesuffix("Alarm"): row["Properties"]
        for name, row in rows
        if row["Type"] == "AWS::CloudWatch::Alarm"
    }


def dashboard(properties: dict[str, Any]) -> dict[str, Any]:
    """The dashboard's body with every part that a condition adds, from its long form."""
    text, parts = properties["DashboardBody"]["Fn::Sub"]
    for name, part in parts.items():
        _, added, _ = part["Fn::If"]
        text = text.replace(f"${{{name}}}", added["Fn::Sub"])
    found: dict[str, Any] = json.loads(text)
    return found


def make_targets() -> dict[str, str]:
    """Each target with its line of help."""
    return dict(re.findall(r"^([a-z]+):.*?## (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def stand_variables() -> dict[str, str]:
    """What chooses the stand's ports and folders, and what tests and examples read."""
    ports = {
        variable: f"the port of: {what}; {port} by default"
        for what, (variable, port) in PORT_VARIABLES.items()
    }
    return {
        **ports,
        "TOPUP_STATE_DIR": "where a local stack keeps its data; `.local` by default",
        "TOPUP_TOOLS_DIR": (
            "where the tools of a local stack are installed; `.local/venvs` by default"
        ),
        "TOPUP_IDLE_SECONDS": (
            "how long an idle function of a local stack keeps its process; 60 by default"
        ),
        "TOPUP_PERSIST": (
            "0: the embedded AWS of a local stack forgets everything when it stops; 1 by default"
        ),
        "TOPUP_CATALOGUE": "a file with another catalogue, which `make up` and `make dev` serve",
        "TOPUP_CHAOS_SECONDS": "how long the tests on the wire go on; `make chaos` sets it to 600",
        "TOPUP_CHAOS_SEED": (
            "what their faults are drawn from, printed by a run that fails; 1 by default"
        ),
        "TOPUP_URL": "where the example of `client/` finds Topup",
        "TOPUP_TOKEN": "with it: a token with the scope `quota.write`",
        "TOPUP_EVENT_SECRETS": "the secrets with which `client/examples/` verifies events",
        "TOPUP_STACK": "the stack that `topup` works on, instead of `--stack`",
        "STRIPE_SECRET_KEY": "Stripe's own test mode instead of the simulator",
        "STRIPE_WEBHOOK_SECRET": "with it: what `stripe listen --print-secret` prints",
    }
