"""Which class a failed try has: one ordered table of rules. `classify` applies it.

Each row of RULES has its example in tests/unit/diagnosis/test_error_rules.py.
"""

from __future__ import annotations

import builtins
import re
from dataclasses import dataclass, field

from exporter.diagnosis import error_classes as classes
from exporter.diagnosis.error_classes import ErrorClass
from exporter.diagnosis.error_names import DATABASES, POSTGRESQL, PROVIDERS, REMOTES, SYSTEMS, WRAPPERS
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
    program: str = ""
    """A regular expression of the program whose exit codes these are; without it they are those of any."""
    origin: str = ""
    """A regular expression that matches the beginning of the module that raised it, whichever defines its type."""
    _patterns: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        modules = [rf"(?:{module})(?:\.|\Z)" if module else "" for module in (self.module, self.origin)]
        patterns = (self.exception, *modules)
        words = re.compile(self.words, re.IGNORECASE)
        object.__setattr__(self, "_patterns", (*map(re.compile, patterns), words))

    @property
    def is_typed(self) -> bool:
        """Whether the rule is about a type of exception."""
        return bool(self.exception or self.module)

    def matches(self, error: RaisedError) -> bool:
        """Whether it matches an exception."""
        name, module, origin, words = self._patterns
        if self.exception and not name.fullmatch(error.name):
            return False
        if self.origin and not origin.match(error.origin):
            return False
        if self.module and (not module.match(error.module) or (not self.exception and is_mistake(error.name))):
            return False
        return not self.words or words.search(error.text) is not None

    def matches_words(self, text: str) -> bool:
        """Whether a rule without a type is found in a text."""
        return not self.is_typed and bool(self.words) and self._patterns[3].search(text) is not None

    def matches_code(self, code: int, command: str) -> bool:
        """Whether it matches the exit code of a command."""
        return code in self.codes and (not self.program or find_program(self.program, command))


MISTAKES = re.compile(
    r"\w*(?:Decode|Encode|Decoding|Encoding|Parse|Parser|Syntax|Validation|Schema|Serialization|InvalidJSON)Error|"
    "NoResultFound|MultipleResultsFound|InvalidRequestError|DetachedInstanceError|CompileError|ArgumentError|"
    r"Api(?:Type|Value|Key|Attribute)Error"
)
"""Names of exceptions that speak of data or of a wrong call, whichever library raised them."""
PYTHONS_MISTAKES = (
    ArithmeticError, AssertionError, AttributeError, LookupError, NameError, NotImplementedError, SyntaxError,
    TypeError, UnicodeError,
)  # fmt: skip
PROGRAM_START = r"(?:\A|[\s;|&(`'\"/])"


def is_mistake(name: str) -> bool:
    """Whether a type of exception is Python's own, or speaks of data: which module raised it says nothing."""
    return isinstance(getattr(builtins, name, None), type) or MISTAKES.fullmatch(name) is not None


def is_python_mistake(name: str) -> bool:
    """Whether it is an exception of Python that only wrong code or wrong data raise: its words say nothing else."""
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, PYTHONS_MISTAKES)


def find_program(program: str, command: str) -> bool:
    """Whether a command runs a program."""
    return re.search(rf"{PROGRAM_START}(?:{program})(?=[\s'\"]|\Z)", command) is not None


M, T, D, N, K = classes.MEMORY, classes.TIMEOUT, classes.DATABASE, classes.NETWORK, classes.KILLED
S, C, F, P, X = classes.DEPENDENCY, classes.CONFIGURATION, classes.DISK, classes.COMMAND, classes.CODE

ENDINGS = (
    # ---- Airflow ends a try: wherever this is in a chain, what it interrupted failed because of it
    ErrorRule(T, "AirflowTaskTimeout"),
    ErrorRule(K, "AirflowTaskTerminated|AirflowTermSignal"),
    ErrorRule(K, WRAPPERS, words="Task received SIG(?:TERM|INT|KILL)|externally (?:set|killed)|Task was externally"),
)  # fmt: skip
RULES = (
    *ENDINGS,
    # ---- memory
    ErrorRule(M, r"\w*MemoryError|OutOfMemory\w*|OutOfMemoryException"),
    ErrorRule(M, "OSError|BlockingIOError", words=r"Errno 12\b|Cannot allocate memory"),
    ErrorRule(M, r"Py4J\w*Error|SparkException", words="OutOfMemoryError|exceeding (?:physical )?memory limits"),
    # ---- what Airflow itself raises
    ErrorRule(T, r"Airflow(?:Sensor|Poke)\w*Timeout|TaskDeferralTimeout|\w*PokeFailTimeout|TriggerTimeout\w*"),
    ErrorRule(T, "TaskDeferralError|TriggerFailure", words="timed? ?out"),
    ErrorRule(K, "WorkerLostError|TimeLimitExceeded|Terminated|KeyboardInterrupt|BrokenProcessPool"),
    ErrorRule(C, r"AirflowNotFoundException|AirflowConfigException|AirflowClusterPolicy\w*|AirflowDagCycleException|"
              r"DagNotFound|DagFileExists|AirflowProviderDeprecation\w*|UnknownExecutorException|"
              r"ConnectionNotUnique|(?:Task|Pool)NotFound|AirflowOptionalProviderFeature\w*|"
              r"External\w+(?:NotFound|Deleted)Error"),
    ErrorRule(C, "ValueError", words=r"Python Path .{1,250} must exist"),
    ErrorRule(C, WRAPPERS, words=r"(?:CONNECTION|VARIABLE|ASSET|DAG)\w*_NOT_FOUND|conn_id .{0,200}isn't defined"),
    # What a task asks the API server of Airflow 3 for: it knows no such thing, or did not answer at all.
    ErrorRule(C, WRAPPERS, words=r"API_SERVER_ERROR.{0,80}\b404\b.{0,400}not[_ ]found"),
    ErrorRule(N, WRAPPERS, words="API_SERVER_ERROR.{0,40}'status_code': None"),
    ErrorRule(X, WRAPPERS, words="API_SERVER_ERROR.{0,120}unmappable_return_value"),
    ErrorRule(C, f"KeyError|{WRAPPERS}", words=r"Variable \S{1,250} (?:does not exist|not found)"),
    ErrorRule(C, WRAPPERS, words="Dag .{0,250}could not be found|failed to parse|Dag not found during start up|"
              r"external \S{1,30}(?: \S{1,250})? in DAG .{1,250} does not exist|external DAG .{1,250} (?:does not "
              "exist|was deleted)"),
    ErrorRule(C, "KeyError", module="os"),
    ErrorRule(S, r"External\w+FailedError|AirflowSecretsBackendAccessDenied"),
    ErrorRule(X, WRAPPERS, words=r"\ATest failed\.|\AThe following tests have failed|Validation .{0,80}failed\."),
    # ---- time limits of libraries
    ErrorRule(T, r"TimeoutExpired|DeadlineExceeded|ReadTimeout\w*|SocketTimeout|WriteTimeout|PoolTimeout|"
              r"ServerTimeoutError|SocketTimeoutError|CommandTimeout\w*|JobTimeout\w*|WaitTimeout\w*|"
              r"PodLaunchTimeout\w*|SoftTimeLimitExceeded"),
    ErrorRule(T, "QueryCanceled|QueryCanceledError|OperationalError|ProgrammingError|DBAPIError|ExecuteError",
              words="statement timeout|query (?:was )?(?:cancell?ed|killed) .{0,40}(?:time|limit)|"
              "maximum statement execution time|reached its statement or warehouse timeout"),
    ErrorRule(T, "WaiterError|RetryError|URLError",
              words=r"Max attempts exceeded|\ATimeout of |<urlopen error .{0,40}timed out>"),
    # ---- databases
    ErrorRule(F, r"\w*DiskFull\w*|NoSpace\w*"),
    ErrorRule(F, "OperationalError|DatabaseError|IOException", words="disk is full|No space left on device"),
    ErrorRule(C, module="sqlalchemy", exception="NoSuchModuleError"),
    ErrorRule(C, module="sqlalchemy", exception="ArgumentError", words="SQLAlchemy URL|string or URL"),
    ErrorRule(X, module="pandas", exception="DataError"),
    ErrorRule(D, "OperationalError|ProgrammingError|IntegrityError|InterfaceError|DatabaseError|DataError|"
              "InternalError|NotSupportedError|DBAPIError|StatementError"),
    ErrorRule(D, rf"(?:{POSTGRESQL})(?:Error)?"),
    ErrorRule(D, "SyntaxError", words="at or near|at end of input"),
    ErrorRule(D, r"Py4J\w*Error|SparkException", words=r"SQL\w*Exception"),
    ErrorRule(D, r"Snowflake\w*|PyMongoError|ServerSelectionTimeoutError|Trino\w*Error|Presto\w*Error|OracleError|"
              r"SQL\w*Exception|\w+SQLException|CommunicationsException"),
    ErrorRule(D, module=DATABASES),
    ErrorRule(D, "ConnectionError|TimeoutError|PermissionError|SyntaxError", module=DATABASES),
    # ---- credentials that are not there at all
    ErrorRule(C, "NoCredentialsError|PartialCredentialsError|NoRegionError|ProfileNotFound|ConfigNotFound|"
              "UnknownServiceError|DefaultCredentialsError|InvalidConfigException|ConfigException|"
              r"TemplateNotFound\w*|NoSectionError|NoOptionError|ImageNotFound|MissingSchema|InvalidSchema|"
              r"InvalidU(?:RL|rl)\w*|UnsupportedProtocol|LocationParseError|JVMNotFound\w*"),
    ErrorRule(C, "InvalidToken", module="cryptography"),
    ErrorRule(C, "TypeError", module="jpype", words="Class .{1,200} is not found"),
    # ---- network
    ErrorRule(S, "ProtocolError", module="xmlrpc"),
    ErrorRule(N, "TimeoutError", words=r"Errno 110\b"),
    ErrorRule(N, r"\w*Connect(?:ion\w*)?Error|BrokenPipeError|gaierror|herror|MaxRetryError|NameResolutionError|"
              r"Connect(?:ion)?Timeout(?:Error)?|\w*ProtocolError|\w*Disconnected\w*|IncompleteRead\w*|"
              r"ChunkedEncodingError|\w*Proxy\w*Error|ConnectionClosed\w*|ResponseStreamingError|UnknownHostException|"
              "ConnectException|NoRouteToHostException|SocketException"),
    ErrorRule(N, "(?:Read|Write|Close)Error", module="httpx|httpcore"),
    ErrorRule(S, "OSError", origin=r"paramiko\.sftp_client", words=r"\A(?!\[Errno)"),
    ErrorRule(N, "EOFError|OSError", origin=REMOTES, words=r"\A(?!\[Errno)"),
    ErrorRule(N, r"\w*SSL\w*(?:Error|Exception)|CertificateError|ClientConnector\w*Error|ClientOSError|"
              r"ClientPayloadError|HTTPClientError|ServiceRequest\w*Error|ServiceResponse\w*Error|TransportError|"
              r"SSHException|NoValidConnectionsError|SMTPConnectError|NoBrokersAvailable|\w*SocketOpenError"),
    ErrorRule(N, "URLError|OSError",
              words=r"Errno (?:-2|-3|32|100|101|103|104|110|111|112|113)\b|urlopen error|unreachable"),
    ErrorRule(N, r"\w*RpcError|_MultiThreadedRendezvous|Kafka\w*",
              words="UNAVAILABLE|failed to connect|transport failure|brokers are down"),
    ErrorRule(N, r"Py4J\w*Error|SparkException|RetryError",
              words=r"UnknownHostException|ConnectException|raised \w*Connection\w*Error|raised gaierror"),
    ErrorRule(T, r"Py4J\w*Error|SparkException", words=r"TimeoutException|timed out"),
    ErrorRule(T, r"\w*RpcError|_MultiThreadedRendezvous", words="DEADLINE_EXCEEDED"),
    ErrorRule(T, r"\w*Timeout|\w*Timeout(?:Error|Exception)"),
    # ---- memory, places and images of pods, in the words of Kubernetes
    ErrorRule(M, rf"{WRAPPERS}|\w*Pod\w*", words=r"OOMKilled|\bOOM[- ]?kill"),
    ErrorRule(C, rf"{WRAPPERS}|\w*Pod\w*",
              words="ImagePullBackOff|ErrImagePull|InvalidImageName|CreateContainer(?:Config)?Error|"
              "executable file not found"),
    ErrorRule(K, rf"{WRAPPERS}|\w*Pod\w*",
              words=r"\bevicted\b|preempt|NodeLost|node .{0,80}(?:not ready|shut(?:ting )?down|was deleted)"),
    ErrorRule(K, r"PodNotFound\w*|PodPreempted\w*"),
    ErrorRule(T, rf"{WRAPPERS}|\w*Pod\w*", words="DeadlineExceeded|Pod took (?:longer|too long)"),
    # ---- answers of other systems
    ErrorRule(S, "HTTPError|HTTPStatusError|HttpError|HTTPException|HttpResponseError|ClientResponseError|"
              "ApiException|APIError|APIStatusError|ClientError|WaiterError|S3UploadFailedError|BadStatusLine|"
              r"ContentTypeError|TooManyRedirects|RateLimit\w*|\w*Throttl\w*|Quota\w*|ServerResponseError|"
              r"SlackApiError|RefreshError|\w*Salesforce\w*|AccessControlException"),
    ErrorRule(S, "ClientAuthenticationError|ResourceNotFoundError|ResourceExistsError|AuthenticationException|"
              r"AuthenticationError|BadAuthenticationType|SMTP\w*Error|SMTP\w*Refused|SMTPException|error_(?:perm|"
              r"temp|reply|proto)|PodLaunchFailed\w*|PodCredentialsExpired\w*|PodReconciliation\w*|"
              r"DbtCloudJobRunException|\w*JobRun\w*Exception|AirbyteException|LivyException"),
    ErrorRule(S, "RetryError", module="requests|google"),
    ErrorRule(S, r"\w*RpcError|_MultiThreadedRendezvous"),
    ErrorRule(P, r"ContainerError|Docker\w*Failed\w*"),
    ErrorRule(N, module=SYSTEMS, words="Connection (?:refused|reset|aborted)|Max retries exceeded with url"),
    ErrorRule(S, module=SYSTEMS),
    ErrorRule(S, r"\w*(?:AccessDenied|PermissionDenied|Forbidden|Unauthori[sz]ed|TooManyRequests|ServiceUnavailable|"
              r"BadGateway|InternalServer)\w*|Kafka\w*(?:Error|Exception)"),
    # ---- disk
    ErrorRule(F, "OSError|IOError|Error",
              words=r"Errno (?:5|27|28|30|122)\b|No space left|Read-only file system|quota exceeded"),
    # ---- what is missing
    ErrorRule(C, "ModuleNotFoundError|ImportError|FileNotFoundError|NotADirectoryError|IsADirectoryError|"
              "PermissionError|ClassNotFoundException|NoClassDefFoundError|FileNotFoundException"),
    ErrorRule(C, "OSError", words=r"Errno (?:1|2|8|13|24)\b|Exec format error|Too many open files"),
    # ---- commands: their exit code is looked at before these rows say that nothing else is known
    ErrorRule(P, r"CalledProcessError|SystemExit|\w*CommandError|UnexpectedExit"),
    ErrorRule(P, "Failure", module="invoke|fabric"),
    ErrorRule(P, WRAPPERS, words=r"Bash command failed|non-zero exit|exit(?:ed)?(?: with)?(?: status| code) `?-?\d|"
              r"error code is: \d|SSH operator error|SSH command .{0,40}fail|returned a failure|container failed|"
              "exitCode"),
    # ---- words, where no type says more
    ErrorRule(M, words="OOMKilled|oom-kill|Out of memory: Kill|MemoryError|Cannot allocate memory|std::bad_alloc|"
              "OutOfMemoryError|CUDA out of memory|exceed(?:ed|ing|s)?(?: the)?(?: physical)? memory|"
              "memory limit (?:was )?exceeded|heap out of memory|Java heap space|OOM when allocating|"
              r"cannot allocate vector|not enough memory|(?:\A|: +)out of memory\b"),
    ErrorRule(F, words="No space left on device|Disk quota exceeded|disk (?:is )?full|ENOSPC|Read-only file system|"
              ": Input/output error"),
    ErrorRule(K, words="heartbeat timeout|Detected (?:a )?zombie|zombie job|heartbeat.{0,60}(?:lost|missed|too old)|"
              "WorkerLostError|Worker exited prematurely|(?:killed|terminated|set) externally|externally (?:set|"
              "killed)|was evicted|shouldn't be running anymore|SIGTERM signal|[Tt]ask killed|spot interruption|"
              "preempted"),
    ErrorRule(X, words=r"Received SIGSEGV|Segmentation fault|\(core dumped\)|Fatal Python error|"
              r"Dag run already exists|\bpanicked at |\Apanic: |\Agoroutine \d+ \[|"
              "(?:Compilation|Parsing) Error(?: in (?:model|test|seed|snapshot|macro))?\\b"),
    ErrorRule(N, words="connect.{0,80}: Connection timed out|ETIMEDOUT"),
    ErrorRule(T, words="AirflowTaskTimeout|execution[_ ]timeout|timed[- ]out|time-?out (?:was )?(?:expired|exceeded|"
              "reached|error|waiting|after)|(?:Read|Query|Socket|Request|Connection)Timeout|deadline exceeded|"
              "Gateway Time-?out|max(?:imum)? (?:number of )?attempts (?:reached|exceeded)"),
    ErrorRule(D, words="OperationalError|too many (?:clients|connections)|remaining connection slots|deadlock|"
              r"database is locked|ORA-\d{4,5}|SQL compilation error|relation .{1,200} does not exist|"
              r"Lock wait timeout|permission denied for (?:schema|table|relation|database|sequence|function|view)|"
              r"password authentication failed|authentication failed for user|(?:Access denied|Login failed) for user|"
              r"ERROR \d{4} \(\w{5}\)|Database Error in (?:model|test|seed|snapshot)|could not translate host name|"
              "connection to server at .{1,250} failed|duplicate key value|no such table|syntax error at or near|"
              "violates (?:unique|foreign key|check|not-null|exclusion) constraint"),
    ErrorRule(N, words="Connection (?:refused|reset|aborted|closed|was closed|lost)|(?:Could|Can) ?not resolve|"
              "Name or service not known|Temporary failure in name resolution|No route to host|"
              r"network is unreachable|\bECONN\w+|\bENOTFOUND|EAI_AGAIN|NXDOMAIN|"
              "(?:Cannot|Could not|Failed to) connect to|Tunnel connection failed|Max retries exceeded with url|"
              "CERTIFICATE_VERIFY_FAILED|SSL.{0,30}(?:handshake|alert)|EOF occurred in violation of protocol|"
              "Empty reply from server|code 407 from proxy|no such host|The connection to the server .{1,200} was "
              "refused|dial tcp .{0,200}(?:refused|timeout|unreachable)|connection unexpectedly closed"),
    ErrorRule(S, words=r"(?:\b(?:HTTP|status(?:[ _]code)?)\b|returned error:)\D{0,12}\b[45]\d\d\b|\A[45]\d\d:|"
              r"\b(?:40[1349]|429|50[0234])\b[: ]+(?:Client|Server|Unauthorized|Forbidden|Not Found|Conflict|Too Many|"
              "Internal Server|Bad Gateway|Service Unavailable)|rate limit|quota (?:was )?exceeded|throttl|"
              "unauthori[sz]ed|AccessDenied|access denied|invalid credentials|authentication failed|"
              r"Permission denied \((?:publickey|password|keyboard)|Host key verification failed|Error from server \(|"
              r"reached a failure state|(?:job|batch|query|run|cluster|step|pipeline|crawler|workflow|statement)\b"
              ".{0,80}(?:(?:failed|terminated)(?: with| in| on| for|:| remotely)|did not succeed|state:? FAILED|"
              "has failed)|external (?:DAG|task).{0,250} failed|(?:failed|finished) with failed state|"
              r"An error occurred \(\w{1,80}\) when calling the|does not have .{0,80}(?:authori[sz]ation|access)\b"),
    ErrorRule(C, words="command not found|No module named|ModuleNotFoundError|No such file\\b|unbound variable|"
              r"(?:JAVA_HOME|environment variable \S{1,80}) (?:is |was )?not (?:set|defined|found)|"
              "Permission denied|not executable|does not exist on the (?:server|worker)|isn't defined|"
              r"is not recognized as|not found (?:in Dag )?during start up|Can ?not find the cwd|"
              r"The cwd .{1,250} must be|Unable to locate credentials|Could not find profile|"
              r"from versions: (?!none\b)|\bfatal: (?:repository .{1,250} (?:does not exist|not found)|not a git)"),
    # ---- exit codes and signals
    ErrorRule(T, codes=(124, -14, -24)),
    ErrorRule(K, codes=(129, 130, 137, 143, -1, -2, -3, -9, -15)),
    ErrorRule(C, codes=(126, 127)),
    ErrorRule(F, codes=(153, -25)),
    ErrorRule(X, codes=(132, 134, 135, 136, 139, -4, -6, -7, -8, -11)),
    # ---- exit codes of single programs, asked last
    ErrorRule(N, program="curl", codes=(5, 6, 7, 16, 35, 51, 52, 53, 55, 56, 60, 80, 83, 90, 91, 92)),
    ErrorRule(T, program="curl", codes=(28,)),
    ErrorRule(S, program="curl", codes=(8, 9, 19, 22, 47, 67, 78)),
    ErrorRule(N, program="wget", codes=(4, 5)),
    ErrorRule(S, program="wget", codes=(6, 7, 8)),
    ErrorRule(N, program="rsync", codes=(10, 12, 30, 35)),
    ErrorRule(N, program="ssh|scp|sftp", codes=(255,)),
    ErrorRule(D, program="psql", codes=(2,)),
)  # fmt: skip
LAST_RULES = (
    # ---- what operators and hooks of providers say of the system that they talk to, where nothing else says more
    ErrorRule(X, WRAPPERS, origin=PROVIDERS,
              words="must (?:be|have|not|specify)|mutually exclusive|(?:not |un)supported|"
              "(?:invalid|missing|required) (?:argument|parameter)"),
    ErrorRule(S, WRAPPERS, origin=PROVIDERS),
    ErrorRule(S, r"TaskDeferralError|SparkException|Py4J\w*Error"),
    ErrorRule(S, module=PROVIDERS),
)  # fmt: skip
"""For exceptions of general types whose words say nothing, asked after all others."""
