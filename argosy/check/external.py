"""A table of the calls of Python and of well-known packages that do not replay, by their full names.

A name that ends in `.*` stands for every call below it. The methods of an object are in the table under the full name
of the class or function that makes it (`httpx.AsyncClient`).
"""

from typing import Final, NamedTuple

STEP: Final = "do it in a step (ctx.run), whose result is recorded"


class Rule(NamedTuple):
    """Calls that are reported under a code. why: what happens, and what to do instead; {now}, {sleep} and {uuid} stand
    for the operation as the workflow would write it. is_bare: only calls without arguments are reported, because with
    one, such as a seed or a time, they replay.
    """

    code: str
    names: str
    why: str
    is_bare: bool = False


_TIME: Final = "gives another time in a replay: use {now}, or read it in a step"
_DRAWN: Final = "gives something else in a replay: draw it in a step, or from random.Random(ctx.turn_id.int)"
_UUID: Final = "gives another id in a replay: use {uuid}"
_OUTSIDE: Final = f"reaches outside the turn, and does so again in every replay: {STEP}"
_HERE: Final = "may be different on the worker that replays: read it in a step, or pass it in the input"
_THREAD: Final = f"works with threads or processes, whose order a replay does not repeat: {STEP}"
_OWN_LOOP: Final = "runs an event loop that records nothing: make the workflow `async def` and await what it does"
_TURN_LOOP: Final = (
    "is refused: the worker runs the turn's loop, from outcome to outcome; await instead what is to be done"
)
_BY_HAND: Final = "makes a task that has no number, and so no keys: use asyncio.create_task or a TaskGroup"

_VERBS: Final = "get post put patch delete head options request"


def _of(module: str, names: str) -> str:
    return " ".join(f"{module}.{name}" for name in names.split())


CALLS: Final = (
    Rule("time", _of("time", "time time_ns monotonic monotonic_ns perf_counter perf_counter_ns"), _TIME),
    Rule("time", _of("time", "process_time process_time_ns thread_time thread_time_ns clock_gettime"), _TIME),
    Rule("time", _of("time", "localtime gmtime ctime asctime"), _TIME, is_bare=True),
    Rule("time", "datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today datetime.date.today", _TIME),
    Rule("time", "pendulum.now pendulum.today arrow.now arrow.utcnow django.utils.timezone.now", _TIME),
    Rule("time", "time.sleep", "blocks a thread of the worker, and does so again in every replay: use {sleep}"),
    Rule("random", "random.* secrets.* numpy.random.* os.urandom os.getrandom", _DRAWN),
    Rule("random", "random.Random numpy.random.default_rng numpy.random.RandomState", _DRAWN, is_bare=True),
    Rule("random", "numpy.random.SeedSequence numpy.random.PCG64 numpy.random.MT19937", _DRAWN, is_bare=True),
    Rule("random", "numpy.random.Philox numpy.random.SFC64", _DRAWN, is_bare=True),
    Rule("random", "uuid.uuid1 uuid.uuid4 uuid.uuid6 uuid.uuid7 uuid.uuid8", _UUID),
    Rule("io", "builtins.open builtins.input io.open codecs.open aiofiles.open anyio.open_file", _OUTSIDE),
    Rule("io", "sys.stdin.read sys.stdin.readline sys.stdin.readlines", _OUTSIDE),
    Rule(
        "io",
        _of("os", "system popen open read write listdir scandir walk stat lstat access utime chmod chown"),
        _OUTSIDE,
    ),
    Rule(
        "io", _of("os", "mkdir makedirs rmdir removedirs remove unlink rename renames replace link symlink"), _OUTSIDE
    ),
    Rule("io", _of("os", "truncate readlink kill killpg wait waitpid posix_spawn posix_spawnp startfile"), _OUTSIDE),
    Rule("io", _of("os", "execl execle execlp execv execve execvp spawnl spawnle spawnv spawnve spawnvp"), _OUTSIDE),
    Rule(
        "io", _of("os.path", "exists lexists isfile isdir islink getsize getmtime getatime getctime realpath"), _OUTSIDE
    ),
    Rule("io", "os.getenv os.getcwd os.getpid os.getppid os.uname os.cpu_count os.getlogin os.path.abspath", _HERE),
    Rule(
        "io",
        "os.path.expanduser os.path.expandvars socket.gethostname platform.node getpass.getuser uuid.getnode",
        _HERE,
    ),
    Rule("io", "pathlib.Path.cwd pathlib.Path.home tempfile.gettempdir", _HERE),
    Rule("io", "shutil.* tempfile.* glob.glob glob.iglob subprocess.*", _OUTSIDE),
    Rule("io", _of("socket", "create_connection create_server getaddrinfo gethostbyname getfqdn"), _OUTSIDE),
    Rule("io", _of("asyncio", "open_connection open_unix_connection start_server start_unix_server"), _OUTSIDE),
    Rule("io", _of("asyncio", "create_subprocess_exec create_subprocess_shell"), _OUTSIDE),
    Rule("io", _of("anyio", "connect_tcp connect_unix create_tcp_listener run_process open_process"), _OUTSIDE),
    Rule(
        "io", "urllib.request.urlopen urllib.request.urlretrieve urllib.request.build_opener urllib3.request", _OUTSIDE
    ),
    Rule("io", f"{_of('requests', _VERBS)} {_of('httpx', _VERBS)} httpx.stream aiohttp.request", _OUTSIDE),
    Rule("io", "smtplib.SMTP smtplib.SMTP_SSL ftplib.FTP ftplib.FTP_TLS imaplib.IMAP4 imaplib.IMAP4_SSL", _OUTSIDE),
    Rule("io", "websockets.connect asyncpg.connect asyncpg.create_pool psycopg.connect psycopg2.connect", _OUTSIDE),
    Rule("threads", "threading.* multiprocessing.* concurrent.futures.* _thread.*", _THREAD),
    Rule("threads", _of("asyncio", "to_thread run_coroutine_threadsafe wrap_future"), _THREAD),
    Rule("threads", "os.fork os.forkpty joblib.Parallel", _THREAD),
    Rule("threads", "anyio.to_thread.* anyio.from_thread.* anyio.to_process.* asgiref.sync.*", _THREAD),
    Rule(
        "loop",
        "asyncio.run asyncio.Runner asyncio.new_event_loop anyio.run trio.run uvloop.run uvloop.new_event_loop",
        _OWN_LOOP,
    ),
    Rule("loop", "asyncio.Task", _BY_HAND),
    Rule("loop", "asyncio.set_event_loop asyncio.set_event_loop_policy nest_asyncio.apply", _TURN_LOOP),
)

# Clients: reported where a workflow makes one, and where it calls a method of one that was made elsewhere (in the
# module, in a class).
CLIENTS: Final = Rule(
    "io",
    "httpx.Client httpx.AsyncClient requests.Session aiohttp.ClientSession urllib3.PoolManager "
    "http.client.HTTPConnection http.client.HTTPSConnection sqlite3.connect aiosqlite.connect socket.socket "
    "redis.Redis redis.from_url redis.asyncio.Redis redis.asyncio.from_url pymongo.MongoClient "
    "boto3.client boto3.resource openai.OpenAI openai.AsyncOpenAI openai.AzureOpenAI openai.AsyncAzureOpenAI "
    "anthropic.Anthropic anthropic.AsyncAnthropic",
    _OUTSIDE,
)
# Objects of which only these methods are reported: making one is harmless.
METHODS: Final = {
    "pathlib.Path": (
        Rule(
            "io", "read_text read_bytes write_text write_bytes open touch mkdir rmdir unlink rename replace", _OUTSIDE
        ),
        Rule("io", "exists is_file is_dir is_symlink stat lstat iterdir glob rglob walk chmod readlink", _OUTSIDE),
        Rule("io", "symlink_to hardlink_to samefile owner group", _OUTSIDE),
        Rule("io", "resolve absolute expanduser", _HERE),
    ),
    "asyncio.AbstractEventLoop": (
        Rule("threads", "run_in_executor set_default_executor call_soon_threadsafe shutdown_default_executor", _THREAD),
        Rule("loop", "run_until_complete run_forever stop close set_task_factory set_exception_handler", _TURN_LOOP),
        Rule("io", "create_connection create_server create_unix_connection create_unix_server start_tls", _OUTSIDE),
        Rule("io", "create_datagram_endpoint subprocess_exec subprocess_shell getaddrinfo getnameinfo", _OUTSIDE),
        Rule("io", "add_reader add_writer add_signal_handler connect_read_pipe connect_write_pipe sendfile", _OUTSIDE),
        Rule("io", "sock_recv sock_recv_into sock_sendall sock_connect sock_accept sock_sendfile", _OUTSIDE),
    ),
    "concurrent.futures.ThreadPoolExecutor": (Rule("threads", "submit map", _THREAD),),
    "concurrent.futures.ProcessPoolExecutor": (Rule("threads", "submit map", _THREAD),),
    "random.SystemRandom": (Rule("random", "*", _DRAWN),),
    # A generator that the module makes is shared: what a turn draws depends on how often other turns drew.
    "random.Random": (Rule("random", "*", _DRAWN),),
    "numpy.random.default_rng": (Rule("random", "*", _DRAWN),),
}
ENVIRONMENT: Final = Rule("io", "os.environ os.environb", _HERE)

# Calls below a `.*` of the table that replay nevertheless.
FINE: Final = frozenset(
    {
        *("secrets.compare_digest", "threading.local", "subprocess.list2cmdline", "shutil.ignore_patterns"),
        "numpy.random.Generator",
    }
)
# SAME: other full names of the same thing. RESULTS: what some calls return.
SAME: Final = {
    "argosy.workflow.context.Context": "argosy.Context",
    "argosy.workflow.sync_context.SyncContext": "argosy.SyncContext",
    "argosy.workflow.definition.workflow": "argosy.workflow",
    "argosy.workflow.definition.step": "argosy.step",
    "typing.Set": "builtins.set",
    "typing.FrozenSet": "builtins.frozenset",
}
RESULTS: Final = {
    "pathlib.Path.cwd": "pathlib.Path",
    "pathlib.Path.home": "pathlib.Path",
    "asyncio.get_event_loop": "asyncio.AbstractEventLoop",
    "asyncio.get_running_loop": "asyncio.AbstractEventLoop",
    "argosy.Context.graph": "argosy.Graph",
    "argosy.SyncContext.graph": "argosy.SyncGraph",
    "builtins.frozenset": "builtins.set",
    "requests.session": "requests.Session",
    **{f"pathlib.Path.{name}": "pathlib.Path" for name in ("joinpath", "with_name", "with_suffix", "with_stem")},
    **{f"pathlib.Path.{name}": "pathlib.Path" for name in ("resolve", "absolute", "expanduser", "relative_to")},
    **{f"builtins.set.{name}": "builtins.set" for name in ("union", "intersection", "difference", "copy")},
    "builtins.set.symmetric_difference": "builtins.set",
    **{f"builtins.str.{name}": "builtins.str" for name in ("lower", "upper", "strip", "format", "join", "replace")},
    "builtins.str.encode": "builtins.bytes",
}

_EXCEPTIONS: Final = ("Error", "Expired", "Exception")
_EXACT: Final = {name: rule for rule in CALLS for name in rule.names.split() if not name.endswith(".*")}
_BELOW: Final = {name[:-1]: rule for rule in CALLS for name in rule.names.split() if name.endswith(".*")}
_CLIENTS: Final = frozenset(CLIENTS.names.split())
# The packages in the table. An import of one of them never means a file of that name beside a workflow.
ROOTS: Final = frozenset(name.partition(".")[0] for name in (*_EXACT, *_BELOW, *_CLIENTS))


def rule_of_call(name: str, *, has_arguments: bool) -> Rule | None:
    """Return the rule that a call of this full name breaks, or None."""
    if name in FINE:
        return None
    if RESULTS.get(name, name) in _CLIENTS:
        return CLIENTS
    if (exact := _EXACT.get(name)) is not None:
        return None if exact.is_bare and has_arguments else exact
    if name.endswith(_EXCEPTIONS):
        return None
    return next((rule for below, rule in _BELOW.items() if name.startswith(below)), None)


def rule_of_method(of: str, method: str) -> Rule | None:
    """Return the rule that a call of a method breaks, or None. of: the full name of what makes the object."""
    if of in _CLIENTS:
        return CLIENTS
    rules = METHODS.get(of, ())
    return next((rule for rule in rules if rule.names == "*" or method in rule.names.split()), None)
