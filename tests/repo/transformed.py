"""A template as CloudFormation makes it: with what it includes, transformed by SAM's own translator, which the tools' environment has."""

import json
import re
import subprocess
import textwrap
from functools import cache
from typing import Any, Final

from repo.declared import TEMPLATE

from infra.local.places import ROOT

PROGRAM: Final = """
import json, sys
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse
text, parameters = json.load(sys.stdin)
json.dump(Translator({}, Parser()).translate(yaml_parse(text), parameters), sys.stdout)
"""


INCLUDE: Final = re.compile(r"  Fn::Transform:\n    Name: AWS::Include\n    Parameters: \{Location: (\S+)\}\n")


def transformed(text: str = "", **parameters: str) -> dict[str, Any]:
    """``text``: a SAM template, template.yaml by default. ``parameters`` override its defaults. Not to be changed."""
    return _transformed(text or TEMPLATE.read_text(), tuple(sorted(parameters.items())))


@cache
def _transformed(text: str, parameters: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    whole = INCLUDE.sub(lambda found: textwrap.indent((ROOT / found[1]).read_text(), "  "), text)
    packaged = re.sub(r"CodeUri: \S+", "CodeUri: s3://bucket/key", whole)
    python = str(ROOT / ".local" / "venvs" / "sam" / "bin" / "python")
    environment = {"AWS_DEFAULT_REGION": "us-east-1"}
    told = json.dumps([packaged, dict(parameters)])
    done = subprocess.run([python, "-c", PROGRAM], input=told, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
