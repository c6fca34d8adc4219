"""moto's server with the rest of the template: ``python server.py PORT``, in its environment.

moto knows no SAM, thirteen of the template's types only by their API, and one deletion policy of
two.
Each of these is added here, in as few words as it takes.
"""

import json
import os
import sys
import threading
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from moto.cloudformation import models
from moto.core.common_models import CloudFormationModel
from moto.server import ThreadedMotoServer
from support.second_aws.gaps import fill
from support.second_aws.kinds import BY_HAND, KINDS, create, delete

RETAINED: Final = ('"RetainExceptOnCreate"', '"Retain"')
"""The same once a stack is made.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html
"""
_MODELS: Final[list[Any]] = []
"""moto looks for subclasses, which Python holds weakly."""


def _type(kind: str) -> Any:
    """Tell moto's CloudFormation of a type. Updates of it change nothing."""

    def make(name: str, whole: Mapping[str, Any], _: str, region: str, **__: Any) -> Any:
        found, row = model(), whole["Properties"]
        made = (
            BY_HAND[kind](name, row, region)
            if kind in BY_HAND
            else create(KINDS[kind], name, row, region)
        )
        found.physical_resource_id, found.attributes = made
        found.delete = lambda *_: delete(kind, row, made[0], region)
        return found

    methods = {
        "cloudformation_name_type": staticmethod(str),
        "cloudformation_type": staticmethod(lambda: kind),
        "has_cfn_attr": staticmethod(lambda _: True),
        "create_from_cloudformation_json": staticmethod(make),
        "update_from_cloudformation_json": staticmethod(
            lambda original_resource, **_: original_resource
        ),
        "get_cfn_attribute": lambda self, name: self.attributes[name],
        "is_created": lambda _: True,
    }
    model = type(kind.replace("::", ""), (CloudFormationModel,), methods)
    return model


def _template(text: str) -> str:
    """As CloudFormation keeps it: without SAM, as JSON."""
    read = import_module("samtranslator.yaml_helper").yaml_parse(text)
    if read.get("Transform"):
        parser = import_module("samtranslator.parser.parser").Parser()
        read = (
            import_module("samtranslator.translator.translator")
            .Translator({}, parser)
            .translate(read, {})
        )
    return json.dumps(read).replace(*RETAINED)


def _through_sam(operation: str) -> None:
    """Give the operation of moto's CloudFormation a template that it understands."""
    plain = getattr(models.CloudFormationBackend, operation)

    def called(self: Any, *words: Any, template: str, **rest: Any) -> Any:
        return plain(self, *words, template=_template(template), **rest)

    setattr(models.CloudFormationBackend, operation, called)


def main(port: int) -> None:
    """Serve until the process is ended."""
    os.environ["SECOND_AWS_URL"] = f"http://127.0.0.1:{port}"
    _MODELS.extend(_type(kind) for kind in (*BY_HAND, *KINDS))
    fill()
    for operation in ("create_stack", "update_stack", "create_change_set"):
        _through_sam(operation)
    ThreadedMotoServer("127.0.0.1", port, verbose=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
