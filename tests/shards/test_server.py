"""Where a shard can be reached, by whom, and what it tells those who have no key."""

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from argosy import config
from argosy.clock import SystemClock
from argosy.errors import SettingError, ShardUnavailableError
from argosy.graph.facts import GraphRef
from argosy.graph.transports.connect import GrpcConnect
from argosy.rpc.call_server import UNSIGNED_CALLS_MAX
from argosy.shards.engine import Engine
from tests.harness.certificates import Authority
from tests.shards.served import KEY, S, Served, serving, settings_of

SERVICE = "argosy.rpc.v2.Shard"
EVERYWHERE = "0.0.0.0"  # noqa: S104
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "ours")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls") / "theirs")


def tls(authority: Authority, name: str = "", ca: Authority | None = None) -> Any:
    """Return settings: with a certificate if there is a name, with a CA if there is one."""
    issued = authority.issue(name) if name else None
    return {
        "shard_tls_cert": issued.cert if issued else "",
        "shard_tls_key": issued.key if issued else "",
        "shard_tls_ca": ca.ca if ca else "",
    }


async def answers(served: Served, **settings: Any) -> bool:
    try:
        return await served.transport(**settings).identify(deadline_s=S) == served.engine.member_id
    except ShardUnavailableError:
        return False


async def test_a_shard_with_a_certificate_serves_tls_alone(engine: Engine, authority: Authority) -> None:
    async with serving(engine, **tls(authority, "shard")) as served:
        assert await answers(served, **tls(authority, ca=authority))
        assert not await answers(served)


async def test_a_caller_believes_its_own_ca_alone(engine: Engine, authority: Authority, stranger: Authority) -> None:
    async with serving(engine, **tls(stranger, "shard")) as served:
        assert not await answers(served, **tls(authority, ca=authority))


async def test_a_shard_with_a_ca_asks_callers_for_a_certificate(
    engine: Engine, authority: Authority, stranger: Authority
) -> None:
    async with serving(engine, **tls(authority, "shard", authority)) as served:
        assert await answers(served, **tls(authority, "worker", authority))
        assert not await answers(served, **tls(stranger, "worker", authority))
        assert not await answers(served, **tls(authority, ca=authority))


async def test_what_workers_serve_with_shards_serve_with_as_well(engine: Engine, authority: Authority) -> None:
    issued = authority.issue("all")
    of_all: Any = {"grpc_tls_cert": issued.cert, "grpc_tls_key": issued.key, "grpc_tls_ca": authority.ca}
    async with serving(engine, **of_all) as served:
        assert await answers(served, **of_all)
        assert not await answers(served)
        assert not await answers(served, **tls(authority, ca=authority))
    async with serving(engine, **of_all, **tls(authority, "shard")) as served:  # a shard's own are all that counts
        assert await answers(served, **tls(authority, ca=authority))


async def test_a_transport_goes_on_when_certificates_are_replaced(
    engine: Engine, authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    used: Any = {f"shard_tls_{each}": str(tmp_path / each) for each in ("cert", "key", "ca")}

    def put(by: Authority) -> None:
        issued = by.issue("used")
        for source, name in ((issued.cert, "cert"), (issued.key, "key"), (by.ca, "ca")):
            (tmp_path / name).write_bytes(Path(source).read_bytes())

    put(authority)
    async with serving(engine, **used) as served:
        transport = served.transport(**used)
        assert await transport.identify(deadline_s=S) == engine.member_id
        put(stranger)

        assert await transport.identify(deadline_s=S) == engine.member_id
        assert not await answers(served, **tls(authority, "worker", authority))


async def test_signatures_are_asked_for_behind_tls_as_well(engine: Engine, authority: Authority) -> None:
    async with serving(engine, **tls(authority, "shard")) as served:
        with pytest.raises(ShardUnavailableError, match="another secret"):
            await served.transport(key=b"o" * 32, **tls(authority, ca=authority)).identify(deadline_s=S)


async def test_an_address_that_others_reach_needs_tls_or_a_word(engine: Engine, authority: Authority) -> None:
    with pytest.raises(SettingError, match="SHARD_ALLOW_REMOTE"):
        async with serving(engine, shard_host=EVERYWHERE):
            pass
    async with serving(engine, shard_host=EVERYWHERE, **tls(authority, "shard")) as served:
        assert served.address.startswith("0.0.0.0:")
    async with serving(engine, shard_host=EVERYWHERE, shard_allow_remote=True) as served:
        assert served.address.startswith("0.0.0.0:")


async def test_a_port_that_is_taken_is_said(engine: Engine) -> None:
    async with serving(engine) as served:
        port = int(served.address.rpartition(":")[2])

        with pytest.raises(SettingError, match=f"SHARD_PORT={port}"):
            async with serving(engine, shard_port=port):
                pass


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nbad\n"])
async def test_files_of_tls_that_are_none_are_said(engine: Engine, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "cert.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(SettingError, match="SHARD_TLS"):
        async with serving(engine, shard_tls_cert=str(path), shard_tls_key=str(path)):
            pass


async def test_a_certificate_with_the_key_of_another_one_is_said(engine: Engine, authority: Authority) -> None:
    mixed = tls(authority, "shard") | {"shard_tls_key": authority.issue("other").key}

    with pytest.raises(SettingError, match="SHARD_TLS_KEY"):
        async with serving(engine, **mixed):
            pass


async def test_a_ca_that_is_none_is_said_to_callers_as_well(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(SettingError, match="SHARD_TLS_CA"):
        GrpcConnect(KEY, SystemClock(), settings_of(shard_tls_ca=str(tmp_path / "ca.pem")))


def test_a_certificate_without_its_key_is_a_contradiction() -> None:
    with pytest.raises(SettingError, match="SHARD_TLS_KEY"):
        config.load({}, shard_tls_cert="cert.pem")


async def test_a_shard_is_reached_by_a_unix_socket_that_others_cannot_open(
    engine: Engine, ref: GraphRef, tmp_path: Path
) -> None:
    path = tmp_path / "shard.sock"

    async with serving(engine, shard_socket=str(path)) as served:
        assert served.address == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await served.transport().get_nodes(ref, ["ada"], deadline_s=S) == [None]


async def test_a_unix_socket_left_by_a_shard_that_was_killed_is_taken_over(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "shard.sock"
    async with serving(engine, shard_socket=str(path)):
        left = tmp_path / "left.sock"
        path.rename(left)
    left.rename(path)

    async with serving(engine, shard_socket=str(path)) as served:
        assert await answers(served)


@pytest.mark.parametrize("path", ["/" + "x" * 200, "/no/such/folder/shard.sock"])
async def test_a_socket_that_cannot_be_made_is_said(engine: Engine, path: str) -> None:
    with pytest.raises(SettingError, match="SHARD_SOCKET"):
        async with serving(engine, shard_socket=path):
            pass


@pytest.fixture
async def served(engine: Engine) -> AsyncIterator[Served]:
    async with serving(engine) as served:
        yield served


@pytest.mark.parametrize("service", ["", SERVICE])
async def test_whoever_asks_is_told_whether_a_shard_serves(served: Served, service: str) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)

        now = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=S)

        assert now.status == SERVING


async def test_a_shard_that_ends_says_so_first(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        watched = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE), timeout=S)
        assert (await watched.read()).status == SERVING

        stopping = asyncio.create_task(served.server.stop(1.0))

        assert (await watched.read()).status == NOT_SERVING
        watched.cancel()
        await stopping


async def test_whoever_asks_is_told_what_proto_says(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        asked = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(timeout=S)
        await asked.write(reflection_pb2.ServerReflectionRequest(list_services=""))

        listed = await asked.read()

        assert SERVICE in [each.name for each in listed.list_services_response.service]
        await asked.write(reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE))
        assert (await asked.read()).file_descriptor_response.file_descriptor_proto


async def test_a_shard_waits_for_its_next_call_in_one_task_however_many_methods_it_has(engine: Engine) -> None:
    before = asyncio.all_tasks()

    async with serving(engine):
        await asyncio.sleep(0)

        assert len(asyncio.all_tasks() - before) <= 2  # one that serves, and one that waits for it


async def test_those_without_a_key_take_no_room_from_others(served: Served, ref: GraphRef) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        watches = [health.Watch(health_pb2.HealthCheckRequest()) for _ in range(UNSIGNED_CALLS_MAX)]
        for watch in watches:
            await watch.read()

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await health.Check(health_pb2.HealthCheckRequest(), timeout=S)

        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await served.transport().get_nodes(ref, ["ada"], deadline_s=S) == [None]
        for watch in watches:
            watch.cancel()


async def test_everything_else_needs_a_signature(served: Served) -> None:
    async with grpc.aio.insecure_channel(served.address) as channel:
        for method in ("Identify", "List", "Stats", "Export"):
            call = channel.unary_unary(f"/{SERVICE}/{method}")(b"", timeout=S)
            assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
        with contextlib.suppress(grpc.aio.AioRpcError):
            await channel.unary_unary("/argosy.rpc.v2.Other/Method")(b"", timeout=S)
