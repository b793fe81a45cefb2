"""Attribution of processes to components and tries: by title, or else by the nearest ancestor with a title."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from exporter.metrics.catalogue.host.processes import COMPONENTS
from exporter.sources.directory import TaskKey
from exporter.sources.host.processes.owners import UNKNOWN_TASK, ComponentOwner, Owner, Try
from exporter.sources.host.processes.process import SLOW_SCAN_EVERY, Process
from exporter.sources.host.processes.titles import SUPERVISORS, ProcessTitle, TryIds

OpenTry = Callable[[str, str, TaskKey | None], Try]
"""Returns the try with this key, created if new. Arguments: key, UUID, name of the task."""

NEW_SCANS = 3
"""Scans during which a new process may still execute another program."""
TASK_ONLY_WORKERS = ("local_worker", "celery_pool")
"""Components whose processes only run tasks, one after the other."""


class Attribution:
    """Determines owners by titles and parents. `open_try` returns the try for a key."""

    def __init__(self, open_try: OpenTry) -> None:
        self.components = {name: ComponentOwner(name) for name in COMPONENTS}
        self._open = open_try

    def determine_owner(self, process: Process, parent: Process | None) -> Owner | None:
        """The owner of a process; None if it is not Airflow's."""
        title, above = process.title, parent.owner if parent else None
        if isinstance(above, Try) and not (title and title.work and title.work.uuid):
            # What a task starts belongs to the task, even an Airflow command.
            return above
        if title is None:
            return process.owner or self._inherit_owner(process, parent)
        if parent is not None and above is not None and process.cmdline_hash == parent.cmdline_hash:
            return self._recognize_fork(process, title, above)
        if not title.component:
            return self._determine_task(process, title.work)
        if title.component == "celery_pool":
            is_airflow = isinstance(above, ComponentOwner) and above.name in ("celery_worker", "celery_pool")
            return self.components["celery_pool"] if is_airflow else process.owner
        if title.component == "task_supervisor" and self._is_pool(process, above):
            return self.components["celery_pool"]
        return self.components[title.component]

    def infer_unseen_owner(self, parent: Process) -> Owner | None:
        """The owner of a child that started and ended between two scans, inferred from its parent."""
        owner, title = parent.owner, parent.title
        if not isinstance(owner, ComponentOwner) or title is None:
            return owner
        if owner.name == "dag_processor":
            return self.components["dag_file_processor"]
        if owner.name not in SUPERVISORS:
            return owner
        works = [one.work for one in (parent.previous_title, title) if one and one.work]
        stem = f"{parent.stat.pid}:{parent.stat.start}"
        tries = [self._open_try(work, f"{stem}:{work.dag_id}:{work.task_id}") for work in works]
        # A try without any counted CPU is more likely than one that was seen to end.
        for found in sorted(tries, key=lambda each: each.cpu_ticks > 0):
            if found.process_count == 0:
                return found
        # Children of these components are always tasks; no title says which one this was.
        return self._open("", "", UNKNOWN_TASK) if owner.name in TASK_ONLY_WORKERS else owner

    def find_accountable(self, process: Process, ended: Iterable[Process]) -> list[Owner]:
        """The owners of what children used after they were last read; tries take precedence over components."""
        owners = list(dict.fromkeys(child.owner for child in ended if child.owner is not None))
        tries: list[Owner] = [owner for owner in owners if isinstance(owner, Try)]
        unseen = [] if owners else [self.infer_unseen_owner(process)]
        return tries or owners[-1:] or [owner for owner in unseen if owner is not None]

    def _inherit_owner(self, process: Process, parent: Process | None) -> Owner | None:
        """The owner of a child without a title: that of its parent, or the try that the parent supervises."""
        title = parent.title if parent else None
        if title and title.work and watches_task(title):
            return self._open_try(title.work, build_process_key(process))
        return parent.owner if parent else None

    def _recognize_fork(self, process: Process, title: ProcessTitle, above: Owner) -> Owner:
        """The owner of a forked child that still has the title of its parent, or keeps it."""
        if process.owner is not None and process.scans > 1:
            return process.owner
        if title.work and title.component in SUPERVISORS:
            if watches_task(title):
                return self._open_try(title.work, build_process_key(process))
            return self.components["task_supervisor"]
        return self.components["dag_file_processor"] if title.component == "dag_processor" else above

    def _determine_task(self, process: Process, work: TryIds | None) -> Owner:
        if work is None:
            return process.owner or self._open("", "", UNKNOWN_TASK)
        owner = process.owner
        if not work.uuid and isinstance(owner, Try) and owner.named == (work.dag_id, work.task_id):
            return owner
        return self._open_try(work, build_process_key(process))

    def _open_try(self, work: TryIds, key: str) -> Try:
        if work.uuid:
            return self._open(work.uuid, work.uuid, None)
        return self._open(key, "", TaskKey(work.dag_id, work.task_id))

    def _is_pool(self, process: Process, above: Owner | None) -> bool:
        """Whether a process that runs a task belongs to Celery's pool: it did before, or its parent is the worker."""
        return process.owner is self.components["celery_pool"] or above is self.components["celery_worker"]


def watches_task(title: ProcessTitle) -> bool:
    """Whether its children are processes of tasks. On Airflow 2 children of a local worker are supervisors."""
    return bool(title.work and (title.work.uuid or title.component == "task_supervisor"))


def build_process_key(process: Process) -> str:
    return f"{process.stat.pid}:{process.stat.start}"


def is_helper(process: Process, owner: Owner | None, parent: Process | None) -> bool:
    """Whether a process only helps another process of the same owner, its parent.

    Many helpers keep the title of their parent: a Celery worker of Airflow 3 has a child that deletes old DAG bundles,
    a triggerer has one that runs the triggers. A helper remains one after its parent has ended.
    """
    if owner is None:
        return False
    return (process.helper and process.owner is owner) or (parent is not None and parent.owner is owner)


def is_busy(process: Process) -> bool:
    """Whether the process belongs to a task or runs tasks."""
    owner = process.owner
    return isinstance(owner, Try) or (isinstance(owner, ComponentOwner) and owner.name in SUPERVISORS)


def may_change(process: Process) -> bool:
    """Whether the title of a process may have changed since it was last read."""
    if process.cmdline_hash is None or process.scans <= NEW_SCANS:
        return True
    return is_busy(process) or (process.owner is not None and process.scans % SLOW_SCAN_EVERY == 0)
