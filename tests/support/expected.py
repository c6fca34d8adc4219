"""What a template's resource should be in an account: its properties, expressions worked out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from repo.conditions import Conditions

ARNS: Final = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::IAM::Role": "arn:aws:iam::{account}:role/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:{name}",
    "AWS::Events::Rule": "arn:aws:events:{region}:{account}:rule/{name}",
    "AWS::CloudWatch::Alarm": "arn:aws:cloudwatch:{region}:{account}:alarm:{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{tail}",
    "AWS::Logs::LogGroup": "arn:aws:logs:{region}:{account}:log-group:{name}",
    "AWS::SecretsManager::Secret": "{name}",
}
"""By type, what ``Fn::GetAtt`` gives for ``Arn`` (of a secret ``Id``).

https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""
STREAM: Final = "/stream"
"""Of a table's stream, whose ARN ends with the moment at which it was made."""
NO_VALUE: Final = {"Ref": "AWS::NoValue"}


@dataclass(frozen=True)
class Expected:
    """``values``: of all parameters; ``physical``: what each logical id has become."""

    template: Mapping[str, Any]
    values: Mapping[str, str]
    physical: Mapping[str, str]

    def of_type(self, kind: str) -> dict[str, Any]:
        """The properties of all resources of a type that the conditions let be made."""
        there = Conditions(self.template).resources(self.values)
        rows = self.template["Resources"].items()
        return {
            name: self.resolve(row.get("Properties", {}))
            for name, row in rows
            if row["Type"] == kind and name in there
        }

    def resolve(self, node: Any) -> Any:
        """Without a function in it."""
        return self._resolve(Conditions(self.template).settled(node, self.values))

    def _resolve(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self._resolve(part) for part in node if part != NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, argument),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._called(function, argument)
        return {name: self._resolve(part) for name, part in node.items() if part != NO_VALUE}

    def _called(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._name(argument)
        if function == "Fn::GetAtt":
            return self._name(".".join(argument))
        if function == "Fn::Split":
            return self._resolve(argument[1]).split(argument[0])
        if function == "Fn::Select":
            return self._resolve(argument[1])[int(argument[0])]
        assert function == "Fn::Sub", f"{function} is not known here"
        text, own = (argument, {}) if isinstance(argument, str) else argument
        own = self._resolve(own)
        return re.sub(r"\$\{([^}]+)\}", lambda found: self._part(found[1], own), text)

    def _part(self, name: str, own: Mapping[str, str]) -> str:
        """A name in a ``Fn::Sub``: one of its own, or one of the template's."""
        return own[name] if name in own else self._name(name)

    def _name(self, name: str) -> str:
        logical, _, attribute = name.partition(".")
        if not attribute:
            return str(self.values[name] if name in self.values else self.physical[name])
        physical, kind = self.physical[logical], self.template["Resources"][logical]["Type"]
        tail = physical.rpartition("/")[2]
        if attribute == "QueueName":
            return tail
        assert attribute in ("Arn", "Id", "StreamArn"), f"{name} is not known here"
        where = {"region": self.values["AWS::Region"], "account": self.values["AWS::AccountId"]}
        arn = ARNS[kind].format(name=physical, tail=tail, **where)
        return f"{arn}{STREAM}" if attribute == "StreamArn" else arn


def differences(wanted: Any, found: Any, place: str = "") -> list[str]:
    """What of ``wanted`` is not in ``found``, which may know more."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            line
            for name, part in wanted.items()
            for line in differences(part, found.get(name), f"{place}.{name}")
        ]
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [
            line
            for index, part in enumerate(wanted)
            for line in differences(part, found[index], f"{place}[{index}]")
        ]
    return [] if _text(wanted) == _text(found) else [f"{place}: {wanted!r} is {found!r}"]


def _text(value: Any) -> str:
    """Some operations give numbers and booleans back as text."""
    return str(value).lower().removesuffix(".0")
