"""A process that writes to a graph until files may not grow any more, and goes on once they may.

    python -m tests.shards.full_disk_child ROOT

It says which errors came, and ends with 0 if nothing that was acknowledged is missing, and nothing else is there.
"""

import resource
import sys
from pathlib import Path

from argosy.errors import OutcomeUnknownError, ShardUnavailableError
from argosy.graph.facts import GraphRef
from argosy.shards.engine import Engine
from tests.shards.engines import apply, facts_of, load, new_ref, open_sqlite, person

TEXT = "x" * 50_000


def limit_files(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def write(engine: Engine, ref: GraphRef, ids: list[str]) -> list[str]:
    """Write nodes one by one. Return those that were acknowledged."""
    acknowledged = []
    for each in ids:
        try:
            apply(engine, ref, person(each, text=TEXT), key=each)
        except (ShardUnavailableError, OutcomeUnknownError) as error:
            print(type(error).__name__)
        else:
            acknowledged.append(each)
    return acknowledged


def main() -> None:
    engine = open_sqlite(Path(sys.argv[1]))
    ref = new_ref()
    engine.create(ref)
    ids = [f"{n:03}" for n in range(60)]
    limit_files(1_000_000)
    acknowledged = write(engine, ref, ids)
    assert 0 < len(acknowledged) < len(ids)
    assert [node.id for node in facts_of(engine, ref)[0]] == acknowledged
    try:
        load(engine, ref, [person(each, text=TEXT) for each in ids])
    except (ShardUnavailableError, OutcomeUnknownError) as error:
        print(type(error).__name__)

    limit_files(resource.RLIM_INFINITY)

    assert write(engine, ref, ids) == ids
    nodes = facts_of(engine, ref)[0]
    assert [node.id for node in nodes] == ids
    assert sorted(node.version for node in nodes) == list(range(1, 61))
    engine.close()


if __name__ == "__main__":
    main()
