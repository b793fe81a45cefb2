"""Celery's queues, workers and broker, read from the broker."""

from functools import partial

from exporter.metrics.family import Family, Kind

queues = partial(Family, kind=Kind.GAUGE, source="celery", reader="queues")
workers = partial(Family, kind=Kind.GAUGE, source="celery", reader="workers")

QUEUE_MESSAGES = queues(
    "airflow_celery_queue_messages",
    help="Number of messages in a queue that no worker has taken yet, over all priorities",
    labels=("queue",),
    origin="Redis: LLEN; RabbitMQ: passive queue.declare",
)
QUEUE_CONSUMERS = queues(
    "airflow_celery_queue_consumers",
    help="Number of consumers of a queue; absent on Redis, which does not know them",
    labels=("queue",),
    origin="RabbitMQ: passive queue.declare",
)
UNACKNOWLEDGED = queues(
    "airflow_celery_unacknowledged_messages",
    help="Number of messages that workers have taken and not acknowledged: tasks that run or are reserved; absent on "
    "RabbitMQ, whose protocol does not show them",
    origin="Redis: HLEN unacked",
)
OLDEST_UNACKNOWLEDGED = queues(
    "airflow_celery_oldest_unacknowledged_timestamp_seconds",
    help="Time when the oldest message that is not acknowledged was delivered; absent if there is none",
    origin="Redis: ZRANGE unacked_index",
)
BROKER_MEMORY = queues(
    "airflow_celery_broker_memory_bytes",
    help="Memory that the broker uses; absent on RabbitMQ",
    origin="Redis: INFO memory, used_memory",
)
BROKER_MEMORY_LIMIT = queues(
    "airflow_celery_broker_memory_limit_bytes",
    help="Most memory that the broker may use; absent if it is not limited",
    origin="Redis: INFO memory, maxmemory",
)
BROKER_RESPONSE = queues(
    "airflow_celery_broker_response_seconds",
    help="Time that the broker took to answer a simple request",
    origin="Redis: PING; RabbitMQ: opening of a channel",
)
WORKERS = workers(
    "airflow_celery_workers",
    help="Number of live workers that consume a queue; 0 for a queue that tasks use and no worker consumes",
    labels=("queue",),
    origin="Celery's remote control: active_queues",
)
WORKER_UP = workers(
    "airflow_celery_worker_up",
    help="Whether a worker answers: 1 if it does, 0 for an hour after it stopped answering",
    labels=("worker",),
    origin="Celery's remote control, or heartbeats where it is disabled",
)
WORKER_SLOTS = workers(
    "airflow_celery_worker_slots",
    help="Number of tasks that a worker runs at once",
    labels=("worker",),
    origin="Celery's remote control: stats, pool.max-concurrency",
)
WORKER_QUEUE = workers(
    "airflow_celery_worker_queue_info",
    help="Which queues a live worker consumes; value 1",
    labels=("worker", "queue"),
    origin="Celery's remote control: active_queues",
    audience="users of `advise`, which reads the workers of each queue",
)
WORKER_ACTIVE = workers(
    "airflow_celery_worker_active_tasks",
    help="Number of tasks that a worker runs; of a worker that is down, those that it ran when it was last seen",
    labels=("worker",),
    origin="Celery's remote control: active",
)
WORKER_RESERVED = workers(
    "airflow_celery_worker_reserved_tasks",
    help="Number of tasks that a worker has taken from the broker and not started; no other worker can run them",
    labels=("worker",),
    origin="Celery's remote control: reserved",
)
HELD = workers(
    "airflow_celery_queue_held_tasks",
    help="Number of tasks that busy workers have reserved while another worker of the same queue has a free slot",
    labels=("queue",),
    origin="Celery's remote control: active_queues, stats, active, reserved",
)
VISIBILITY_TIMEOUT = workers(
    "airflow_celery_visibility_timeout_seconds",
    help="Time after which the broker delivers a message again that was not acknowledged: a task that runs for longer "
    "runs twice; absent where the workers do not say it",
    origin="Celery's remote control: conf, broker_transport_options.visibility_timeout",
)

FAMILIES = (
    QUEUE_MESSAGES,
    QUEUE_CONSUMERS,
    UNACKNOWLEDGED,
    OLDEST_UNACKNOWLEDGED,
    BROKER_MEMORY,
    BROKER_MEMORY_LIMIT,
    BROKER_RESPONSE,
    WORKERS,
    WORKER_UP,
    WORKER_SLOTS,
    WORKER_QUEUE,
    WORKER_ACTIVE,
    WORKER_RESERVED,
    HELD,
    VISIBILITY_TIMEOUT,
)
