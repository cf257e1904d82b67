"""`argosy graph` and `argosy shards`, as processes, over a shard that is served in this one."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.errors import WrongOwnerError
from argosy.graph.facts import Member
from argosy.graph.graphs import Graphs
from argosy.graph.members import Members
from argosy.graph.ops import UpsertNode
from argosy.graph.transports.connect import connect_to_shards
from argosy.local.postgres import EmbeddedPostgres
from argosy.secret import keys_of
from argosy.shards.opened import open_engine, open_shard
from argosy.shards.server import ShardServer
from argosy.store.graph import Directory
from tests.gateway.graph_shard import forget_shards

SECRET: Final = "s" * 32
BIG: Final = 2**63 - 1
KEYS: Final = {"PAYLOAD_KEYS": "11" * 32}


class Fleet:
    """A shard that is a member of the directory, with one graph."""

    def __init__(self, dsn: str, member: Member, graphs: Graphs, server: ShardServer) -> None:
        self.member = member
        self.graphs = graphs
        self.server = server
        self._dsn = dsn

    async def argosy(
        self, *words: str, code: int = 0, typed: str = "", listed: str = "", environment: Mapping[str, str] = {}
    ) -> Any:
        """listed: the endpoints that the settings have."""
        named = {"GRAPH_SERVICE_ENDPOINTS": listed} if listed else {}
        settings = {"STATE_DB_URI": self._dsn, **named, **environment}
        return await argosy(*words, code=code, typed=typed, environment=settings)


async def argosy(*words: str, environment: dict[str, str], code: int = 0, typed: str = "") -> Any:
    """Run a command; what it printed, as JSON has it when it succeeded. typed: what it reads, to its end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "argosy", *words),
        env=os.environ | {"GRAPH_SERVICE_AUTH_SECRET": SECRET, "LOG_LEVEL": "error"} | environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, error = await process.communicate(typed.encode())
    assert process.returncode == code, error.decode()
    return error.decode() if code else out and json.loads(out)


@pytest.fixture
async def fleet(graph_dsn: str, directory: Directory, tmp_path: Path) -> AsyncIterator[Fleet]:
    values = {"SHARD_DIR": str(tmp_path / "shard"), "SHARD_PORT": "0", "GRAPH_SERVICE_AUTH_SECRET": SECRET}
    settings, clock = config.load(values), SystemClock()
    engine = open_engine(settings, is_own_process=False)
    shard = open_shard(settings, engine, clock)
    server = ShardServer(shard, engine.member_id, keys_of(SECRET.encode()).shards, clock, settings)
    await server.start()
    member = Member(engine.member_id, server.address)
    await directory.seed([member])
    members = Members(directory, connect_to_shards(settings, clock), settings, clock)
    graphs = Graphs(directory, members, settings, clock)
    await graphs.create("default", "crm")
    await graphs.of("default", "crm").apply([UpsertNode(id="ada", label="Person", props={"big": BIG})])
    yield Fleet(graph_dsn, member, graphs, server)
    await members.close()
    await server.stop(0)
    await shard.end()


async def test_shards_and_graphs_are_shown(fleet: Fleet) -> None:
    enforcing = {"KG_BRAIN_ENFORCE": "1", "KG_AUTH_REQUIRED": "1"}
    shards, held, graphs, others, stats, missing = await asyncio.gather(
        fleet.argosy("shards", "list"),
        fleet.argosy("shards", "list", environment=enforcing),
        fleet.argosy("graph", "list"),
        fleet.argosy("graph", "list", "--tenant", "acme"),
        fleet.argosy("graph", "stats", "crm"),
        fleet.argosy("graph", "stats", "none", code=1),
    )

    (shard,) = shards
    assert (shard["member_id"], shard["endpoint"]) == (str(fleet.member.member_id), fleet.member.endpoint)
    assert (shard["graphs"], shard["is_up"], shard["reason"]) == (1, True, "")
    assert held[0]["is_up"]
    assert "this shard does not: set KG_BRAIN_ENFORCE=1" in held[0]["reason"]
    assert [each["graph"] for each in graphs] == ["crm"]
    assert others == []
    assert missing == "argosy: there is no graph 'none'\n"
    assert (stats["nodes"], stats["edges"], stats["state"], stats["shard"]) == (1, 0, "active", shard["member_id"])


async def test_a_graph_is_asked_in_cypher(fleet: Fleet) -> None:
    query = "MATCH (n:Person) WHERE n.id = $id RETURN n.big"

    answer, refused = await asyncio.gather(
        fleet.argosy("graph", "query", "crm", query, "--params", '{"id": "ada"}'),
        fleet.argosy("graph", "query", "crm", "RETURN nope", code=1),
    )

    assert answer["rows"] == [[BIG]]
    assert refused == "argosy: line 1, column 8: Undefined variable 'nope'\n"


async def test_a_graph_is_copied_dropped_and_restored(fleet: Fleet, tmp_path: Path) -> None:
    before = await fleet.graphs.find("default", "crm")
    copy, native = tmp_path / "crm.jsonl", tmp_path / "crm.argosy"
    _, _, refused = await asyncio.gather(
        fleet.argosy("graph", "export", "crm", "--output", str(copy)),
        fleet.argosy("graph", "export", "crm", "--native", "--output", str(native)),
        fleet.argosy("graph", "drop", "crm", "--again", "crn", code=1),
    )
    await fleet.argosy("graph", "drop", "crm", "--again", "crm")
    await asyncio.gather(
        fleet.argosy("graph", "import", "crm", str(copy)), fleet.argosy("graph", "import", "other", str(native))
    )

    assert "nothing was dropped" in refused
    assert str(before.incarnation) not in {each["incarnation"] for each in await fleet.argosy("graph", "list")}
    for graph in ("crm", "other"):
        (ada,) = await fleet.graphs.of("default", graph).get_nodes(["ada"])
        assert ada is not None
        assert json.loads(ada.props) == {"big": BIG}


async def test_a_graph_s_list_is_shown_set_audited_and_copied(fleet: Fleet, graph_dsn: str, tmp_path: Path) -> None:
    copy, wanted = tmp_path / "crm.jsonl", {"read": ["*"], "write": [], "admin": ["user:ada"]}
    assert await fleet.argosy("graph", "acl", "crm") is None
    assert await fleet.argosy("graph", "acl", "crm", "--set", json.dumps(wanted)) == wanted

    await fleet.argosy("graph", "export", "crm", "--output", str(copy))
    await fleet.argosy("graph", "import", "other", str(copy))

    assert await fleet.argosy("graph", "acl", "other") == wanted
    assert await fleet.argosy("graph", "acl", "other", "--clear") is None
    assert "acl" in await fleet.argosy("graph", "acl", "crm", "--set", '{"read": "ada"}', code=1)
    connection = await asyncpg.connect(graph_dsn, server_settings={"search_path": "argosy"})
    acts = await connection.fetch("SELECT target FROM audit WHERE action = 'graph.acl' ORDER BY no")
    await connection.close()
    assert [row["target"].partition(":")[0] for row in acts] == ["crm", "other"]


async def test_what_the_database_has_lost_is_shown_and_goes_when_it_is_told_to(
    fleet: Fleet, directory: Directory
) -> None:
    lost = await fleet.graphs.create("default", "lost")
    kept = await fleet.graphs.create("default", "kept")
    await directory.mark_dropped("default", "lost")
    await directory.delete(lost)  # as if the database were older than the graph

    with pytest.raises(WrongOwnerError, match="argosy shards orphans"):
        await fleet.graphs.create("default", "lost")
    (shown,) = await fleet.argosy("shards", "orphans")
    (dropped,) = await fleet.argosy("shards", "orphans", "--drop", "--yes")

    assert (shown["graph"], shown["incarnation"]) == ("lost", str(lost.incarnation))
    assert shown == dropped
    again = await fleet.graphs.create("default", "lost")
    assert again.incarnation != lost.incarnation
    assert await fleet.graphs.of("default", "lost").get_nodes(["ada"]) == [None]
    assert await fleet.argosy("shards", "orphans") == []
    assert (await fleet.graphs.find("default", "kept")).incarnation == kept.incarnation


async def test_nothing_is_dropped_unless_somebody_says_yes(fleet: Fleet, directory: Directory, graph_dsn: str) -> None:
    """The database is another one: it knows neither the graph nor the shard, which the settings list."""
    await forget_shards(graph_dsn)
    listed = fleet.member.endpoint

    unasked, refused = await asyncio.gather(
        fleet.argosy("shards", "orphans", "--drop", code=1, listed=listed),
        fleet.argosy("shards", "orphans", "--drop", code=1, typed="n\n", listed=listed),
    )
    (kept,) = await fleet.argosy("shards", "orphans", "--drop", typed="y\n", listed=listed)

    assert "Nothing brings them back. Go on [y/N]" in unasked
    assert "Aborted" in unasked
    assert "Aborted" in refused
    assert (kept["graph"], kept["endpoint"], kept["nodes"]) == ("crm", fleet.member.endpoint, 1)
    assert await fleet.argosy("shards", "orphans", listed=listed) == []
    assert await directory.shards() == []


async def test_a_shard_that_does_not_answer_is_shown_as_such(fleet: Fleet) -> None:
    await fleet.server.stop(0)

    (shard,) = await fleet.argosy("shards", "list")

    assert shard["is_up"] is False
    assert shard["reason"].startswith(f"ShardUnavailableError: {fleet.member.endpoint}: ")


async def test_without_an_address_the_postgres_of_up_is_asked_if_it_runs(
    folder: Path, make_cluster: Callable[[Path], None]
) -> None:
    make_cluster(folder)
    here = {"ARGOSY_DATA_DIR": str(folder)}
    refused = await argosy("graph", "list", code=1, environment=here)
    with EmbeddedPostgres(folder / "postgres"):
        listed = await argosy("graph", "list", environment=here)

    assert "STATE_DB_URI is not set" in refused
    assert listed == []


async def test_a_copy_becomes_a_sealed_graph_where_there_are_keys(fleet: Fleet, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    await fleet.argosy("graph", "export", "crm", "--output", copy)

    made, refused = await asyncio.gather(
        fleet.argosy("graph", "import", "vault", copy, "--sealed", environment=KEYS),
        fleet.argosy("graph", "import", "other", copy, "--sealed", code=1),
    )
    unreadable, _ = await asyncio.gather(
        fleet.argosy("graph", "export", "vault", code=1),
        fleet.argosy("graph", "export", "vault", "--output", f"{copy}.again", environment=KEYS),
    )

    assert (made["graph"], made["sealed"]) == ("vault", True)
    assert "PAYLOAD_KEYS is not set" in refused
    assert "PAYLOAD_KEYS is not set here" in unreadable
    text = await asyncio.to_thread(Path(f"{copy}.again").read_text)
    assert '"big":9223372036854775807' in text
