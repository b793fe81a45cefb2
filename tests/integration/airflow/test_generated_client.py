"""The generated client without its models sends what the whole one sends, and takes much less memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

import pytest

from exporter.sources.airflow.api import objects
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.generated_client import APIS, get_module_name
from tests.integration.airflow.stub import Answer, Asked, script, serve

ALL = """
from exporter.sources.airflow.api import objects
from exporter.sources.airflow.http import generated_client
from exporter.sources.airflow.http.endpoints import Resource
from importlib import import_module
from pkgutil import iter_modules
import inspect, json, sys
from datetime import UTC, datetime

def list_operations():
    for one in iter_modules(objects.__path__):
        for value in vars(import_module(f"{objects.__name__}.{one.name}")).values():
            if isinstance(value, Resource) and value.operation:
                yield value
"""
SEND = (
    ALL
    + """
from exporter.config.settings import AirflowSettings
from exporter.sources.airflow.http.transport import Call, GeneratedTransport

MOMENT = datetime(2026, 11, 30, 8, 1, 2, 345678, tzinfo=UTC)
REQUIRED = {
    "dag_id": "team a/é%b", "dag_run_id": "manual__2026-11-30T08:00:00+00:00", "task_id": "group.load", "map_index": 3,
    "try_number": 2,
}
OPTIONAL = {
    "asset_id": 7, "section": "core", "token": "a", "full_content": True,
    "limit": 100, "offset": 200, "cursor": "c+/=", "order_by": ["-id"], "state": ["running", "no_status"],
    "dag_ids": ["a", "b"], "tags": ["x&y"], "active": True, "paused": False, "only_active": False,
    "exclude_stale": False, "is_alive": True, "hostname": "h", "job_type": "SchedulerJob", "event": "paused",
    **{f"{name}_{end}": MOMENT for name in ("updated_at", "start_date", "end_date", "timestamp", "logical_date",
       "run_after", "created_at", "var_from") for end in ("gte", "lte", "gt", "lt")},
}
if sys.argv[2] == "whole":
    generated_client.import_client = generated_client.import_whole
transport = GeneratedTransport(AirflowSettings(url=sys.argv[1]), "agent/1")
for resource in list_operations():
    api, _, method = resource.operation.partition(".")
    operation = getattr(transport._generated.apis[api], f"{method}_without_preload_content")
    parameters = inspect.signature(operation).parameters
    required = {name: REQUIRED[name] for name, one in parameters.items()
                if one.default is inspect.Parameter.empty and name != "self"}
    optional = {name: value for name, value in OPTIONAL.items() if name in parameters.keys() - required.keys()}
    for query in (required, required | optional):
        call = Call(resource.on_3, {}, query)
        transport.send(call, {"Authorization": "Bearer t"}, 30.0)
transport.close()
print(json.dumps(sorted(name for name, module in sys.modules.items()
    if name.startswith("airflow_client.client.models.") and getattr(module, "__file__", None))))
"""
)


def run(program: str, *arguments: str) -> Any:
    """What a program in a process of its own prints, as JSON."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def list_requests(how: str) -> tuple[list[Asked], list[str]]:
    """What each operation sends, with few and with all arguments, and the models that were imported."""
    with serve(script(Answer({}))) as stub:
        models = run(SEND, stub.url, how)
        asked = [
            one._replace(headers={name: value for name, value in one.headers.items() if name != "Host"})
            for one in stub.asked
        ]
    return asked, models


def list_operations() -> Iterator[str]:
    for one in iter_modules(objects.__path__):
        for value in vars(import_module(f"{objects.__name__}.{one.name}")).values():
            if isinstance(value, Resource) and value.operation:
                yield value.operation


def test_each_operation_sends_the_same_request_as_with_the_whole_client() -> None:
    lean, models = list_requests("lean")
    whole, all_models = list_requests("whole")
    assert lean == whole
    assert len(lean) > 2 * len(APIS)
    assert any(len(one.query) > 5 for one in lean)
    assert (models, len(all_models) > 100) == ([], True)


def test_every_class_that_is_needed_is_imported() -> None:
    assert {operation.partition(".")[0] for operation in list_operations()} <= set(APIS)


@pytest.mark.parametrize(
    ("api", "module"), [("DAGApi", "dag_api"), ("DagRunApi", "dag_run_api"), ("TaskInstanceApi", "task_instance_api")]
)
def test_a_class_is_in_the_module_that_the_generator_names_after_it(api: str, module: str) -> None:
    assert get_module_name(api) == module


def test_pydantic_is_as_it_was() -> None:
    program = """
import json, pydantic
from exporter.sources.airflow.http.generated_client import load_client
before = pydantic.validate_call
load_client()
print(json.dumps(pydantic.validate_call is before and "Placeholders" not in str(__import__("sys").meta_path)))
"""
    assert run(program) is True


@pytest.mark.parametrize(
    "damage",
    [
        "generated_client.APIS = (*generated_client.APIS, 'NewApi')",
        "generated_client.get_module_name = lambda api: 'renamed'",
        "generated_client.Placeholder = None\ngenerated_client.get_placeholder = lambda name: 1 / name",
        "generated_client.find_spec = lambda name: None",
    ],
)
def test_a_client_that_cannot_be_imported_without_its_models_is_imported_as_a_whole(damage: str) -> None:
    program = f"""
import json, sys
from exporter.sources.airflow.http import generated_client
from exporter.sources.airflow.http.endpoints import Resource
{damage}
client = generated_client.load_client()
from airflow_client.client.models.pool_body import PoolBody
print(json.dumps([sorted(client.apis), PoolBody.__module__]))
"""
    assert run(program) == [sorted(APIS), "airflow_client.client.models.pool_body"]


def test_a_client_that_is_imported_already_is_used() -> None:
    program = """
import json
from airflow_client import client as whole
from exporter.sources.airflow.http.generated_client import load_client
print(json.dumps(load_client().apis["DAGApi"] is whole.DAGApi))
"""
    assert run(program) is True
