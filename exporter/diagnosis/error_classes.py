"""The classes of failed tries: a closed set; each failed try has exactly one.

`error_rules.py` decides which. A class says what kind of thing went wrong, and so who can repair it.
"""

from __future__ import annotations

from typing import NamedTuple


class ErrorClass(NamedTuple):
    """One class. `name` is the value of the label `error_class`."""

    name: str
    meaning: str
    """One sentence for pages and documentation."""
    setting: str
    """The settings and arguments to look at, in a few words."""
    suggestion: str
    """What to change or look at, in one sentence."""
    transient: bool
    """Whether such a failure often passes by itself, so that a retry may help."""


NETWORK = ErrorClass(
    "network",
    "A connection was refused, reset or lost, a host name was not found, or TLS failed.",
    "retries, retry_delay, the connection's host and port",
    "Check host, port and DNS of the connection; retries with retry_exponential_backoff help with short outages.",
    True,
)
TIMEOUT = ErrorClass(
    "timeout",
    "A time limit was reached: of the task, the sensor, the run or a query to another system.",
    "execution_timeout, timeout of the sensor or hook",
    "Compare how long successful tries take with execution_timeout (or the sensor's timeout): raise it, or make the "
    "work shorter.",
    True,
)
MEMORY = ErrorClass(
    "memory",
    "The memory was not enough: MemoryError, or the kernel or Kubernetes killed the process for it.",
    "memory limit of the worker or pod, worker_concurrency, pool",
    "Raise the memory limit of the worker or pod, lower worker_concurrency or put the task into a pool with few slots, "
    "or process the data in parts.",
    False,
)
DATABASE = ErrorClass(
    "database",
    "A database refused the connection or a statement: a lock, a constraint, a missing table, too many connections.",
    "the connection, a pool in front of the database, retries",
    "Look at the database's own log at that time; a pool with few slots limits how many tasks use it at once.",
    True,
)
KILLED = ErrorClass(
    "killed",
    "The process was ended from outside: by a signal, a lost heartbeat, a worker that stopped, or by hand.",
    "task_instance_heartbeat_timeout (2.x: scheduler_zombie_task_threshold), termination grace period of workers",
    "Find out what stopped the worker at that time: a deployment, scaling down, a preempted node, or the kernel for "
    "lack of memory.",
    True,
)
DEPENDENCY = ErrorClass(
    "dependency",
    "Another system answered with an error: HTTP 4xx or 5xx, no permission, a quota, or a failed job.",
    "the connection's credentials, quotas, retries with retry_delay",
    "Read what the other system answered: renew credentials after 401 or 403, use a pool and a longer retry_delay "
    "after 429, retry after 5xx.",
    True,
)
CONFIGURATION = ErrorClass(
    "configuration",
    "Something that the task needs does not exist or may not be used: a connection, a variable, a module, a file, "
    "a command.",
    "connections, variables, packages and files of the workers",
    "Create the connection, variable or file, or install the package on all workers; retries do not help.",
    False,
)
DISK = ErrorClass(
    "disk",
    "A disk is full, a quota is used up, or a file system could not be written.",
    "disk of the workers, log retention, temporary files",
    "Free space on the disk that the log names (of a worker: old logs, temporary files), or make it larger.",
    False,
)
CODE = ErrorClass(
    "code",
    "The task's own code raised an exception that no other class describes.",
    "the DAG's code; retries do not help",
    "Read the traceback in the log; retries rarely help with errors of the code.",
    False,
)
COMMAND = ErrorClass(
    "command",
    "A command or container ended with an exit code that does not say why.",
    "the command; skip_on_exit_code",
    "Read what the command wrote to the log; let it exit with different codes for different errors.",
    False,
)
UNKNOWN = ErrorClass(
    "unknown",
    "The log was not read or does not say why the try failed.",
    "permission to read task logs, --airflow.read-logs, remote logging",
    "See airflow_task_logs_read_total: logs may be gone, not permitted, or more than there is time to read.",
    False,
)

CLASSES = (NETWORK, TIMEOUT, MEMORY, DATABASE, KILLED, DEPENDENCY, CONFIGURATION, DISK, CODE, COMMAND, UNKNOWN)
"""All classes."""
BY_NAME = {one.name: one for one in CLASSES}
NAMES = tuple(BY_NAME)
