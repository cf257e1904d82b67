"""Uploads files into a graph and shows how far they are: a bar while a terminal looks on, else a line for each file."""

import hashlib
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from argosy.cli.credentials import open_client
from argosy.client import Client, GatewayUnreachableError, Job, JobHandle, Uploading, source_of
from argosy.errors import ArgosyError, SettingError
from argosy.ingest.job import JobState, WaitsFor
from argosy.printable import printable

_RETRY_S: Final = 60.0  # without progress: a gateway that is rolled needs seconds, a log that is down a little longer
_LOOK_S: Final = 0.2
_NAME_WIDTH_MAX: Final = 20  # of 80 columns: how far the upload is must not be cut off
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_STDIN: Final = Path("-")


def ingest_files(
    urls: Sequence[str],
    tenant: str,
    graph: str,
    files: Sequence[Path],
    *,
    key: str | None,
    is_waited_for: bool,
    rejects_file: Path | None,
) -> int:
    """Upload files one after the other, and return the exit code. Raises SettingError, ProblemError,
    GatewayUnreachableError, OSError.
    """
    if key is not None and len(files) > 1:
        raise SettingError("--key is that of one file: without it each has its own")
    console = Console(highlight=False, stderr=True)
    headers = {} if tenant == "default" else {"x-argosy-tenant": tenant}
    is_good = True
    with open_client(*urls, headers=headers, retry_s=_RETRY_S) as client, _opened(rejects_file) as rejects:
        for file in files:
            shown = "stdin" if file == _STDIN else str(file)
            try:
                with _readable(file) as path:
                    source = source_of(path)
                    uploading = Uploading(graph, source, key or _key_of(path, graph))
                    job = _run(console, client, shown, uploading, is_waited_for=is_waited_for)
            except KeyboardInterrupt:
                console.print(_text(f"{shown}: interrupted; the same command goes on where it was"))
                return _INTERRUPTED
            sys.stdout.write(_line(shown, job))
            if job.status in (JobState.FAILED, JobState.CANCELLED):
                console.print(_text(f"{shown}: this upload has ended so; one with another --key begins anew"))
            sys.stdout.flush()
            is_good = is_good and job.status in (JobState.DONE, JobState.RUNNING) and not job.rejected
            if rejects is not None and job.rejected:
                for each in client.job(job.job_id).rejects():
                    rejects.write(msgspec.json.encode(each) + b"\n")
    return 0 if is_good else 1


def _run(console: Console, client: Client, shown: str, uploading: Uploading, *, is_waited_for: bool) -> Job:
    """Upload one file, and wait for its job if it is to be waited for."""
    name = _column("{task.description}", width_max=_NAME_WIDTH_MAX)
    columns = (name, BarColumn(), _column("{task.fields[what]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(Path(shown).name), total=uploading.size_bytes or 1, what="")
        handle = _uploaded(client, uploading, progress, task)
        job = handle.get()
        is_told = False
        while is_waited_for and not job.has_ended:
            if job.waits_for == WaitsFor.WORKER and not is_told:
                is_told = True
                console.print(
                    _text(f"{shown}: no ingest worker runs; it is applied once one does (argosy worker ingest)")
                )
            lines = job.lines or job.received_lines
            what = f"{job.applied:,} applied, {job.rejected:,} rejected, {job.rate_lines_s:,.0f} lines/s"
            what += f", waits for {job.waits_for}" if job.waits_for else ""
            progress.update(task, total=lines or 1, completed=job.applied + job.rejected, what=what)
            threading.Event().wait(_LOOK_S)
            job = handle.get()
    return job


def _uploaded(client: Client, uploading: Uploading, progress: Progress, task: TaskID) -> JobHandle:
    """Upload in a thread, and show how much was sent meanwhile."""
    sending = _Sending(client, uploading)
    sending.start()
    while sending.is_alive():
        sending.join(_LOOK_S)
        what = f"{uploading.sent_bytes / 1_000_000:,.1f} MB sent"
        progress.update(task, completed=min(uploading.sent_bytes, uploading.size_bytes), what=what)
    return sending.handle()


class _Sending(threading.Thread):
    """An upload under way. It is left alone when the program ends."""

    def __init__(self, client: Client, uploading: Uploading) -> None:
        super().__init__(name="upload", daemon=True)
        self._client = client
        self._uploading = uploading
        self._handle: JobHandle | None = None
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._handle = self._client.upload(self._uploading)
        except (ArgosyError, OSError) as error:
            self._error = error

    def handle(self) -> JobHandle:
        """Return the job once the thread has ended. Raises what the upload raised."""
        if self._handle is None:
            raise self._error or GatewayUnreachableError("the upload ended without an answer")
        return self._handle


def _line(shown: str, job: Job) -> str:
    counts = f"{job.lines if job.lines is not None else job.received_lines} lines, {job.applied} applied"
    why = f": {job.reason}" if job.reason else ""
    return printable(f"{shown}: {job.status}, {counts}, {job.rejected} rejected (job {job.job_id}){why}") + "\n"


def _key_of(path: Path, graph: str) -> str:
    """Return a key that is the same for the same file and graph, until the file changes."""
    stat = path.stat()
    said = f"{path.resolve()}\0{stat.st_size}\0{stat.st_mtime_ns}\0{graph}"
    return f"file-{hashlib.blake2b(said.encode(errors='surrogateescape'), digest_size=16).hexdigest()}"


@contextmanager
def _readable(file: Path) -> Iterator[Path]:
    """The file, which can be read again and again: stdin goes to a temporary one first."""
    if file != _STDIN:
        yield file
        return
    with tempfile.NamedTemporaryFile(suffix=".ndjson") as spooled:
        while block := sys.stdin.buffer.read(65_536):
            spooled.write(block)
        spooled.flush()
        yield Path(spooled.name)


@contextmanager
def _opened(file: Path | None) -> Iterator[IO[bytes] | None]:
    if file is None:
        yield None
        return
    with file.open("wb") as opened:
        yield opened


def _column(shown: str, *, width_max: int | None = None) -> TextColumn:
    return TextColumn(shown, markup=False, table_column=Column(no_wrap=True, max_width=width_max))


def _text(text: str) -> Text:
    return Text(printable(text))
