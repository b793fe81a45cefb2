#!/usr/bin/env python3
"""Keep the token of a managed Airflow fresh in a file that the exporter reads (docs/managed.md).

Needs only Python 3.11 or later. Run it beside the exporter, as a sidecar or a service, or from a timer with `--once`.

    renew_token.py mwaa --environment NAME --region REGION --output FILE        Amazon MWAA, by the AWS CLI
    renew_token.py google --output FILE                                         Cloud Composer, by the metadata server
    renew_token.py google --gcloud --output FILE                                Cloud Composer, by the gcloud CLI

The file is replaced as a whole and is readable by its owner only. If a renewal fails, the old file stays.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from http.cookies import SimpleCookie
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlencode

INTERVAL = 1800.0
"""Seconds between renewals, unless the token ends earlier."""
MARGIN = 240.0
"""Seconds before its end at which a token is renewed. Google's metadata server has a new one 300 s before."""
SHORTEST_WAIT = 10.0
LONGEST_WAIT = 300.0
"""Bounds of the wait after a failure; it doubles each time."""
TIMEOUT = 30.0
LOGINS = {"2": ("/aws_mwaa/login", "session"), "3": ("/pluginsv2/aws_mwaa/login", "_token")}
"""Where Amazon MWAA exchanges a web login token, and the cookie that it answers with, by the version of Airflow."""


class RenewalError(Exception):
    """A renewal failed; the text has no secret."""


class Renewed(NamedTuple):
    """What is written to the file, and how long it is valid; 0 if that is not known."""

    text: str
    life: float = 0.0


def renew_mwaa(options: argparse.Namespace) -> Renewed:
    """A session of Amazon MWAA: for Airflow 3 the token alone, for Airflow 2 a `Cookie` header."""
    command = ["aws", "mwaa", "create-web-login-token", "--name", options.environment, "--output", "json"]
    answer = parse_json(run([*command, *(["--region", options.region] if options.region else [])]), "aws")
    path, name = LOGINS[options.airflow_version]
    session = exchange(get_text(answer, "WebServerHostname", "aws"), path, get_text(answer, "WebToken", "aws"), name)
    if options.airflow_version == "3":
        return Renewed(session, read_life(session))
    return Renewed(f"Cookie: {name}={session}")


def exchange(host: str, path: str, token: str, name: str) -> str:
    """The session cookie that the web server gives for a web login token."""
    connection = http.client.HTTPSConnection(host, timeout=TIMEOUT, context=ssl.create_default_context())
    try:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", path, urlencode({"token": token}), form)
        answer = connection.getresponse()
        cookies = answer.headers.get_all("Set-Cookie") or []
    except (OSError, http.client.HTTPException) as error:
        raise RenewalError(f"{host} cannot be reached: {error}") from error
    finally:
        connection.close()
    for header in cookies:
        morsel = SimpleCookie(header).get(name)
        if morsel and morsel.value:
            return morsel.value
    hint = "; is --airflow-version right?" if answer.status == 404 else ""
    raise RenewalError(f"https://{host}{path} answered {answer.status} without the cookie {name}{hint}")


def renew_google(options: argparse.Namespace) -> Renewed:
    """An access token of Google, or an identity token for an audience."""
    audience = options.audience
    if options.gcloud:
        kind = ["print-identity-token", f"--audiences={audience}"] if audience else ["print-access-token"]
        token = check_text(run(["gcloud", "auth", *kind]).strip(), "the token of gcloud")
        return Renewed(token, read_life(token))
    if audience:
        token = check_text(ask_metadata(f"identity?audience={quote(audience, safe='')}"), "the identity token")
        return Renewed(token, read_life(token))
    answer = parse_json(ask_metadata("token"), "the metadata server")
    life = answer.get("expires_in")
    token = get_text(answer, "access_token", "the metadata server")
    return Renewed(token, float(life) if isinstance(life, int) else 0.0)


def read_life(token: str) -> float:
    """The seconds until a JWT ends, which may have been cached for most of an hour; 0 if it does not say when."""
    try:
        payload = token.split(".")[1]
        end = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"]
        return max(1.0, float(end) - time.time())
    except (ValueError, LookupError, TypeError):
        return 0.0


def ask_metadata(what: str) -> str:
    """The answer of Google's metadata server about the service account of this machine or pod."""
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
    try:
        path = f"/computeMetadata/v1/instance/service-accounts/default/{what}"
        connection.request("GET", path, headers={"Metadata-Flavor": "Google"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException, UnicodeDecodeError) as error:
        raise RenewalError(f"the metadata server {host} cannot be read: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise RenewalError(f"the metadata server answered {answer.status} for {path}")
    return text.strip()


def run(command: Sequence[str]) -> str:
    """The output of a command; its error output goes to ours."""
    try:
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=TIMEOUT).stdout
    except FileNotFoundError as error:
        raise RenewalError(f"{command[0]} is not installed") from error
    except subprocess.CalledProcessError as error:
        raise RenewalError(f"{command[0]} failed with exit code {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise RenewalError(f"{command[0]} took longer than {TIMEOUT:g} s") from error


def parse_json(text: str, source: str) -> dict[str, object]:
    """A JSON object."""
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise RenewalError(f"{source} did not answer with a JSON object")
    return answer


def get_text(answer: dict[str, object], key: str, source: str) -> str:
    """A text of a JSON object."""
    return check_text(answer.get(key), f"{key} of {source}")


def check_text(value: object, what: str) -> str:
    """A text that can be a token or a host name."""
    if not isinstance(value, str) or not value or any(character.isspace() for character in value):
        raise RenewalError(f"{what} is not one word")
    return value


def write(path: Path, text: str) -> None:
    """Replace the file as a whole; only its owner may read it, from the beginning."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(f"{text}\n")
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def renew(source: Callable[[argparse.Namespace], Renewed], options: argparse.Namespace) -> float:
    """Renew once; returns the seconds until the next renewal. Raises RenewalError."""
    renewed = source(options)
    try:
        write(options.output, renewed.text)
    except (OSError, UnicodeEncodeError) as error:
        raise RenewalError(f"{options.output} cannot be written: {type(error).__name__}") from error
    interval = float(options.interval)
    return min(interval, max(SHORTEST_WAIT, renewed.life - MARGIN)) if renewed.life else interval


def keep_fresh(source: Callable[[argparse.Namespace], Renewed], options: argparse.Namespace) -> int:
    """Renew until SIGTERM or SIGINT, or once; returns the exit code."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pause = SHORTEST_WAIT
    while True:
        try:
            wait, pause = renew(source, options), SHORTEST_WAIT
        except RenewalError as error:
            sys.stderr.write(f"renewal failed: {error}\n")
            if options.once:
                return 1
            wait, pause = pause, min(2 * pause, LONGEST_WAIT)
        if options.once or stop.wait(wait):
            return 0


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--output", type=Path, required=True, help="file that the exporter reads")
    common.add_argument("--interval", type=float, default=INTERVAL, help="seconds between renewals (%(default)g)")
    common.add_argument("--once", action="store_true", help="renew once, then exit: 0 if it succeeded")
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    mwaa = kinds.add_parser("mwaa", parents=[common], help="Amazon MWAA")
    mwaa.add_argument("--environment", required=True, help="name of the MWAA environment")
    mwaa.add_argument("--region", default="", help="AWS region; by default that of the AWS CLI")
    mwaa.add_argument("--airflow-version", choices=sorted(LOGINS), default="3", help="2 or 3 (%(default)s)")
    google = kinds.add_parser("google", parents=[common], help="Cloud Composer, or a proxy that checks identity tokens")
    google.add_argument("--gcloud", action="store_true", help="ask the gcloud CLI, not the metadata server")
    google.add_argument("--audience", default="", help="get an identity token for this audience, not an access token")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = parse_arguments(arguments)
    return keep_fresh(renew_mwaa if options.kind == "mwaa" else renew_google, options)


if __name__ == "__main__":
    sys.exit(main())
