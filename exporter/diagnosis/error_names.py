"""Names of modules and of types of exceptions for `error_rules`: regular expressions."""

DATABASES = (
    "psycopg|psycopg2|asyncpg|pg8000|sqlalchemy|sqlite3|MySQLdb|pymysql|mysql|aiomysql|mariadb|oracledb|"
    "cx_Oracle|pyodbc|pymssql|ibm_db|ibm_db_dbi|snowflake|redshift_connector|clickhouse_driver|"
    r"clickhouse_connect|trino|prestodb|pyhive|impala|vertica_python|teradatasql|databricks\.sql|duckdb|pymongo|"
    "cassandra|redis|neo4j|influxdb|elasticsearch|opensearchpy|exasol|pyexasol|hdbcli|jaydebeapi|pinotdb|pydruid"
)
SYSTEMS = (
    "botocore|boto3|s3transfer|google|googleapiclient|gcloud|azure|msrest|msal|kubernetes|kubernetes_asyncio|"
    "requests|httpx|aiohttp|slack_sdk|hvac|grpc|docker|simple_salesforce|github|gitlab|jenkins|pysftp|paramiko|"
    "ftplib|smtplib|imaplib|poplib|ldap3|kafka|confluent_kafka|pika|tableauserverclient|openai|anthropic|stripe"
)
REMOTES = "paramiko|asyncssh|pysftp|ftplib|smtplib|imaplib|poplib|telnetlib"
"""Modules that speak to another machine over a connection, in which Python's own exceptions mean that it is lost."""
PROVIDERS = r"airflow\.providers\.(?!standard\b|common\b)\w+"
"""Providers of other systems."""
WRAPPERS = "AirflowException|AirflowFailException|AirflowRuntimeError|RuntimeError|Exception"
POSTGRESQL = (
    "(?:Unique|ForeignKey|NotNull|Check|Exclusion|Restrict|IntegrityConstraint|Cardinality)Violation|"
    "(?:Undefined|Duplicate|Ambiguous)(?:Table|Column|Function|Object|Schema|Database|Parameter|File|Alias|Cursor)|"
    "Insufficient(?:Privilege|Resources)|Invalid(?:(?:Text|Binary)Representation|CatalogName|SchemaName|Password|"
    "AuthorizationSpecification|DatetimeFormat|TableDefinition|Column(?:Definition|Reference)|ParameterValue|"
    "ForeignKey|TransactionState|CharacterValueForCast)|(?:Admin|Crash)Shutdown|CannotConnectNow|"
    r"\w+SqlTransaction|NumericValueOutOfRange|StringDataRightTruncation|DatetimeFieldOverflow|DatatypeMismatch|"
    "BadCopyFileFormat|CharacterNotInRepertoire|UntranslatableCharacter|ObjectInUse|FeatureNotSupported|"
    "ProgramLimitExceeded|RaiseException|GroupingError|DeadlockDetected|LockNotAvailable|QueryCanceled|SerializationFailure|"
    r"TooManyConnections|ConnectionFailure|TransactionRollback\w*"
)
"""Names of the errors that PostgreSQL has, without those that say nothing outside of it."""
