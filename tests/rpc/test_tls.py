"""TLS between processes: who is believed and let in, and what becomes of certificates that are replaced."""

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from argosy import config, telemetry
from argosy.errors import SettingError
from argosy.rpc.peer import Peer
from argosy.rpc.server import RpcServer
from argosy.rpc.signed_call import CallError
from argosy.rpc.tls import Tls, worker_tls
from tests.harness.certificates import Authority
from tests.harness.silent import SILENT
from tests.rpc.kinds import KEY, METHODS, Process, Text

NAME = "DNS:argosy-worker"
CERT, KEY_FILE, CA = "worker.pem", "worker.key", "ca.pem"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "others")


def put(authority: Authority, folder: Path, name: str = NAME) -> None:
    """Put a certificate, its key and its CA in place, as a manager of certificates does."""
    folder.mkdir(exist_ok=True)
    issued = authority.issue("worker", name)
    for source, target in ((issued.cert, CERT), (issued.key, KEY_FILE), (authority.ca, CA)):
        draft = folder / f"{target}.new"
        shutil.copy(source, draft)
        draft.rename(folder / target)


def tls_of(folder: Path, **changed: Any) -> Tls:
    files = {"cert": CERT, "key": KEY_FILE, "ca": CA}
    settings = {f"grpc_tls_{name}": str(folder / file) for name, file in files.items()} | changed
    made = worker_tls(config.load({}, **settings))
    assert made is not None
    return made


@contextlib.asynccontextmanager
async def serving(tls: Tls | None) -> AsyncIterator[Process]:
    process = Process(tls=tls)
    await process.start()
    try:
        yield process
    finally:
        await process.stop()


async def is_answered(process: Process, tls: Tls | None) -> bool:
    async with Peer(process.callee, KEY, tls=tls) as peer:
        return await answers(peer)


async def answers(peer: Peer) -> bool:
    try:
        call = await peer.open(METHODS["Unary"])
        await call.write(Text(text="a"))
        answer = await call.read()
    except CallError:
        return False
    return answer is not None and answer.text == "heard a"


async def test_each_side_believes_its_own_authority_alone(ours: Authority, others: Authority, tmp_path: Path) -> None:
    put(ours, tmp_path / "a")
    put(others, tmp_path / "b")

    async with serving(tls_of(tmp_path / "a")) as process:
        assert await is_answered(process, tls_of(tmp_path / "a"))
        assert not await is_answered(process, None)
        assert not await is_answered(process, tls_of(tmp_path / "b"))
        # One that believes the worker, and shows a certificate of somebody else.
        mixed = {"grpc_tls_ca": str(tmp_path / "a" / CA)}
        assert not await is_answered(process, tls_of(tmp_path / "b", **mixed))
        assert process.kinds.heard == ["a"]


async def test_a_caller_without_a_certificate_is_let_in_only_where_none_is_required(
    ours: Authority, tmp_path: Path
) -> None:
    put(ours, tmp_path)
    bare = tls_of(tmp_path, grpc_tls_cert="", grpc_tls_key="", grpc_tls_require_client=False)

    async with serving(tls_of(tmp_path)) as process:
        assert not await is_answered(process, bare)
    async with serving(tls_of(tmp_path, grpc_tls_require_client=False)) as process:
        assert await is_answered(process, bare)


async def test_a_caller_looks_for_the_name_and_without_one_for_the_address(ours: Authority, tmp_path: Path) -> None:
    put(ours, tmp_path)

    async with serving(tls_of(tmp_path)) as process:
        assert await is_answered(process, tls_of(tmp_path))
        assert not await is_answered(process, tls_of(tmp_path, grpc_tls_name="argosy-other"))
        addressed = tls_of(tmp_path, grpc_tls_name="address")
        assert not await is_answered(process, addressed)
        put(ours, tmp_path, "IP:127.0.0.1")
        assert await is_answered(process, addressed)


async def test_certificates_are_replaced_while_a_stream_is_open(
    ours: Authority, others: Authority, tmp_path: Path
) -> None:
    put(ours, tmp_path / "used")
    put(ours, tmp_path / "before")
    before, after = tls_of(tmp_path / "before"), tls_of(tmp_path / "used")

    async with serving(tls_of(tmp_path / "used")) as process, Peer(process.callee, KEY, tls=after) as peer:
        stream = await peer.open(METHODS["Bidirectional"])
        await stream.write(Text(text="one"))
        assert (await stream.read()).text == "heard one"
        assert await is_answered(process, before)

        put(others, tmp_path / "used")

        assert await answers(peer)  # the same peer, which connects anew
        assert not await is_answered(process, before)
        await stream.write(Text(text="two"))
        assert (await stream.read()).text == "heard two"
        stream.cancel()


async def test_new_files_that_cannot_be_used_are_said_and_those_of_before_serve_on(
    ours: Authority, tmp_path: Path
) -> None:
    put(ours, tmp_path)
    served = tls_of(tmp_path)

    async with serving(served) as process:
        caller = tls_of(tmp_path)
        (tmp_path / KEY_FILE).write_text("half a key")
        with capture_logs() as said:
            assert await is_answered(process, caller)
            assert await is_answered(process, caller)
        refused = [each for each in said if each["event"] == telemetry.TLS_FILES_REFUSED]
        assert len(refused) == 2  # the worker once, and the caller once
        assert all("GRPC_TLS_KEY" in each["error"] and "half" not in each["error"] for each in refused)

        put(ours, tmp_path)
        with capture_logs() as said:
            assert await is_answered(process, caller)
        assert [each["event"] for each in said].count(telemetry.TLS_FILES_TAKEN) == 2


@pytest.mark.parametrize(
    ("given", "lacks"),
    [
        ({"cert": "a"}, "GRPC_TLS_KEY"),
        ({"key": "a", "ca": "a"}, "GRPC_TLS_CERT"),
        ({"cert": "a", "key": "a"}, "GRPC_TLS_CA"),
        ({"ca": "a"}, "GRPC_TLS_REQUIRE_CLIENT=0"),
        ({"require_client": "1"}, "GRPC_TLS_CA"),
    ],
)
def test_half_a_configuration_is_none(given: dict[str, str], lacks: str) -> None:
    with pytest.raises(SettingError, match=lacks):
        config.load({f"GRPC_TLS_{name}".upper(): value for name, value in given.items()})


async def test_a_worker_that_others_reach_says_that_nothing_is_encrypted(ours: Authority, tmp_path: Path) -> None:
    put(ours, tmp_path)

    async def said_at(host: str, tls: Tls | None) -> int:
        with capture_logs() as said:
            server = RpcServer(key=KEY, worker_id=Process().id, host=host, port=0, silent=SILENT, tls=tls)
        await server.stop()
        return [each["event"] for each in said].count(telemetry.GRPC_CLEAR_TEXT)

    assert await said_at("0.0.0.0", None) == 1  # noqa: S104
    assert await said_at("0.0.0.0", tls_of(tmp_path)) == 0  # noqa: S104
    assert await said_at("127.0.0.1", None) == 0
