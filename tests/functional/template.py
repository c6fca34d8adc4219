"""Reads template.yaml as CloudFormation would, as far as the functional tests need it: parameters,
conditions, names.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

TEMPLATE: Final = Path(__file__).parents[2] / "template.yaml"
TABLE_MEMBERS: Final = (
    "AttributeDefinitions",
    "KeySchema",
    "BillingMode",
    "GlobalSecondaryIndexes",
    "LocalSecondaryIndexes",
)


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms."""


def _short_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        raise TypeError(f"!{suffix} on a mapping is not used in our template")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def read() -> dict[str, Any]:
    """The whole template, intrinsic functions in their long form."""
    found: dict[str, Any] = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader=_Loader)
    return found


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the HTTP API, and the handler behind it."""

    method: str
    path: str
    handler: str
    has_authorizer: bool

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The path's parameters, or None for another route."""
        pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.path)
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found and method == self.method else None


class Template:
    """template.yaml with values for its parameters. A resource's physical name
    is its logical id.
    """

    def __init__(self, stack_name: str, region: str, **parameters: str) -> None:
        """``parameters`` override the template's defaults."""
        self._whole = read()
        declared = {
            name: str(parameter.get("Default", ""))
            for name, parameter in self._whole["Parameters"].items()
        }
        assert set(parameters) <= set(declared), (
            f"not parameters of the template: {set(parameters) - set(declared)}"
        )
        pseudo = {
            "AWS::StackName": stack_name,
            "AWS::Region": region,
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::AccountId": "123456789012",
        }
        self._names: dict[str, str] = {
            **{name: name for name in self.resources},
            **declared,
            **pseudo,
            **parameters,
        }

    @property
    def resources(self) -> dict[str, Any]:
        """By logical id."""
        found: dict[str, Any] = self._whole["Resources"]
        return found

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The properties of all resources of a type."""
        return {
            name: row.get("Properties", {})
            for name, row in self.resources.items()
            if row["Type"] == kind
        }

    def name(self, logical_id: str, physical: str) -> None:
        """Note what a made resource is called."""
        self._names[logical_id] = physical

    def environment(self) -> dict[str, str]:
        """What functions find in their environment: all of them, and each its own."""
        rows = [
            self._whole["Globals"]["Function"],
            *self.of_type("AWS::Serverless::Function").values(),
        ]
        variables = [
            item for row in rows for item in row.get("Environment", {}).get("Variables", {}).items()
        ]
        return {name: self.resolve(value) for name, value in variables}

    def tables(self) -> list[dict[str, Any]]:
        """Arguments of CreateTable for every table."""
        return [
            {
                "TableName": name,
                **{member: row[member] for member in TABLE_MEMBERS if member in row},
            }
            for name, row in self.of_type("AWS::DynamoDB::Table").items()
        ]

    def routes(self) -> list[Route]:
        """Every route of every function."""
        return [
            Route(
                event["Properties"]["Method"],
                event["Properties"]["Path"],
                row["Handler"].removesuffix(".handler"),
                "Auth" in event["Properties"],
            )
            for row in self.of_type("AWS::Serverless::Function").values()
            for event in row.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]

    def handlers(self) -> set[str]:
        """The modules of all functions."""
        return {
            row["Handler"].removesuffix(".handler")
            for row in self.of_type("AWS::Serverless::Function").values()
        }

    def resolve(self, value: Any) -> str:
        """The text that an expression comes to."""
        if isinstance(value, str):
            return value
        ((function, argument),) = value.items()
        if function == "Ref":
            return self._names[argument]
        if function == "Fn::GetAtt":
            return self._names[argument.rpartition(".")[0]]
        if function == "Fn::Sub":
            return re.sub(r"\$\{([\w:]+)\}", lambda found: self._names[found[1]], argument)
        assert function == "Fn::If", f"{function} is not known here"
        condition, yes, no = argument
        return self.resolve(yes if self._holds({"Condition": condition}) else no)

    def _holds(self, condition: dict[str, Any]) -> bool:
        ((function, argument),) = condition.items()
        if function in ("Condition", "Fn::Condition"):
            return self._holds(self._whole["Conditions"][argument])
        if function == "Fn::And":
            return all(self._holds(part) for part in argument)
        if function == "Fn::Not":
            return not self._holds(argument[0])
        assert function == "Fn::Equals", f"{function} is not known here"
        return self.resolve(argument[0]) == self.resolve(argument[1])
