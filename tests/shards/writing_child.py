"""A process that writes to a folder until it is killed, and says what was acknowledged: one line each.

    python -m tests.shards.writing_child ROOT INCARNATION FIRST…

Writer n begins with its FIRST[n]th batch, which may have been applied already. "batch WRITER NUMBER VERSION"; another
thread makes and drops graphs: "made NUMBER", "dropped NUMBER".
"""

import os
import sys
import threading
import uuid
from pathlib import Path

from argosy.graph.facts import GraphRef, Token
from argosy.graph.ops import UpsertEdge, UpsertNode
from argosy.shards.engines.sqlite import SqliteEngine
from tests.shards.engines import apply, open_sqlite

SESSION = uuid.UUID(int=7)


def node_id(writer: int, number: int) -> str:
    return f"{writer}-{number}"


def short_lived(incarnation: uuid.UUID, number: int) -> GraphRef:
    return GraphRef("acme", "short-lived", uuid.uuid5(incarnation, str(number)), 1)


def tell(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def write(engine: SqliteEngine, ref: GraphRef, writer: int, number: int) -> None:
    token = Token(uuid.uuid5(SESSION, str(writer)), 1, 1, 1)
    while True:
        node = UpsertNode(node_id(writer, number), "N", {"text": "x" * (number % 7 * 500)}, if_absent=True)
        ops = [node] if number == 0 else [node, UpsertEdge(node_id(writer, number - 1), "NEXT", node.id)]
        applied = apply(engine, ref, *ops, key=node.id, token=token)
        tell("batch", writer, number, applied.version)
        number += 1


def make_and_drop(engine: SqliteEngine, incarnation: uuid.UUID, number: int) -> None:
    while True:
        ref = short_lived(incarnation, number)
        engine.create(ref)
        apply(engine, ref, UpsertNode("a", "N"))
        tell("made", number)
        engine.drop(ref)
        tell("dropped", number)
        number += 1


def main() -> None:
    root, incarnation, made, *firsts = sys.argv[1:]
    engine = open_sqlite(Path(root))
    ref = GraphRef("acme", "people", uuid.UUID(incarnation), 1)
    threads = [
        threading.Thread(target=write, args=(engine, ref, writer, int(first))) for writer, first in enumerate(firsts)
    ]
    threads.append(threading.Thread(target=make_and_drop, args=(engine, ref.incarnation, int(made))))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
