"""Imports of apache-airflow-client only what sends requests: without its models, and without validation.

Its package imports 180 models, and lets pydantic make validators for 600 methods: 21 MB and a second of CPU. The
exporter passes plain values and decodes the replies itself, so models are placeholders here, and methods check no
types. A release that cannot be imported in this way is imported as a whole.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

log = logging.getLogger(__name__)

PACKAGE = "airflow_client.client"
MODELS, METHODS = f"{PACKAGE}.models", f"{PACKAGE}.api"
APIS = (
    *("AssetApi", "BackfillApi", "ConfigApi", "DAGApi", "DagRunApi", "DagWarningApi", "EventLogApi", "ImportErrorApi"),
    *("JobApi", "MonitorApi", "PoolApi", "TaskApi", "TaskInstanceApi", "VersionApi"),
)
"""The classes whose methods are called."""
WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
FAILURES = (ImportError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What an import raises if the package is not as expected."""

Function = TypeVar("Function")
load_lock = Lock()


class GeneratedClient(NamedTuple):
    """The parts of the client that are used."""

    api_client: Any
    configuration: Any
    exception: type[Exception]
    apis: Mapping[str, Any]
    """The classes in APIS, by name, as far as this release has them."""


class Placeholder:
    """Stands for every model."""


class ModelPlaceholders(MetaPathFinder, Loader):
    """Makes modules of models in which every name is the placeholder."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - as the import system calls it
        target: ModuleType | None = None,  # noqa: ARG002 - as above
    ) -> ModuleSpec | None:
        """A module of this loader for each module of models."""
        return ModuleSpec(fullname, self) if fullname.startswith(f"{MODELS}.") else None

    def exec_module(self, module: ModuleType) -> None:
        """Fill a module."""
        module.__dict__["__getattr__"] = get_placeholder


def get_placeholder(name: str) -> type[Placeholder]:
    """The placeholder for the name of a model. Raises AttributeError for names of the import system."""
    if name.startswith("__"):
        raise AttributeError(name)
    return Placeholder


def load_client() -> GeneratedClient:
    """The client, imported at the first call. Raises ImportError if it is not installed."""
    with load_lock:
        return import_client()


@cache
def import_client() -> GeneratedClient:
    """Import the client, without its models if possible."""
    if PACKAGE in sys.modules:
        return import_whole()
    try:
        return import_without_models()
    except FAILURES as error:
        log.info("apache-airflow-client is imported with its models, which takes 17 MB more: %s", error)
        for name in [name for name in sys.modules if name == PACKAGE or name.startswith(f"{PACKAGE}.")]:
            del sys.modules[name]
        return import_whole()


def import_whole() -> GeneratedClient:
    """Import the client as its authors intend."""
    module = import_module(PACKAGE)
    apis = {name: getattr(module, name) for name in APIS if hasattr(module, name)}
    return GeneratedClient(module.ApiClient, module.Configuration, module.ApiException, apis)


def import_without_models() -> GeneratedClient:
    """Import single modules of the client. Raises one of FAILURES if they are not as expected."""
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{PACKAGE} is no package")
    folder = Path(next(iter(spec.submodule_search_locations)))
    add_empty_package(PACKAGE, folder)
    add_empty_package(MODELS, folder / "models")
    add_empty_package(METHODS, folder / "api")
    with without_models():
        return GeneratedClient(
            import_module(f"{PACKAGE}.api_client").ApiClient,
            import_module(f"{PACKAGE}.configuration").Configuration,
            import_module(f"{PACKAGE}.exceptions").ApiException,
            {name: getattr(import_module(f"{METHODS}.{get_module_name(name)}"), name) for name in APIS},
        )


def add_empty_package(name: str, folder: Path) -> None:
    """Add a package whose modules can be imported, but whose own `__init__` is not executed."""
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    module = module_from_spec(spec)
    sys.modules[name] = module
    parent, _, child = name.rpartition(".")
    setattr(sys.modules[parent], child, module)


@contextmanager
def without_models() -> Iterator[None]:
    """Let modules that are imported meanwhile get placeholders for models, and no validators from pydantic."""
    import pydantic  # noqa: PLC0415 - only an exporter that reads Airflow 3 loads it

    finder, names = ModelPlaceholders(), vars(pydantic)
    validate_call = pydantic.validate_call
    sys.meta_path.insert(0, finder)
    names["validate_call"] = keep_unvalidated
    try:
        yield
    finally:
        names["validate_call"] = validate_call
        sys.meta_path.remove(finder)


def keep_unvalidated(function: Function) -> Function:
    """Stands for the decorator that checks the types of arguments."""
    return function


def get_module_name(api: str) -> str:
    """The module of a class, as the generator names it: `DagRunApi` is in `dag_run_api`."""
    return WORD_START.sub("_", api).lower()
