"""Reads and writes the file that lists the tables and users of a deleted stack, for an import."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

NAME: Final = "kept-{stack}.{account}.{region}.json"
"""The file's name. Its parts are separated by dots, because a stack's name has no dots:
https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
"""
OLD_NAME: Final = "kept-{stack}.json"
"""The file's name up to version 1, without the account and the region."""


class ElsewhereError(Exception):
    """Raised if an earlier stack of this name left its tables in another account or region."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The tables and users that a deleted stack left behind, with their account and region.

    ``resources`` has the form in which a change set imports them. ``template`` describes only
    them.
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
        """Return the tables and users that ``file`` lists, as those of ``stack``.

        A file of version 1 has only ``resources`` and ``template``. The account, the region and the
        other values are then "".
        """
        found = json.loads(file.read_text(encoding="utf-8"))
        known = ("account", "region", "stack_id", "kept_at")
        return cls(
            stack,
            found["resources"],
            found["template"],
            **{name: found.get(name, "") for name in known},
        )

    def write(self, folder: Path) -> Path:
        """Write this list of tables and users to a file in ``folder``, and return its path.

        If an earlier stack of this name left such a file, that file is renamed, never overwritten.
        """
        folder.mkdir(exist_ok=True)
        file = folder / NAME.format(stack=self.stack, account=self.account, region=self.region)
        if file.exists() and Kept.read(file, self.stack).stack_id != self.stack_id:
            file.rename(_free(file))
        file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        return file

    def check(self, file: Path, account: str, region: str) -> None:
        """Raise ElsewhereError if the tables and users are in another account or region.

        They were left behind by a deleted stack, and ``file`` lists them. A file of version 1 names
        no account and no region, and is accepted.
        """
        if (self.account or account, self.region or region) == (account, region):
            return
        raise ElsewhereError(
            f"{file} is of account {self.account}, region {self.region}; "
            f"this is account {account}, region {region}. "
            "Sign in there (AWS_PROFILE, or `profile` and `region` in the stage's file), "
            "or move the file away"
        )


def find(folder: Path, stack: str, account: str, region: str) -> Path | None:
    """Return the path of the file that lists what a deleted stack left, or None.

    It is the file for this account and region, or else one of version 1, which names neither.
    """
    names = (NAME.format(stack=stack, account=account, region=region), OLD_NAME.format(stack=stack))
    return next((folder / name for name in names if (folder / name).exists()), None)


def elsewhere(folder: Path, stack: str, account: str, region: str) -> list[str]:
    """Return where else deleted stacks of this name left tables and users.

    Each is a text ``account ..., region ...``, taken from the name of a file in ``folder``. The
    given account and region are left out.
    """
    pattern = re.compile(rf"kept-{re.escape(stack)}\.(\d+)\.([a-z0-9-]+)\.json")
    found = [
        match
        for path in sorted(folder.glob("kept-*.json"))
        if (match := pattern.fullmatch(path.name))
    ]
    return [
        f"account {match[1]}, region {match[2]}"
        for match in found
        if match.groups() != (account, region)
    ]


def _free(file: Path) -> Path:
    """Return the path beside ``file`` with the first free number, for example ``NAME.1.json``."""
    number = 1
    while (aside := file.with_suffix(f".{number}.json")).exists():
        number += 1
    return aside
