"""What `argosy shards …` asks for, as it is shown before and after a leader does it."""

import json
from pathlib import Path
from typing import Any

import pytest

from argosy.store.move import MoveState
from tests.harness.fleet import Fleet
from tests.moves.moving import TENANT, Moving, opened

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("log_name", ["postgres"])]


async def shown(moving: Moving, *words: str) -> Any:
    """What a command that succeeds prints, among what it says on stderr."""
    code, said = await moving.argosy("shards", *words)
    assert code == 0, said
    lines = said.splitlines(keepends=True)
    begin = next(number for number, line in enumerate(lines) if line[0] in "[{")
    return json.JSONDecoder().raw_decode("".join(lines[begin:]))[0]


async def counts(moving: Moving) -> dict[str, tuple[int, int, int, str]]:
    """Of each shard: graphs, coming, going, state."""
    names = {shard.endpoint: name for name, shard in moving.shards.items()}
    listed = await shown(moving, "list")
    return {names[each["endpoint"]]: tuple(each[n] for n in ("graphs", "coming", "going", "state")) for each in listed}


async def test_what_is_asked_of_shards_is_shown_can_be_taken_back_and_is_done(
    idle_fleet: Fleet, tmp_path: Path
) -> None:
    async with opened(idle_fleet, tmp_path) as moving:
        await moving.seed("one", "two")
        one, two = (moving.shards[each].endpoint for each in ("one", "two"))
        rows = [await moving.graphs.create(TENANT, f"g{number}") for number in range(12)]
        member = (await moving.member("one")).member_id
        on_one = [row.graph for row in rows if row.shard == member]
        held = len(on_one)

        asked = await shown(moving, "move", on_one[0], "--to", two)
        code, refused = await moving.argosy("shards", "move", on_one[0], "--to", two)
        assert (asked["to"], code) == (two, 1)
        assert "it moves already: `argosy shards moves`" in refused
        assert await counts(moving) == {"one": (held, 0, 1, "active"), "two": (12 - held, 1, 0, "active")}
        (move,) = (await shown(moving, "moves"))["moves"]
        assert (move["move"], move["graph"], move["state"]) == (asked["move"], on_one[0], "planned")
        assert (await shown(moving, "cancel", asked["move"]))["moves"] == 1
        assert "there is no open plan or move" in (await moving.argosy("shards", "cancel", asked["move"]))[1]

        drained = await shown(moving, "drain", one)
        (plan,) = (await shown(moving, "moves"))["plans"]
        assert (plan["plan"], plan["kind"]) == (drained["plan"], "drain")
        assert (await counts(moving))["one"] == (held, 0, 0, "draining")
        await shown(moving, "undrain", one)
        assert (await counts(moving))["one"] == (held, 0, 0, "active")
        assert (await shown(moving, "moves"))["plans"] == []

        moving.maintain()
        assert (await shown(moving, "move", on_one[0], "--to", two, "--wait"))["to"] == two
        assert (await counts(moving))["one"] == (held - 1, 0, 0, "active")
        assert await shown(moving, "rebalance", "--dry-run") == {"graphs": 12, "would_move": 1, "to": {one: 1}}
        await shown(moving, "rebalance", "--wait")
        assert (await counts(moving))["one"] == (held, 0, 0, "active")
        assert [each.state for each in await moving.moves()].count(MoveState.DONE) == 2
