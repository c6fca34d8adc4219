"""One stage: its stack, where that is, and the template's parameters: proposed by samconfig.toml, kept in a file that git does not see.

Such a file is a configuration file of SAM's own: `sam deploy --config-file .topup/prod.toml --config-env prod` does the same by hand.
"""

import json
import os
import re
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import boto3

from infra.local.paths import ROOT

CONFIG: Final = ROOT / "samconfig.toml"
FOLDER: Final = ROOT / ".topup"
"""Not in .local, which `make clean` removes."""
CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""What a process reads credentials from before it looks at AWS_PROFILE:
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html"""
TEXT: Final = """\
# How the stage {name} is deployed. `make deploy` wrote this from the answers it was given, and asks
# no more; edit it freely. Every parameter of docs/operations.md may stand here. No secret is in it:
# give a copy to whoever else deploys.
version = 0.1

[{name}.deploy.parameters]
stack_name = {stack}
region = {region}
{profile}capabilities = "CAPABILITY_IAM"
resolve_s3 = true
fail_on_empty_changeset = false
parameter_overrides = [
{parameters}]
"""


@dataclass(frozen=True, slots=True)
class Stage:
    """``region`` "" until somebody was asked."""

    name: str
    stack: str
    region: str = ""
    profile: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Of the template, as far as they were told."""
    folder: Path = FOLDER

    @classmethod
    def read(cls, name: str, config: Path = CONFIG, folder: Path = FOLDER) -> "Stage":
        """What its own file says counts more than what is proposed for it.

        One that has neither gets a stack of its own name.
        """
        proposed, told = _section(config, name), _section(folder / f"{name}.toml", name)
        parameters = {**_overrides(proposed), **_overrides(told)}
        told = proposed | told
        return cls(
            name,
            told.get("stack_name", f"topup-{name}"),
            told.get("region", ""),
            told.get("profile", ""),
            parameters,
            folder,
        )

    @property
    def file(self) -> Path:
        """Where its answers are kept."""
        return self.folder / f"{self.name}.toml"

    @property
    def must_be_asked(self) -> bool:
        """Nobody has answered yet."""
        return not self.region

    def where(self) -> list[str]:
        """Flags that SAM and ``topup`` share."""
        return [
            *(["--region", self.region] if self.region else []),
            *(["--profile", self.profile] if self.profile else []),
        ]

    def overrides(self) -> list[str]:
        """The parameters as SAM takes them: quoted where they are empty or have spaces."""
        return [
            f"{name}={value}" if re.fullmatch(r"[^\s\"']+", value) else f'{name}="{value}"'
            for name, value in self.parameters.items()
        ]

    def keep(self) -> None:
        """Write the file."""
        self.folder.mkdir(exist_ok=True)
        text = TEXT.format(
            name=self.name,
            stack=json.dumps(self.stack),
            region=json.dumps(self.region),
            profile=f"profile = {json.dumps(self.profile)}\n" if self.profile else "",
            parameters="".join(f"  {json.dumps(word)},\n" for word in self.overrides()),
        )
        self.file.write_text(text, encoding="utf-8")

    def environment(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """For every process that works on this stage, so that all of them work in one account.

        A named profile wins over keys in the shell, as the AWS CLI's --profile does; without one
        the shell decides alone.
        https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
        """
        if not self.profile:
            return dict(environment)
        return {name: value for name, value in environment.items() if name not in CREDENTIALS} | {
            "AWS_PROFILE": self.profile
        }

    def session(self, environment: Mapping[str, str] = os.environ) -> boto3.Session:
        """With the same credentials as ``environment`` gives to other processes."""
        region = (
            self.region or environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
        )
        if self.profile:
            return boto3.Session(profile_name=self.profile, region_name=region)
        return boto3.Session(
            aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
            aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            region_name=region,
        )

    def client(self, service: str, environment: Mapping[str, str] = os.environ) -> Any:
        """A boto3 client where the stage is."""
        return self.session(environment).client(
            service, endpoint_url=environment.get("AWS_ENDPOINT_URL")
        )


def deployed_with(stack: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a stack, as CloudFormation describes it."""
    return {row["ParameterKey"]: row["ParameterValue"] for row in stack.get("Parameters", [])}


def api_url(stack: Mapping[str, Any]) -> str:
    """The address that AWS gave its API."""
    return next(
        (
            str(row["OutputValue"])
            for row in stack.get("Outputs", [])
            if row["OutputKey"] == "ApiUrl"
        ),
        "",
    )


def proposals(stack: Mapping[str, Any]) -> dict[str, str]:
    """What a stack was deployed with, for another deployment of its stage.

    The API's own address was nobody's answer, and will change.
    """
    return {
        name: value
        for name, value in deployed_with(stack).items()
        if (name, value) != ("SiteUrl", api_url(stack))
    }


def _section(file: Path, name: str) -> dict[str, Any]:
    section: dict[str, Any] = (
        tomllib.loads(file.read_text(encoding="utf-8")).get(name, {}) if file.exists() else {}
    )
    return {
        **section.get("global", {}).get("parameters", {}),
        **section.get("deploy", {}).get("parameters", {}),
    }


def _overrides(section: Mapping[str, Any]) -> dict[str, str]:
    """SAM takes a list of ``Name=Value``, or one text of them."""
    told = section.get("parameter_overrides", [])
    texts = [told] if isinstance(told, str) else told
    return dict(word.split("=", 1) for text in texts for word in shlex.split(text))
