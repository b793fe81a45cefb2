"""Which class a failed try has: one ordered table of rules. `classify` applies it.

Each row of RULES has its example in tests/unit/diagnosis/test_error_rules.py.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass, field

from exporter.diagnosis import error_classes as classes
from exporter.diagnosis.error_classes import ErrorClass
from exporter.diagnosis.evidence import RaisedError


@dataclass(frozen=True, slots=True)
class ErrorRule:
    """One row. All that is given must match; what is empty matches anything."""

    error_class: ErrorClass
    exception: str = ""
    """The name of the type, without its module: a regular expression that matches all of it."""
    module: str = ""
    """A regular expression that matches the beginning of the module."""
    words: str = ""
    """A regular expression that is found in the message, in any case of letters."""
    codes: tuple[int, ...] = ()
    """Exit codes; signals are negative."""
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        sources = (self.exception, rf"(?:{self.module})(?:\.|\Z)" if self.module else "", self.words)
        patterns = (re.compile(sources[0]), re.compile(sources[1]), re.compile(sources[2], re.IGNORECASE))
        object.__setattr__(self, "_patterns", patterns)

    @property
    def is_typed(self) -> bool:
        """Whether the rule is about a type of exception."""
        return bool(self.exception or self.module)

    def matches(self, error: RaisedError) -> bool:
        """Whether it matches an exception."""
        name, module, words = self._patterns
        if self.exception and not name.fullmatch(error.name):
            return False
        if self.module and (not module.match(error.module) or (not self.exception and is_builtin(error.name))):
            return False
        return not self.words or words.search(error.text) is not None

    def matches_words(self, text: str) -> bool:
        """Whether a rule without a type is found in a text."""
        return not self.is_typed and bool(self.words) and self._patterns[2].search(text) is not None


def is_builtin(name: str) -> bool:
    """Whether a type of exception is Python's: which module raised it says nothing."""
    return isinstance(getattr(builtins, name, None), type)


DATABASES = (
    "psycopg|psycopg2|asyncpg|pg8000|sqlalchemy|sqlite3|MySQLdb|pymysql|mysql|aiomysql|mariadb|oracledb|"
    "cx_Oracle|pyodbc|pymssql|ibm_db|ibm_db_dbi|snowflake|redshift_connector|clickhouse_driver|"
    r"clickhouse_connect|trino|prestodb|pyhive|impala|vertica_python|teradatasql|databricks\.sql|duckdb|pymongo|"
    "cassandra|redis|neo4j|influxdb|elasticsearch|opensearchpy|exasol|pyexasol|hdbcli|jaydebeapi|pinotdb|pydruid"
)
SYSTEMS = (
    "botocore|boto3|s3transfer|google|googleapiclient|gcloud|azure|msrest|msal|kubernetes|kubernetes_asyncio|"
    "requests|httpx|aiohttp|slack_sdk|hvac|grpc|docker|simple_salesforce|github|gitlab|jenkins|pysftp|paramiko|"
    "ftplib|smtplib|ldap3|kafka|confluent_kafka|pika|tableauserverclient|openai|anthropic|stripe"
)
WRAPPERS = "AirflowException|AirflowFailException|AirflowRuntimeError|RuntimeError|Exception"
M, T, D, N, K = classes.MEMORY, classes.TIMEOUT, classes.DATABASE, classes.NETWORK, classes.KILLED
S, C, F, P, X = classes.DEPENDENCY, classes.CONFIGURATION, classes.DISK, classes.COMMAND, classes.CODE

RULES = (
    # ---- memory
    ErrorRule(M, r"\w*MemoryError|OutOfMemory\w*|OutOfMemoryException"),
    ErrorRule(M, "OSError|BlockingIOError", words=r"Errno 12\b|Cannot allocate memory"),
    # ---- what Airflow itself raises
    ErrorRule(T, r"Airflow(?:Task|Sensor|Poke)\w*Timeout|TaskDeferralTimeout|\w*PokeFailTimeout|TriggerTimeout\w*"),
    ErrorRule(T, "TaskDeferralError|TriggerFailure", words="timed? ?out"),
    ErrorRule(K, "AirflowTaskTerminated|AirflowTermSignal|WorkerLostError|TimeLimitExceeded|Terminated|"
              "KeyboardInterrupt"),
    ErrorRule(K, WRAPPERS, words="Task received SIG(?:TERM|INT|KILL)|externally (?:set|killed)|Task was externally"),
    ErrorRule(C, r"AirflowNotFoundException|AirflowConfigException|AirflowClusterPolicy\w*|AirflowDagCycleException|"
              r"DagNotFound|DagFileExists|AirflowProviderDeprecation\w*|UnknownExecutorException|"
              "ConnectionNotUnique"),
    ErrorRule(C, WRAPPERS, words=r"(?:CONNECTION|VARIABLE|XCOM|ASSET|DAG)\w*_NOT_FOUND|conn_id .{0,200}isn't defined"),
    ErrorRule(C, f"KeyError|{WRAPPERS}", words=r"Variable \S{1,250} (?:does not exist|not found)"),
    ErrorRule(C, WRAPPERS, words="Dag .{0,250}could not be found|failed to parse|Dag not found during start up"),
    ErrorRule(C, "KeyError", module="os"),
    # ---- time limits of libraries
    ErrorRule(T, r"TimeoutExpired|DeadlineExceeded|ReadTimeout\w*|SocketTimeout|WriteTimeout|PoolTimeout|"
              r"ServerTimeoutError|SocketTimeoutError|CommandTimeout\w*|JobTimeout\w*|WaitTimeout\w*|"
              r"PodLaunchTimeout\w*|SoftTimeLimitExceeded"),
    ErrorRule(T, "QueryCanceled|QueryCanceledError|OperationalError|ProgrammingError|DBAPIError|ExecuteError",
              words="statement timeout|query (?:was )?(?:cancell?ed|killed) .{0,40}(?:time|limit)|"
              "maximum statement execution time"),
    # ---- databases
    ErrorRule(C, module="sqlalchemy", exception="NoSuchModuleError"),
    ErrorRule(D, "OperationalError|ProgrammingError|IntegrityError|InterfaceError|DatabaseError|DataError|"
              "InternalError|NotSupportedError|DBAPIError|StatementError|DeadlockDetected|LockNotAvailable|"
              r"SerializationFailure|UniqueViolation\w*|ForeignKeyViolation\w*|UndefinedTable\w*|"
              r"UndefinedColumn\w*|TooManyConnections\w*"),
    ErrorRule(D, r"Snowflake\w*|PyMongoError|ServerSelectionTimeoutError|Trino\w*Error|Presto\w*Error|OracleError|"
              r"TransactionRollback\w*"),
    ErrorRule(D, module=DATABASES),
    ErrorRule(D, "ConnectionError|TimeoutError|PermissionError|SyntaxError", module=DATABASES),
    # ---- credentials that are not there at all
    ErrorRule(C, "NoCredentialsError|PartialCredentialsError|NoRegionError|ProfileNotFound|ConfigNotFound|"
              "UnknownServiceError|DefaultCredentialsError|InvalidConfigException|ConfigException|"
              r"TemplateNotFound\w*|NoSectionError|NoOptionError|ImageNotFound|MissingSchema|InvalidSchema|"
              "InvalidURL|UnsupportedProtocol|LocationParseError"),
    # ---- network
    ErrorRule(N, "TimeoutError", words=r"Errno 110\b"),
    ErrorRule(N, "Connection(?:Refused|Reset|Aborted)?Error|BrokenPipeError|gaierror|herror|NewConnectionError|"
              "MaxRetryError|NameResolutionError|Connect(?:ion)?Timeout(?:Error)?|ConnectError|CloseError|"
              r"ReadError|WriteError|RemoteProtocolError|RemoteDisconnected|ServerDisconnected\w*|IncompleteRead|"
              "ChunkedEncodingError|ProtocolError|ProxyError|ProxyConnectionError|EndpointConnectionError|"
              r"ConnectionClosed\w*"),
    ErrorRule(N, r"\w*SSL\w*Error|CertificateError|ClientConnector\w*Error|ClientConnectionError|ClientOSError|"
              r"ClientPayloadError|ServerConnectionError|HTTPClientError|ServiceRequest\w*Error|"
              r"ServiceResponse\w*Error|TransportError|SSHException|NoValidConnectionsError|SMTPServerDisconnected|"
              "SMTPConnectError|AMQPConnectionError|NoBrokersAvailable|KafkaConnectionError|APIConnectionError|"
              "ClientConnectError"),
    ErrorRule(N, "URLError|OSError",
              words=r"Errno (?:-2|-3|32|100|101|103|104|110|111|112|113)\b|urlopen error|unreachable"),
    ErrorRule(N, r"\w*RpcError|_MultiThreadedRendezvous", words="UNAVAILABLE|failed to connect"),
    ErrorRule(T, r"\w*RpcError|_MultiThreadedRendezvous", words="DEADLINE_EXCEEDED"),
    ErrorRule(T, r"\w*Timeout|TimeoutError|\w+TimeoutError"),
    # ---- memory, places and images of pods, in the words of Kubernetes
    ErrorRule(M, rf"{WRAPPERS}|\w*Pod\w*", words=r"OOMKilled|\bOOM[- ]?kill"),
    ErrorRule(C, rf"{WRAPPERS}|\w*Pod\w*",
              words="ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainer(?:Config)?Error"),
    ErrorRule(K, rf"{WRAPPERS}|\w*Pod\w*",
              words=r"\bevicted\b|preempt|NodeLost|node .{0,80}(?:not ready|shutting down|was deleted)"),
    ErrorRule(K, r"PodNotFound\w*|PodPreempted\w*"),
    ErrorRule(T, rf"{WRAPPERS}|\w*Pod\w*", words="DeadlineExceeded|Pod took (?:longer|too long)"),
    # ---- answers of other systems
    ErrorRule(S, "HTTPError|HTTPStatusError|HttpError|HTTPException|HttpResponseError|ClientResponseError|"
              "ApiException|APIError|APIStatusError|ClientError|WaiterError|S3UploadFailedError|BadStatusLine|"
              r"ContentTypeError|TooManyRedirects|RateLimit\w*|\w*Throttl\w*|Quota\w*|ServerResponseError|"
              r"SlackApiError|RefreshError|\w*Salesforce\w*"),
    ErrorRule(S, "ClientAuthenticationError|ResourceNotFoundError|ResourceExistsError|AuthenticationException|"
              r"AuthenticationError|BadAuthenticationType|SMTP\w*Error|SMTP\w*Refused|SMTPException|error_(?:perm|"
              r"temp|reply|proto)|RetryError|PodLaunchFailed\w*|PodCredentialsExpired\w*|PodReconciliation\w*|"
              r"ContainerError|DbtCloudJobRunException|\w*JobRun\w*Exception|SparkException|Py4JJavaError|"
              "AirbyteException|LivyException"),
    ErrorRule(S, r"\w*RpcError|_MultiThreadedRendezvous"),
    ErrorRule(S, module=SYSTEMS),
    # ---- disk
    ErrorRule(F, "OSError|IOError|Error",
              words=r"Errno (?:5|27|28|30|122)\b|No space left|Read-only file system|quota exceeded"),
    ErrorRule(F, r"\w*DiskFull\w*|NoSpace\w*"),
    # ---- what is missing
    ErrorRule(C, "ModuleNotFoundError|ImportError|FileNotFoundError|NotADirectoryError|IsADirectoryError|"
              "PermissionError"),
    ErrorRule(C, "OSError", words=r"Errno (?:1|2|8|13|24)\b|Exec format error|Too many open files"),
    # ---- commands: their exit code is looked at before these rows say that nothing else is known
    ErrorRule(P, "CalledProcessError|SystemExit|CommandError|UnexpectedExit|Failure"),
    ErrorRule(P, WRAPPERS, words=r"Bash command failed|non-zero exit|exit(?:ed)?(?: with)?(?: status| code) `?-?\d|"
              r"error code is: \d|SSH operator error|SSH command .{0,40}fail|returned a failure|container failed|"
              "exitCode"),
    # ---- words, where no type says more
    ErrorRule(M, words="OOMKilled|oom-kill|Out of memory: Kill|MemoryError|Cannot allocate memory|std::bad_alloc|"
              "OutOfMemoryError|CUDA out of memory|exceed(?:ed|ing|s)?(?: the)?(?: physical)? memory|"
              "memory limit (?:was )?exceeded"),
    ErrorRule(F, words="No space left on device|Disk quota exceeded|disk (?:is )?full|ENOSPC|Read-only file system"),
    ErrorRule(K, words="heartbeat timeout|Detected (?:a )?zombie|zombie job|heartbeat.{0,60}(?:lost|missed|too old)|"
              "WorkerLostError|Worker exited prematurely|(?:killed|terminated|set) externally|externally (?:set|"
              "killed)|was evicted|shouldn't be running anymore|SIGTERM signal|[Tt]ask killed|spot interruption|"
              "preempted"),
    ErrorRule(X, words=r"Received SIGSEGV|Segmentation fault|\(core dumped\)|Fatal Python error"),
    ErrorRule(T, words="AirflowTaskTimeout|execution[_ ]timeout|timed[- ]out|time-?out (?:was )?(?:expired|exceeded|"
              "reached|error)|(?:Read|Query|Socket|Request|Connection)Timeout|deadline exceeded|Gateway Time-?out"),
    ErrorRule(D, words="OperationalError|too many (?:clients|connections)|remaining connection slots|deadlock|"
              r"database is locked|ORA-\d{4,5}|SQL compilation error|relation .{1,200} does not exist|"
              "Lock wait timeout"),
    ErrorRule(N, words="Connection (?:refused|reset|aborted|closed|was closed|lost)|Could not resolve|"
              "Name or service not known|Temporary failure in name resolution|No route to host|"
              r"network is unreachable|ECONN\w+|CERTIFICATE_VERIFY_FAILED|SSL.{0,30}(?:handshake|alert)|"
              "EOF occurred in violation of protocol"),
    ErrorRule(S, words=r"\b(?:HTTP|status(?:[ _]code)?)\b\D{0,12}\b[45]\d\d\b|\b(?:40[1349]|429|"
              r"50[0234])\b[: ]+(?:Client|Server|Unauthorized|Forbidden|Not Found|Conflict|Too Many|"
              "Internal Server|Bad Gateway|Service Unavailable)|rate limit|quota (?:was )?exceeded|throttl|"
              "unauthori[sz]ed|AccessDenied|access denied|invalid credentials|authentication failed|"
              "reached a failure state|(?:job|query|run|cluster).{0,80}(?:failed|terminated) (?:with|in|on|"
              "remotely)"),
    ErrorRule(C, words="command not found|No module named|ModuleNotFoundError|No such file or directory|"
              "Permission denied|not executable|does not exist on the (?:server|worker)|isn't defined|"
              "is not recognized as"),
    # ---- exit codes and signals
    ErrorRule(T, codes=(124, -14, -24)),
    ErrorRule(K, codes=(129, 130, 137, 143, -1, -2, -3, -9, -15)),
    ErrorRule(C, codes=(126, 127)),
    ErrorRule(F, codes=(153, -25)),
    ErrorRule(X, codes=(132, 134, 135, 136, 139, -4, -6, -7, -8, -11)),
)  # fmt: skip
