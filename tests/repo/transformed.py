"""A template as CloudFormation makes it: with what it includes, transformed by SAM's own translator, which the tools' environment has."""

import atexit
import json
import re
import subprocess
import textwrap
from functools import cache
from typing import Any, Final

from repo.declared import TEMPLATE

from infra.local.places import ROOT

PROGRAM: Final = """
import json, sys, yaml
yaml.SafeLoader = yaml.CSafeLoader
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
for line in sys.stdin:
    text, parameters = json.loads(line)
    print(json.dumps(Translator({}, Parser()).translate(yaml_parse(text), parameters)), flush=True)
"""
"""A template and parameters a line, and for each what SAM makes of it: to start it takes longer than to answer."""


INCLUDE: Final = re.compile(r"  Fn::Transform:\n    Name: AWS::Include\n    Parameters: \{Location: (\S+)\}\n")


def transformed(text: str = "", **parameters: str) -> dict[str, Any]:
    """``text``: a SAM template, template.yaml by default. ``parameters`` override its defaults. Not to be changed."""
    return _transformed(text or TEMPLATE.read_text(), tuple(sorted(parameters.items())))


@cache
def _transformed(text: str, parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    whole = INCLUDE.sub(lambda found: textwrap.indent((ROOT / found[1]).read_text(), "  "), text)
    packaged = re.sub(r"CodeUri: \S+", "CodeUri: s3://bucket/key", whole)
    child = _translator()
    assert child.stdin
    assert child.stdout
    child.stdin.write(json.dumps([packaged, dict(parameters)]) + "\n")
    child.stdin.flush()
    found: dict[str, Any] = json.loads(child.stdout.readline())
    return found


@cache
def _translator() -> "subprocess.Popen[str]":
    """One for a process. A template that SAM refuses ends it, with what SAM says of it on stderr."""
    python = str(ROOT / ".local" / "venvs" / "sam" / "bin" / "python")
    environment = {"AWS_DEFAULT_REGION": "us-east-1"}
    child = subprocess.Popen([python, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    atexit.register(child.communicate)
    return child
