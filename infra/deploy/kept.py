"""The file that says what outlived a stack: by it the next deployment takes the tables and users back."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

NAME: Final = "kept-{stack}.{account}.{region}.json"
"""A stack's name has no dots:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html"""
OLD_NAME: Final = "kept-{stack}.json"
"""Up to version 1: it does not say whose it is."""


class ElsewhereError(Exception):
    """The kept file is of another account or region than the one that is deployed to."""


@dataclass(frozen=True, slots=True)
class Kept:
    """``resources`` as a change set imports them, and a ``template`` with nothing else.

    The rest says where that is.
    """

    stack: str
    resources: Sequence[Mapping[str, Any]]
    template: Mapping[str, Any]
    account: str = ""
    region: str = ""
    stack_id: str = ""
    kept_at: str = ""

    @classmethod
    def read(cls, file: Path, stack: str) -> "Kept":
        """Also of the old form, which has ``resources`` and ``template`` alone."""
        found = json.loads(file.read_text(encoding="utf-8"))
        known = ("account", "region", "stack_id", "kept_at")
        return cls(
            stack,
            found["resources"],
            found["template"],
            **{name: found.get(name, "") for name in known},
        )

    def write(self, folder: Path) -> Path:
        """An earlier stack's file is set aside, never overwritten: its tables would be forgotten."""
        folder.mkdir(exist_ok=True)
        file = folder / NAME.format(stack=self.stack, account=self.account, region=self.region)
        if file.exists() and Kept.read(file, self.stack).stack_id != self.stack_id:
            file.rename(_free(file))
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return file

    def check(self, file: Path, account: str, region: str) -> None:
        """Raise ElsewhereError unless it belongs to this account and region.

        A file of the old form does not say.
        """
        if (self.account or account, self.region or region) == (account, region):
            return
        what = f"{file} is of account {self.account}, region {self.region}; this is account {account}, region {region}"
        raise ElsewhereError(
            f"{what}. Sign in there (AWS_PROFILE, or `profile` and `region` in the stage's file), or move the file away"
        )


def find(folder: Path, stack: str, account: str, region: str) -> Path | None:
    """The kept file for this account and region, or one of the old form."""
    names = (NAME.format(stack=stack, account=account, region=region), OLD_NAME.format(stack=stack))
    return next((folder / name for name in names if (folder / name).exists()), None)


def elsewhere(folder: Path, stack: str, account: str, region: str) -> list[str]:
    """Where else a stack of this name was left, as ``account, region``."""
    shape = re.compile(rf"kept-{re.escape(stack)}\.(\d+)\.([a-z0-9-]+)\.json")
    found = [
        match
        for path in sorted(folder.glob("kept-*.json"))
        if (match := shape.fullmatch(path.name))
    ]
    return [
        f"account {match[1]}, region {match[2]}"
        for match in found
        if match.groups() != (account, region)
    ]


def _free(file: Path) -> Path:
    number = 1
    while (aside := file.with_suffix(f".{number}.json")).exists():
        number += 1
    return aside
