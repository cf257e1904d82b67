"""The shard that `argosy up` brings: when there is one, where it serves, and when it is a member."""

import importlib.util
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest

from argosy import config
from argosy.clock import SystemClock
from argosy.config import Settings
from argosy.errors import SettingError
from argosy.graph.facts import GraphRef, Member
from argosy.local.own_shard import prepare_shard, shard_socket
from argosy.shards.opened import open_engine
from argosy.store.graph import Directory


def settings_of(folder: Path, **more: Any) -> Settings:
    return config.load({"ARGOSY_DATA_DIR": str(folder), **more})


def refuse(warning: str) -> None:
    raise AssertionError(warning)


async def test_the_first_start_makes_it_the_only_member_and_a_folder_that_moves_stays_it(
    directory: Directory, graph_dsn: str, folder: Path
) -> None:
    before, after = settings_of(folder / "before"), settings_of(folder / "after")

    assert await prepare_shard(before, graph_dsn, SystemClock(), refuse)
    assert await prepare_shard(before, graph_dsn, SystemClock(), refuse)
    (first,) = await directory.shards()
    (folder / "before").rename(folder / "after")
    assert await prepare_shard(after, graph_dsn, SystemClock(), refuse)
    (moved,) = await directory.shards()

    assert first.endpoint == f"unix:{folder}/before/sockets/shard"
    assert moved.endpoint == f"unix:{folder}/after/sockets/shard"
    assert first.member_id == moved.member_id


async def test_a_folder_of_which_the_database_knows_nothing_is_no_member(
    directory: Directory, graph_dsn: str, folder: Path
) -> None:
    assert await prepare_shard(settings_of(folder / "one"), graph_dsn, SystemClock(), refuse)
    said: list[str] = []

    assert await prepare_shard(settings_of(folder / "two"), graph_dsn, SystemClock(), said.append) is None

    assert [str(folder / "two") in each for each in said] == [True]
    assert len(await directory.shards()) == 1


async def test_a_folder_with_graphs_is_not_the_first_member_of_a_database_that_knows_none(
    directory: Directory, graph_dsn: str, folder: Path
) -> None:
    settings = settings_of(folder)
    engine = open_engine(settings, is_own_process=False)
    engine.create(GraphRef("acme", "crm", uuid.uuid4(), 1))
    engine.close()

    with pytest.raises(SettingError, match="has graphs of which this database knows nothing"):
        await prepare_shard(settings, graph_dsn, SystemClock(), refuse)
    assert await directory.shards() == []
    await directory.seed([Member(engine.member_id, "as-it-was")])
    assert await prepare_shard(settings, graph_dsn, SystemClock(), refuse), "its own database knows it"


async def test_a_long_path_gets_a_short_socket_in_a_folder_of_this_user_alone(
    directory: Directory, graph_dsn: str, folder: Path
) -> None:
    settings = settings_of(folder / ("long" * 30))

    await prepare_shard(settings, graph_dsn, SystemClock(), refuse)

    path = shard_socket(settings)
    assert len(str(path)) <= 100
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert shard_socket(settings_of(folder / ("other" * 30))) != path
    path.parent.rmdir()


async def test_there_is_none_where_others_are_named_or_its_extra_is_missing(
    directory: Directory, graph_dsn: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = settings_of(folder, GRAPH_SERVICE_ENDPOINTS="tcp://127.0.0.1:9010")
    assert await prepare_shard(named, graph_dsn, SystemClock(), refuse) is None

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "kglite" else found(name))

    assert await prepare_shard(settings_of(folder), graph_dsn, SystemClock(), refuse) is None
    assert await directory.shards() == []
