"""A process that writes to a folder until it is killed, and says what was acknowledged: one line each.

    python -m tests.shards.writing_child ROOT INCARNATION MADE LOADED FIRST…

Writer n begins with its FIRST[n]th batch, which may have been applied already: "batch WRITER NUMBER VERSION". Another
thread makes and drops graphs, from number MADE on: "made NUMBER", "dropped NUMBER". Another one does bulk loads into a
graph of its own, from number LOADED on: "loaded NUMBER".
"""

import os
import sys
import threading
import uuid
from contextlib import suppress
from pathlib import Path

from argosy.errors import WrongOwnerError
from argosy.graph.facts import FencingToken, GraphRef
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.engines import apply, load, open_sqlite

SESSION = uuid.UUID(int=7)
LOAD_SIZE = 150


def node_id(writer: int, number: int) -> str:
    return f"{writer}-{number}"


def short_lived(incarnation: uuid.UUID, number: int) -> GraphRef:
    return GraphRef("acme", "short-lived", uuid.uuid5(incarnation, str(number)), 1)


def loaded(incarnation: uuid.UUID) -> GraphRef:
    return GraphRef("acme", "loaded", uuid.uuid5(incarnation, "loaded"), 1)


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def write(engine: SqliteEngine, ref: GraphRef, writer: int, number: int) -> None:
    token = FencingToken(uuid.uuid5(SESSION, str(writer)), 1, 1, 1)
    while True:
        node = UpsertNode(node_id(writer, number), "N", {"text": "x" * (number % 7 * 500)}, if_absent=True)
        ops = [node] if number == 0 else [node, UpsertEdge(node_id(writer, number - 1), "NEXT", node.id)]
        applied = apply(engine, ref, *ops, key=node.id, token=token)
        tell("batch", writer, number, applied.version)
        number += 1


def make_and_drop(engine: SqliteEngine, incarnation: uuid.UUID, number: int) -> None:
    while True:
        ref = short_lived(incarnation, number)
        with suppress(WrongOwnerError):  # it was dropped, and the process was killed before it said so
            engine.create(ref)
            apply(engine, ref, UpsertNode("a", "N"))
            tell("made", number)
        engine.drop(ref)
        tell("dropped", number)
        number += 1


def load_much(engine: SqliteEngine, incarnation: uuid.UUID, number: int) -> None:
    ref = loaded(incarnation)
    engine.create(ref)
    while True:
        load(engine, ref, [UpsertNode(f"{number} {n}", "N", {"load": number}) for n in range(LOAD_SIZE)])
        tell("loaded", number)
        number += 1


def main() -> None:
    root, incarnation, made, loaded_before, *firsts = sys.argv[1:]
    engine = open_sqlite(Path(root))
    ref = GraphRef("acme", "people", uuid.UUID(incarnation), 1)
    threads = [
        threading.Thread(target=write, args=(engine, ref, writer, int(first))) for writer, first in enumerate(firsts)
    ]
    threads.append(threading.Thread(target=make_and_drop, args=(engine, ref.incarnation, int(made))))
    threads.append(threading.Thread(target=load_much, args=(engine, ref.incarnation, int(loaded_before))))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
