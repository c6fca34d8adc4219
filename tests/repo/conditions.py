"""CloudFormation's conditions, evaluated: what a template holds for given parameters, and who
refers to what is not there.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Guards = tuple[tuple[str, bool], ...]
"""Conditions on the way to a place in the template, and whether they hold there."""
OTHER: Final = "any-other-value"
PSEUDO: Final[Mapping[str, Any]] = {"Default": "us-east-1"}
"""AWS::Region, which every template has."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of a template in its long form."""

    template: Mapping[str, Any]

    def holds(self, condition: str, values: Mapping[str, str]) -> bool:
        """``values`` override the parameters' defaults."""
        return self._holds({"Condition": condition}, values)

    def resources(self, values: Mapping[str, str]) -> set[str]:
        """The logical ids of what is made."""
        rows = self.template["Resources"].items()
        return {
            name
            for name, row in rows
            if "Condition" not in row or self.holds(row["Condition"], values)
        }

    def settled(self, node: Any, values: Mapping[str, str]) -> Any:
        """``node`` with the right branch of every ``Fn::If`` in it."""
        node = self.chosen(node, values)
        if isinstance(node, dict):
            return {name: self.settled(part, values) for name, part in node.items()}
        return [self.settled(part, values) for part in node] if isinstance(node, list) else node

    def chosen(self, node: Any, values: Mapping[str, str]) -> Any:
        """``node`` with the right branch of every ``Fn::If`` on top."""
        while isinstance(node, dict) and "Fn::If" in node:
            condition, yes, no = node["Fn::If"]
            node = yes if self.holds(condition, values) else no
        return node

    def imply(self, guards: Guards, condition: str) -> bool:
        """Whether the condition holds for all values for which the guards do."""
        names = sorted(
            {
                name
                for guard, _ in (*guards, (condition, True))
                for name in self._parameters({"Condition": guard})
            }
        )
        for chosen in itertools.product(*(self._values(name) for name in names)):
            values = dict(zip(names, chosen, strict=True))
            if all(
                self.holds(guard, values) is wanted for guard, wanted in guards
            ) and not self.holds(condition, values):
                return False
        return True

    def dangling(self) -> list[str]:
        """Every reference to a resource that may not be there when it is looked at."""
        needed = {
            name: row["Condition"]
            for name, row in self.template["Resources"].items()
            if "Condition" in row
        }
        return [
            f"{place} refers to {name}, which is there under {needed[name]} only"
            for section in ("Resources", "Outputs")
            for place, row in self.template[section].items()
            for name, guards in _references(
                row, ((row["Condition"], True),) if "Condition" in row else ()
            )
            if name in needed and not self.imply(guards, needed[name])
        ]

    def _holds(self, expression: Mapping[str, Any], values: Mapping[str, str]) -> bool:
        ((function, argument),) = expression.items()
        if function == "Condition":
            return self._holds(self.template["Conditions"][argument], values)
        if function == "Fn::Not":
            return not self._holds(argument[0], values)
        if function in ("Fn::And", "Fn::Or"):
            return (all if function == "Fn::And" else any)(
                self._holds(part, values) for part in argument
            )
        assert function == "Fn::Equals", f"{function} is not known here"
        left, right = (self._value(part, values) for part in argument)
        return left == right

    def _value(self, part: Any, values: Mapping[str, str]) -> str:
        if not isinstance(part, dict):
            return str(part)
        parameter = self.template["Parameters"].get(part["Ref"], PSEUDO)
        return values.get(part["Ref"], str(parameter.get("Default", "")))

    def _parameters(self, expression: Mapping[str, Any]) -> set[str]:
        ((function, argument),) = expression.items()
        if function == "Condition":
            return self._parameters(self.template["Conditions"][argument])
        if function == "Fn::Equals":
            return {part["Ref"] for part in argument if isinstance(part, dict)}
        return {name for part in argument for name in self._parameters(part)}

    def _values(self, parameter: str) -> Sequence[str]:
        """Those that a condition could tell apart."""
        row = self.template["Parameters"].get(parameter, PSEUDO)
        compared = {
            str(part)
            for pair in _equalities(self.template["Conditions"])
            if {"Ref": parameter} in pair
            for part in pair
        }
        return [str(value) for value in row.get("AllowedValues", (*compared, OTHER))]


def _equalities(node: Any) -> Iterator[list[Any]]:
    if isinstance(node, dict) and "Fn::Equals" in node:
        yield node["Fn::Equals"]
    elif isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _equalities(part)


def _references(node: Any, guards: Guards) -> Iterator[tuple[str, Guards]]:
    """Every name that ``Ref``, ``Fn::GetAtt`` or ``Fn::Sub`` names, and under what."""
    if isinstance(node, list):
        for part in node:
            yield from _references(part, guards)
    if not isinstance(node, dict):
        return
    for function, argument in node.items():
        if function == "Fn::If":
            condition, yes, no = argument
            yield from _references(yes, (*guards, (condition, True)))
            yield from _references(no, (*guards, (condition, False)))
            continue
        if function == "Ref":
            yield argument, guards
        elif function == "Fn::GetAtt":
            yield (argument if isinstance(argument, str) else argument[0]).split(".")[0], guards
        elif function == "Fn::Sub":
            text = argument if isinstance(argument, str) else argument[0]
            yield from (
                (name.split(".")[0], guards) for name in re.findall(r"\$\{(?!!)([^}]+)\}", text)
            )
        yield from _references(argument, guards)
