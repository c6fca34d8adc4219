"""One account for everything that a deployment does: who is asked is who is deployed to, whatever
the shell and the stage's file hold.
"""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import pytest

from infra.build.artifact import PARSED
from infra.deploy import commands
from infra.deploy.stage import CREDENTIALS, Stage
from infra.local.paths import ROOT

ACCOUNTS: Final = {"SHELL": "111111111111", "SELLER": "222222222222", "OTHER": "333333333333"}
"""By access key. The profiles `seller` and `other` have the second and the third."""
CONFIG: Final = """\
[profile seller]
aws_access_key_id = SELLER
aws_secret_access_key = secret

[profile other]
aws_access_key_id = OTHER
aws_secret_access_key = secret
"""
IDENTITY: Final = """\
<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::{0}:user/one</Arn><UserId>one</UserId><Account>{0}</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"""
REFUSED: Final = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{}</Code><Message>{}</Message></Error>"
    "</ErrorResponse>"
)


class Recorder(BaseHTTPRequestHandler):
    """An AWS that has no stack and lets no one create one, and notes by which access key it was
    asked for what.
    """

    asked: list[tuple[str, str]]

    def answer(self) -> None:
        """Whatever the method."""
        form = parse_qs(self.rfile.read(int(self.headers.get("content-length", "0"))).decode())
        action = form.get("Action", [self.path])[0]
        match = re.search(r"Credential=(\w+)/", self.headers.get("authorization", ""))
        key = match[1] if match else ""
        self.asked.append((key, action))
        if action == "GetCallerIdentity":
            self._say(200, IDENTITY.format(ACCOUNTS[key]))
        elif action == "DescribeStacks":
            self._say(
                400, REFUSED.format("ValidationError", "Stack with id topup-prod does not exist")
            )
        else:
            self._say(403, REFUSED.format("AccessDenied", "not here"))

    def _say(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "text/xml")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[tuple[str, str]]]:
    """Access keys and actions, in order. The shell has keys, two profiles, and
    an AWS that records.
    """
    (tmp_path / "config").write_text(CONFIG)
    (tmp_path / PARSED).write_text(
        json.dumps({"Parameters": {"Runtime": {"AllowedValues": []}}, "Resources": {}})
    )
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    shell = {
        "AWS_ACCESS_KEY_ID": "SHELL",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
    }
    shell |= {
        "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
        "TOPUP_TOOLS_DIR": str(ROOT / ".local" / "venvs"),
        "TOPUP_STATE_DIR": str(tmp_path),
    }
    handler: Any = type(
        "Noting",
        (Recorder,),
        {"asked": [], **{f"do_{method}": Recorder.answer for method in ("GET", "PUT", "POST")}},
    )
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        for name, value in {
            **shell,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(commands, "BUILD", tmp_path)
        yield handler.asked
        server.shutdown()


def _stage(tmp_path: Path, profile: str) -> Stage:
    stage = Stage("prod", "topup-prod", "eu-west-1", profile, {"Stage": "dev"}, tmp_path / ".topup")
    stage.keep()
    return stage


@pytest.mark.parametrize(
    ("profile", "variable", "key"),
    [
        ("seller", "", "SELLER"),
        ("seller", "other", "SELLER"),
        ("", "", "SHELL"),
        ("", "other", "SHELL"),
    ],
)
def test_who_is_asked_is_who_is_deployed_to(
    *,
    asked: list[tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str,
    variable: str,
    key: str,
) -> None:
    """SAM itself, with a profile in the stage's file, AWS_PROFILE and keys in the shell.

    As for the AWS CLI, a named profile wins over keys, and keys win over AWS_PROFILE:
    https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html
    """
    if variable:
        monkeypatch.setenv("AWS_PROFILE", variable)
    assert commands.deploy(_stage(tmp_path, profile), yes=True) != 0
    actions = [action for _, action in asked]
    assert actions[:2] == ["GetCallerIdentity", "DescribeStacks"], "that was us"
    assert len(actions) > 2, "that was SAM"
    assert {found for found, _ in asked} == {key}


@pytest.mark.parametrize(("profile", "key"), [("seller", "SELLER"), ("", "SHELL")])
def test_topup_connect_is_given_the_same_account(
    asked: list[tuple[str, str]], tmp_path: Path, profile: str, key: str
) -> None:
    """As `make deploy` calls it."""
    stage = _stage(tmp_path, profile)
    command = [
        sys.executable,
        "-m",
        "infra.cli",
        "connect",
        "--yes",
        "--stack",
        stage.stack,
        *stage.where(),
    ]
    environment = {**stage.environment(), "PYTHONPATH": str(ROOT)}
    subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert [found for found, _ in asked] == [key]


def test_uninstalling_asks_with_the_same_credentials(
    asked: list[tuple[str, str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says in which account there is nothing to delete."""
    assert commands.uninstall(_stage(tmp_path, "seller"), os.environ) == 0
    assert {found for found, _ in asked} == {"SELLER"}
    assert ACCOUNTS["SELLER"] in capsys.readouterr().out


def test_a_web_identity_in_the_shell_does_not_win_over_the_profile(tmp_path: Path) -> None:
    """A continuous deployment has one, and a child process would prefer it to AWS_PROFILE."""
    given = dict.fromkeys(CREDENTIALS, "of the shell")
    assert _stage(tmp_path, "seller").environment({**given, "HOME": "/home"}) == {
        "HOME": "/home",
        "AWS_PROFILE": "seller",
    }
    assert _stage(tmp_path, "").environment(given) == given
