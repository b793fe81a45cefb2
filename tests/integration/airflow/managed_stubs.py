"""Managed Airflows as their documentation describes them: who is let in, and what a refusal looks like."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from urllib.parse import parse_qs

from tests.integration.airflow.stub import Answer, Asked

POOLS = {"pools": [{"name": "default_pool", "slots": 128}], "total_entries": 1}


def answer_api(asked: Asked, major: int) -> Answer:
    """Airflow's own answers, below any path."""
    if asked.path.endswith(f"/api/v{major - 1}/version"):
        return Answer({"version": {2: "2.11.0", 3: "3.0.6"}[major], "git_version": None})
    if asked.path.endswith(f"/api/v{major - 1}/pools"):
        return Answer(POOLS)
    return Answer({"detail": "Not Found"}, 404)


class Mwaa:
    """Amazon MWAA: the AWS CLI gives a token for one login, which gives a session for the web server."""

    def __init__(self, major: int, folder: Path) -> None:
        self.major = major
        self.tokens = folder / "tokens"
        self.sessions: list[str] = []
        self.path, self.cookie = {2: ("/aws_mwaa/login", "session"), 3: ("/pluginsv2/aws_mwaa/login", "_token")}[major]

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == self.path and asked.method == "POST":
            return self.log_in(parse_qs(asked.body.decode()).get("token", [""])[0])
        if not self.lets_in(asked):
            return Answer({"detail": "Unauthorized"}, 401 if self.major == 3 else 403)
        return answer_api(asked, self.major)

    def log_in(self, token: str) -> Answer:
        given = self.tokens.read_text().splitlines() if self.tokens.exists() else []
        if token not in given:
            return Answer({"detail": "Forbidden"}, 403)
        self.tokens.write_text("".join(f"{one}\n" for one in given if one != token))
        self.sessions.append(f"session-{len(self.sessions)}.eyJhbGciOi")
        return Answer({}, cookies=(f"{self.cookie}={self.sessions[-1]}; Secure; HttpOnly; Path=/",))

    def lets_in(self, asked: Asked) -> bool:
        if not self.sessions:
            return False
        if self.major == 3:
            return asked.headers.get("Authorization") == f"Bearer {self.sessions[-1]}"
        return asked.headers.get("Cookie") == f"session={self.sessions[-1]}"


class Bearer:
    """Cloud Composer and Astro: one bearer token is valid; others are sent to a login page or refused."""

    def __init__(self, major: int, refusal: Answer, prefix: str = "") -> None:
        self.major = major
        self.valid = "none"
        self.refusal = refusal
        self.prefix = prefix

    def __call__(self, asked: Asked) -> Answer:
        if not asked.path.startswith(f"{self.prefix}/api/"):
            return Answer(b"default backend - 404", 404, {"Content-Type": "text/plain"})
        if asked.headers.get("Authorization") != f"Bearer {self.valid}":
            return self.refusal
        return answer_api(asked, self.major)


class Metadata:
    """The metadata server of Google Cloud: answers only requests with its header."""

    def __init__(self) -> None:
        self.token = "ya29.first"
        self.life = 3599

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("Metadata-Flavor") != "Google":
            return Answer({}, 403)
        if asked.path.endswith("/service-accounts/default/token"):
            return Answer({"access_token": self.token, "expires_in": self.life, "token_type": "Bearer"})
        if asked.path.endswith("/service-accounts/default/identity") and asked.query.get("audience"):
            return Answer(f"identity-for-{asked.query['audience'][0]}".encode())
        return Answer(b"Not Found", 404)


def install_aws(folder: Path, host: str, tokens: Path) -> str:
    """A stand-in for the AWS CLI, which writes down the token that it gives; returns the PATH that finds it."""
    folder.mkdir()
    answer = json.dumps({"WebServerHostname": host, "WebToken": "TOKEN", "IamIdentity": "role/x"})
    program = folder / "aws"
    program.write_text(
        "#!/bin/sh\n"
        'test "$1 $2 $3 $4" = "mwaa create-web-login-token --name production" || exit 254\n'
        f'token="web.$$.token"; echo "$token" >> {tokens}\n'
        f"echo '{answer}' | sed s/TOKEN/$token/\n"
    )
    program.chmod(stat.S_IRWXU)
    return f"{folder}:{os.environ['PATH']}"
