"""The rules that give failed tries their class: an example of each row, and the order in which evidence counts."""

from __future__ import annotations

import pytest

from exporter.diagnosis import error_classes as classes
from exporter.diagnosis.classify import classify
from exporter.diagnosis.error_rules import LAST_RULES, RULES, ErrorRule
from exporter.diagnosis.evidence import Evidence, RaisedError, find_exit_code

Example = RaisedError | str | int | tuple[str, int]
"""An exception, words without one, an exit code, or that of a command."""


def raised(name: str, text: str = "", module: str = "", origin: str = "") -> RaisedError:
    return RaisedError(name, module, text, origin=origin)


EXAMPLES: tuple[tuple[Example, ...], ...] = (
    # Airflow ends a try
    (raised("AirflowTaskTimeout", "Timeout, PID: 7"),),
    (raised("AirflowTaskTerminated"),),
    (raised("AirflowException", "Task received SIGTERM signal"),),
    # memory
    (raised("MemoryError"), raised("_ArrayMemoryError"), raised("OutOfMemoryError")),
    (raised("OSError", "[Errno 12] Cannot allocate memory"),),
    (raised("Py4JJavaError", "java.lang.OutOfMemoryError: Java heap space"),),
    # Airflow's own
    (raised("AirflowSensorTimeout"), raised("TaskDeferralTimeout")),
    (raised("TaskDeferralError", "Trigger timed out"),),
    (raised("WorkerLostError"), raised("BrokenProcessPool")),
    (raised("AirflowNotFoundException", "The conn_id `x` isn't defined"), raised("AirflowConfigException"),
     raised("ExternalDagNotFoundError"), raised("TaskNotFound")),
    (raised("ValueError", "Python Path '/opt/no/python' must exists", "airflow.providers.standard.operators.python"),),
    (raised("AirflowRuntimeError", "CONNECTION_NOT_FOUND: {'message': 'Connection x not found'}"),),
    (raised("AirflowRuntimeError", "API_SERVER_ERROR: {'status_code': 404, 'message': 'Server returned error', "
            "'detail': {'detail': {'reason': 'not_found', 'message': \"DAG with dag_id: 'x' not found\"}}}"),),
    (raised("AirflowRuntimeError", "API_SERVER_ERROR: {'status_code': None, 'message': 'timed out', 'exception_type': "
            "'ReadTimeout'}"),),
    (raised("AirflowRuntimeError", "API_SERVER_ERROR: {'status_code': 400, 'message': 'Server returned error', "
            "'detail': {'detail': {'reason': 'unmappable_return_value_length', 'message': 'too large'}}}"),),
    (raised("KeyError", "'Variable threshold does not exist'"),),
    (raised("AirflowException", "Dag 'x' could not be found; either it does not exist or it failed to parse."),
     raised("AirflowException", "The external task load in DAG upstream does not exist.")),
    (raised("KeyError", "'REGION'", "os"),),
    (raised("ExternalTaskFailedError"), raised("AirflowSecretsBackendAccessDenied")),
    (raised("AirflowException", "Test failed.\nQuery:\nSELECT 1"),),
    # time limits of libraries
    (raised("TimeoutExpired"), raised("ReadTimeout", module="requests.adapters"), raised("DeadlineExceeded")),
    (raised("QueryCanceled", "canceling statement due to statement timeout", "psycopg.errors"),),
    (raised("WaiterError", "Waiter X failed: Max attempts exceeded"), raised("URLError", "<urlopen error timed out>")),
    # databases
    (raised("DiskFullError"),),
    (raised("OperationalError", "database or disk is full", "sqlite3"),),
    (raised("NoSuchModuleError", "Can't load plugin: sqlalchemy.dialects:x", "sqlalchemy.exc"),),
    (raised("ArgumentError", "Could not parse SQLAlchemy URL from string 'x'", "sqlalchemy.exc"),),
    (raised("DataError", "No numeric types to aggregate", "pandas.errors"),),
    (raised("OperationalError", "Connection refused", "psycopg"),),
    (raised("UniqueViolation"), raised("InsufficientPrivilege"), raised("UndefinedTableError")),
    (raised("SyntaxError", 'syntax error at or near "SELEC"'),),
    (raised("Py4JJavaError", ": org.postgresql.util.PSQLException: Connection to db:5432 refused"),),
    (raised("SnowflakeSQLException"), raised("ServerSelectionTimeoutError", "10.0.0.1:27017: timed out")),
    (raised("ResourceClosedError", module="sqlalchemy.exc"), raised("NotFoundError", module="elasticsearch")),
    (raised("ConnectionError", "Error 111 connecting to redis:6379", "redis.exceptions"),),
    # credentials
    (raised("NoCredentialsError", module="botocore.exceptions"), raised("DefaultCredentialsError")),
    (raised("InvalidToken", module="cryptography.fernet"),),
    (raised("TypeError", "Class org.postgresql.Driver is not found", "jpype._jclass"),),
    # network
    (raised("ProtocolError", "<ProtocolError for x/RPC2: 404 Not Found>", "xmlrpc.client"),),
    (raised("TimeoutError", "[Errno 110] Connection timed out"),),
    (
        raised("ConnectionRefusedError"),
        raised("ConnectionError", module="requests.exceptions"),
        raised("gaierror", "[Errno -2] Name or service not known", "socket"),
        raised("ConnectTimeout", module="httpx"),
        raised("EndpointConnectionError", module="botocore.exceptions"),
    ),
    (raised("ReadError", module="httpx"),),
    (raised("OSError", "Failure", "paramiko.sftp_client", "paramiko.sftp_client"),),
    (raised("EOFError", origin="paramiko.message"), raised("OSError", "Socket is closed", origin="paramiko.channel")),
    (
        raised("SSLError", module="requests.exceptions"),
        raised("SSLCertVerificationError", module="ssl"),
        raised("ClientConnectorError", module="aiohttp.client_exceptions"),
        raised("ServiceRequestError", module="azure.core.exceptions"),
    ),
    (raised("URLError", "<urlopen error [Errno 111] Connection refused>"), raised("OSError", "[Errno 113] No route")),
    (raised("_InactiveRpcError", "status = StatusCode.UNAVAILABLE"),
     raised("KafkaException", 'KafkaError{code=_TRANSPORT,str="Local: Broker transport failure"}')),
    (raised("RetryError", "RetryError[<Future at 0x7f state=finished raised ConnectionError>]", "tenacity"),),
    (raised("Py4JJavaError", ": java.util.concurrent.TimeoutException: Futures timed out after [300 seconds]"),),
    (raised("_InactiveRpcError", "status = StatusCode.DEADLINE_EXCEEDED"),),
    (raised("TimeoutError"), raised("Timeout", module="requests.exceptions"), raised("WaiterTimeoutError")),
    # pods
    (raised("AirflowException", "Pod x returned a failure.\n'reason': 'OOMKilled', 'exit_code': 137"),),
    (raised("AirflowException", "Pod x: container 'base' waits: ImagePullBackOff"),),
    (raised("AirflowException", "Pod x was evicted: the node was low on resource"),),
    (raised("PodNotFoundException"),),
    (raised("AirflowException", "Pod took longer than 120 seconds to start"),),
    # other systems
    (
        raised("HTTPError", "401 Client Error: Unauthorized for url: http://x/", "requests.models"),
        raised("HTTPStatusError", "Server error '503 Service Unavailable'", "httpx"),
        raised("ClientError", "An error occurred (AccessDenied)", "botocore.exceptions"),
        raised("ApiException", "(403)", "kubernetes.client.exceptions"),
    ),
    (
        raised("ClientAuthenticationError", module="azure.core.exceptions"),
        raised("SMTPAuthenticationError"),
        raised("error_perm", "550 no such file", "ftplib"),
    ),
    (raised("RetryError", "too many 503 error responses", "requests.exceptions"),),
    (raised("_InactiveRpcError", "status = StatusCode.PERMISSION_DENIED"),),
    (raised("DockerContainerFailedException", "Docker container failed: {'StatusCode': 3}"),),
    (raised("DockerException", "Error while fetching: ('Connection aborted.', 111)", "docker.errors"),),
    (raised("Conflict", "409 Already Exists", "google.api_core.exceptions"),),
    (raised("AccessDeniedException", "403 no access"), raised("KafkaException", "unknown topic")),
    # disk
    (raised("OSError", "[Errno 28] No space left on device"), raised("OSError", "[Errno 122] Disk quota exceeded")),
    # what is missing
    (raised("ModuleNotFoundError", "No module named 'x'"), raised("FileNotFoundError"), raised("PermissionError")),
    (raised("OSError", "[Errno 24] Too many open files"),),
    # commands
    (raised("CalledProcessError", "returned non-zero exit status 4."), raised("SystemExit", "3")),
    (raised("Failure", "exit 3", "invoke.exceptions"),),
    (
        raised("AirflowException", "Bash command failed. The command returned a non-zero exit code 3."),
        raised("AirflowException", "SSH operator error: exit status = 3"),
    ),
    # words
    ("Memory cgroup: oom-kill", "std::bad_alloc", "Container killed by YARN for exceeding physical memory limits",
     "FATAL: out of memory"),
    ("write failed: No space left on device", "cp: error writing '/mnt/a': Input/output error"),
    ("Task instance heartbeat timeout", "Detected zombie job", "State was set externally to success"),
    ("Received SIGSEGV", "Segmentation fault (core dumped)", "Dag Run already exists, marking task as failed.",
     "thread 'main' panicked at 'index out of bounds'", "panic: runtime error: index out of range",
     "12:00:01  Compilation Error in model orders (models/orders.sql)"),
    ("ssh: connect to host x port 22: Connection timed out", "connect ETIMEDOUT 10.0.0.1:443"),
    ("the request timed out", "execution_timeout was reached"),
    ("FATAL: remaining connection slots are reserved", "ORA-00060: deadlock", "database is locked",
     'could not translate host name "db" to address: Name or service not known',
     'psql:load.sql:3: ERROR:  duplicate key value violates unique constraint "orders_pkey"',
     "Error: near line 1: no such table: orders"),
    ("curl: (6) Could not resolve host", "ssh: connect: Connection refused", "getaddrinfo ENOTFOUND x",
     "HTTPSConnectionPool(host='x', port=443): Max retries exceeded with url: /",
     "Unable to connect to the server: dial tcp: lookup kube on 10.0.0.2:53: no such host",
     "The connection to the server 10.0.0.1:6443 was refused - did you specify the right host or port?",
     "rsync: connection unexpectedly closed (0 bytes received so far) [Receiver]"),
    ("404:Not Found", "422:Unprocessable Entity", "HTTP status code 503", "Job 7 failed with 2 errors",
     "API rate limit", "Run State: FAILED", "DagRun finished with failed state.", "Dataflow job beam has failed.",
     "fatal error: An error occurred (404) when calling the HeadObject operation: Not Found",
     "The client 'x' does not have authorization to perform action"),
    ("spark-submit: command not found", "No module named 'x'", "Task not found in Dag during start up",
     "JAVA_HOME is not set", "[Errno 2] No such file", "line 3: REGION: unbound variable",
     "fatal: repository '/no/such/repo.git' does not exist"),
    # exit codes and signals
    (124,),
    (137, 143, -9, -15),
    (127, 126),
    (-25,),
    (139, -11, -6),
    # exit codes of programs
    (("curl -s http://x", 6), ("cd /tmp && curl -s http://x", 60)),
    (("curl -s http://x", 28),),
    (("curl -fs http://x", 22),),
    (("wget http://x", 4),),
    (("wget http://x", 8),),
    (("rsync -a x: .", 12),),
    (("ssh bastion ls", 255),),
    (("psql -f load.sql", 2),),
)  # fmt: skip


LAST: tuple[tuple[RaisedError, ...], ...] = (
    (
        raised(
            "AirflowException", "bucket must be given", "airflow.exceptions", "airflow.providers.amazon.aws.hooks.s3"
        ),
    ),
    (
        raised("AirflowException", "Response check returned False.", "", "airflow.providers.http.operators.http"),
        raised("RuntimeError", "no worker", "", "airflow.providers.apache.beam.hooks.beam"),
    ),
    (raised("TaskDeferralError", "Trigger failure", "airflow.exceptions"),),
    (raised("AzureDataFactoryPipelineRunException", "", "airflow.providers.microsoft.azure.hooks.data_factory"),),
)


def make_evidence(example: Example) -> Evidence:
    if isinstance(example, RaisedError):
        return Evidence(chain=[example])
    if isinstance(example, tuple):
        failed = raised(
            "AirflowException", f"Bash command failed. The command returned a non-zero exit code {example[1]}."
        )
        return Evidence(chain=[failed], command=example[0])
    return Evidence(complaints=example) if isinstance(example, str) else Evidence(exit_code=example)


def matches(rule: ErrorRule, example: Example) -> bool:
    if isinstance(example, RaisedError):
        return rule.is_typed and rule.matches(example)
    if isinstance(example, str):
        return rule.matches_words(example)
    command, code = example if isinstance(example, tuple) else ("", example)
    return rule.matches_code(code, command)


@pytest.mark.parametrize(
    ("place", "example"), [(place, example) for place, row in enumerate(EXAMPLES) for example in row], ids=str
)
def test_each_row_decides_its_examples(place: int, example: Example) -> None:
    first = next(number for number, rule in enumerate(RULES) if matches(rule, example))
    assert first == place, RULES[first]
    decided = classify(make_evidence(example))
    assert decided is RULES[place].error_class or RULES[place].error_class is classes.COMMAND


def test_each_row_has_an_example() -> None:
    assert len(EXAMPLES) == len(RULES)
    assert len(LAST) == len(LAST_RULES)


@pytest.mark.parametrize(
    ("place", "example"), [(place, example) for place, row in enumerate(LAST) for example in row], ids=str
)
def test_what_a_provider_raises_without_a_word_is_an_answer_of_the_other_system(
    place: int, example: RaisedError
) -> None:
    assert next(number for number, rule in enumerate(LAST_RULES) if rule.matches(example)) == place
    assert classify(make_evidence(example)) is LAST_RULES[place].error_class


@pytest.mark.parametrize("origin", ["airflow.providers.standard.operators.python", "airflow.providers.common.sql", ""])
@pytest.mark.parametrize("name", ["AirflowException", "ValueError", "KeyError"])
def test_what_no_other_system_is_behind_stays_a_matter_of_the_code(origin: str, name: str) -> None:
    assert classify(Evidence(chain=[raised(name, "no rows", origin=origin)])) is classes.CODE


def test_the_type_decides_before_the_words_and_before_its_cause() -> None:
    refused = raised("ConnectionRefusedError", "[Errno 111] Connection refused", "socket")
    chain = [raised("OperationalError", "connection failed: Connection refused", "psycopg"), refused]
    assert classify(Evidence(chain=chain)) is classes.DATABASE


@pytest.mark.parametrize("wrapper", ["AirflowException", "ValueError", "TransferError"])
def test_what_a_general_type_wraps_decides_before_its_words(wrapper: str) -> None:
    chain = [raised(wrapper, "the query timed out"), raised("OperationalError", "", "psycopg")]
    assert classify(Evidence(chain=chain)) is classes.DATABASE


def test_words_decide_where_no_type_does_and_code_is_what_remains() -> None:
    assert classify(Evidence(chain=[raised("AirflowException", "404:Not Found")])) is classes.DEPENDENCY
    assert classify(Evidence(chain=[raised("ValueError", "invalid literal")])) is classes.CODE
    assert classify(Evidence(chain=[raised("AirflowFailException", "not today")])) is classes.CODE


@pytest.mark.parametrize("name", ["TypeError", "AttributeError", "KeyError"])
def test_a_mistake_in_a_call_of_a_library_is_one_of_the_code(name: str) -> None:
    assert classify(Evidence(chain=[raised(name, "x", "sqlalchemy.engine.base")])) is classes.CODE


def test_chatter_of_the_log_does_not_count_beside_an_exception() -> None:
    chain = [raised("ValueError", "bad row 7")]
    assert classify(Evidence(chain=chain, complaints="Connection refused, trying again")) is classes.CODE


@pytest.mark.parametrize(
    ("code", "said", "expected"),
    [
        (1, "", classes.COMMAND),
        (1, "psql: error: connection to server failed: Connection refused", classes.NETWORK),
        (1, "cp: error writing: No space left on device", classes.DISK),
        (127, "", classes.CONFIGURATION),
        (137, "", classes.KILLED),
        (137, "Memory cgroup out of memory: oom-kill", classes.MEMORY),
        (139, "", classes.CODE),
        (124, "", classes.TIMEOUT),
        (-9, "", classes.KILLED),
    ],
)
def test_a_command_is_judged_by_its_code_and_then_by_what_it_wrote(
    code: int, said: str, expected: classes.ErrorClass
) -> None:
    failed = raised("AirflowException", f"Bash command failed. The command returned a non-zero exit code {code}.")
    assert classify(Evidence(chain=[failed], said=said)) is expected


def test_the_traceback_that_a_command_wrote_counts() -> None:
    failed = raised("CalledProcessError", "Command 'python x.py' returned non-zero exit status 1.")
    assert classify(Evidence(chain=[failed], output=[raised("OperationalError")])) is classes.DATABASE
    assert classify(Evidence(chain=[failed], output=[raised("KeyError")])) is classes.CODE


def test_airflows_guess_at_memory_is_no_evidence_and_the_kernels_word_is() -> None:
    guess = "Process terminated by signal. Likely out of memory error (OOM). For more information, see https://x"
    assert classify(Evidence(exit_code=-9, complaints=guess)) is classes.KILLED
    assert classify(Evidence(exit_code=-9, complaints=guess, out_of_memory=True)) is classes.MEMORY


def test_without_evidence_it_is_unknown_and_a_code_without_meaning_is_a_command() -> None:
    assert classify(Evidence()) is classes.UNKNOWN
    assert classify(Evidence(exit_code=0)) is classes.UNKNOWN
    assert classify(Evidence(exit_code=5)) is classes.COMMAND


@pytest.mark.parametrize(
    ("rule", "evidence"),
    [
        (ErrorRule(classes.DEPENDENCY, exception="ValueError"), Evidence(chain=[raised("ValueError")])),
        (ErrorRule(classes.DEPENDENCY, words="mainframe"), Evidence(chain=[raised("ValueError", "Mainframe down")])),
        (ErrorRule(classes.DEPENDENCY, words="mainframe"), Evidence(exit_code=1, complaints="the mainframe is down")),
        (ErrorRule(classes.DEPENDENCY, codes=(75,)), Evidence(chain=[raised("AirflowException", "exit code 75")])),
        (ErrorRule(classes.DEPENDENCY, module="acme"), Evidence(chain=[raised("Broken", "", "acme.client")])),
        (ErrorRule(classes.DEPENDENCY, exception="MemoryError"), Evidence(chain=[raised("MemoryError")])),
    ],
)
def test_rules_of_users_come_first(rule: ErrorRule, evidence: Evidence) -> None:
    assert classify(evidence) is not classes.DEPENDENCY
    assert classify(evidence, [rule]) is classes.DEPENDENCY


def test_all_that_a_rule_of_a_user_names_must_match() -> None:
    rule = ErrorRule(classes.DEPENDENCY, exception="ValueError", words="mainframe", codes=(1,))
    chain = [raised("ValueError", "mainframe")]
    assert classify(Evidence(chain=chain), [rule]) is classes.CODE
    assert classify(Evidence(chain=chain, exit_code=1), [rule]) is classes.DEPENDENCY


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("The command returned a non-zero exit code 3.", 3),
        ("returned non-zero exit status 4.", 4),
        ("died with <Signals.SIGKILL: 9>.", -9),
        ("Task exited with return code Negsignal.SIGTERM", -15),
        ("Task exited with return code -9", -9),
        ("SSH operator error: exit status = 3", 3),
        ("{'Error': None, 'StatusCode': 137}", 137),
        ("'exit_code': 137, 'reason': 'Error'", 137),
        ("Bash command failed", None),
    ],
)
def test_exit_codes_are_found_in_texts(text: str, code: int | None) -> None:
    assert find_exit_code(text) == code
