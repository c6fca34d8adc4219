"""Reads and writes a stage: its stack, account, region, and the template's parameters.

samconfig.toml proposes values. The answers are stored in the stage's own file, which git ignores.
SAM can read it: `sam deploy --config-file .topup/prod.toml --config-env prod` works.
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
"""The folder of the stages' files. It is not in .local, because `make clean` removes that."""
CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)
"""Variables that take precedence over AWS_PROFILE:
https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html"""
TEXT: Final = """\
# How the stage {name} is deployed. `make deploy` wrote this from your answers, and does not ask
# again. Edit it freely: every parameter of docs/operations.md may be set here. It has no secret, so
# you can share it with others who deploy.
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
    """Holds how one stage, for example ``prod``, is deployed: its stack, region and parameters.

    A stage is one deployment of the product. ``region`` is "" until the operator has been asked.
    """

    name: str
    stack: str
    region: str = ""
    profile: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """Those parameters of the template that are set."""
    folder: Path = FOLDER

    @classmethod
    def read(cls, name: str, config: Path = CONFIG, folder: Path = FOLDER) -> "Stage":
        """Return a stage from samconfig.toml and its own file, which has precedence.

        If neither names a stack, the stack is ``topup-NAME``, with the stage's name.
        """
        proposed = _section(config, name)
        own = _section(folder / f"{name}.toml", name)
        parameters = {**_overrides(proposed), **_overrides(own)}
        settings = proposed | own
        return cls(
            name,
            settings.get("stack_name", f"topup-{name}"),
            settings.get("region", ""),
            settings.get("profile", ""),
            parameters,
            folder,
        )

    @property
    def file(self) -> Path:
        """Return the path of the file with the operator's answers."""
        return self.folder / f"{self.name}.toml"

    @property
    def must_be_asked(self) -> bool:
        """Return whether the operator has never answered the deployment's questions for this stage.

        The answers include the region, so without a region there are none.
        """
        return not self.region

    def where(self) -> list[str]:
        """Return the flags for region and profile, for SAM and ``topup``."""
        return [
            *(["--region", self.region] if self.region else []),
            *(["--profile", self.profile] if self.profile else []),
        ]

    def overrides(self) -> list[str]:
        """Return the parameters in SAM's syntax: quoted if they are empty or have spaces."""
        return [
            f"{name}={value}" if re.fullmatch(r"[^\s\"']+", value) else f'{name}="{value}"'
            for name, value in self.parameters.items()
        ]

    def keep(self) -> None:
        """Write the stack, region, profile and parameters to the stage's file.

        Later deployments read it, and do not ask again.
        """
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
        """Return the environment for every process of this stage, so that all use one account.

        A named profile has precedence over keys in the shell, like the AWS CLI's --profile. Without
        a profile the shell's keys are used.
        https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
        """
        if not self.profile:
            return dict(environment)
        return {name: value for name, value in environment.items() if name not in CREDENTIALS} | {
            "AWS_PROFILE": self.profile
        }

    def session(self, environment: Mapping[str, str] = os.environ) -> boto3.Session:
        """Return a boto3 session with the credentials of the stage's profile, in its region.

        Without a profile the keys in ``environment`` are used, and without a region its region.
        """
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
        """Return a boto3 client in the stage's account and region."""
        return self.session(environment).client(
            service, endpoint_url=environment.get("AWS_ENDPOINT_URL")
        )


def deployed_with(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters in CloudFormation's description of a stack."""
    return {row["ParameterKey"]: row["ParameterValue"] for row in stack.get("Parameters", [])}


def api_url(stack: Mapping[str, Any]) -> str:
    """Return the address that AWS gave the stack's API, or "" if the stack has none."""
    outputs = {row["OutputKey"]: row["OutputValue"] for row in stack.get("Outputs", [])}
    return str(outputs.get("ApiUrl", ""))


def proposals(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return a stack's parameters as proposals for the next deployment of its stage.

    A SiteUrl that is the API's own address is left out. The operator did not choose it, and a new
    stack gets another.
    """
    found = deployed_with(stack)
    if found.get("SiteUrl") == api_url(stack):
        del found["SiteUrl"]
    return found


def _section(file: Path, name: str) -> dict[str, Any]:
    section: dict[str, Any] = (
        tomllib.loads(file.read_text(encoding="utf-8")).get(name, {}) if file.exists() else {}
    )
    return {
        **section.get("global", {}).get("parameters", {}),
        **section.get("deploy", {}).get("parameters", {}),
    }


def _overrides(section: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters in a section's ``parameter_overrides``, by name.

    SAM allows a list of ``Name=Value`` there, or one text with several.
    """
    found = section.get("parameter_overrides", [])
    texts = [found] if isinstance(found, str) else found
    return dict(word.split("=", 1) for text in texts for word in shlex.split(text))
