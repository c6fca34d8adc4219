"""A template as CloudFormation makes it: transformed by SAM's own translator, which the tools'
environment has.
"""

import atexit
import json
import re
import subprocess
from functools import cache
from typing import Any, Final

from repo.declared import TEMPLATE

from infra.local.paths import ROOT

LONGEST_STACK_NAME: Final = "s" * 128
"""https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html."""
UNKNOWN: Final = "x" * 64
"""What stands for the value of a reference: no id or ARN of the template's is shorter than what AWS
gives."""
PROGRAM: Final = """
import json, sys, yaml
yaml.SafeLoader = yaml.CSafeLoader
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
for line in sys.stdin:
    text, parameters = json.loads(line)
    template = yaml_parse(text)
    rows = template["Resources"].values()
    for made in (template["Globals"]["Function"], *(row.get("Properties", {}) for row in rows)):
        if "CodeUri" in made:
            made["CodeUri"] = "s3://bucket/key"
    print(json.dumps(Translator({}, Parser()).translate(template, parameters)), flush=True)
"""
"""A template and parameters a line, and for each what SAM makes of it: to start it takes longer
than to answer."""


def transformed(text: str = "", **parameters: str) -> dict[str, Any]:
    """``text``: a SAM template as YAML or JSON, template.yaml by default.

    ``parameters`` override its defaults. Not to be changed.
    """
    return _transformed(text or TEMPLATE.read_text(), tuple(sorted(parameters.items())))


def made(kind: str = "") -> dict[str, dict[str, Any]]:
    """The properties of template.yaml's resources by logical id: of one type, or of all."""
    rows = transformed()["Resources"].items()
    return {
        name: row.get("Properties", {}) for name, row in rows if not kind or row["Type"] == kind
    }


def longest(value: Any) -> str:
    """As long as it may become."""
    if isinstance(value, str):
        return re.sub(r"\$\{[^}]+\}", UNKNOWN, value)
    (argument,) = value.values()
    if "Fn::If" in value:
        return max((longest(part) for part in argument[1:]), key=len)
    if "Fn::Sub" in value:
        return longest(argument if isinstance(argument, str) else argument[0])
    return LONGEST_STACK_NAME if argument == "AWS::StackName" else UNKNOWN


@cache
def _transformed(text: str, parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    child = _translator()
    assert child.stdin
    assert child.stdout
    child.stdin.write(json.dumps([text, dict(parameters)]) + "\n")
    child.stdin.flush()
    found: dict[str, Any] = json.loads(child.stdout.readline())
    return found


@cache
def _translator() -> "subprocess.Popen[str]":
    """One for a process. A template that SAM refuses ends it, with what SAM
    says of it on stderr.
    """
    python = str(ROOT / ".local" / "venvs" / "sam" / "bin" / "python")
    environment = {"AWS_DEFAULT_REGION": "us-east-1"}
    child = subprocess.Popen(
        [python, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    atexit.register(child.communicate)
    return child
