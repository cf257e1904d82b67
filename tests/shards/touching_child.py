"""A process that touches many graphs in turn, twice, and says how much it took: "MAX_RSS_BYTES MAX_DESCRIPTORS".

python -m tests.shards.touching_child ROOT COUNT
"""

import re
import sys
from pathlib import Path

from argosy.graph.facts import GraphRef
from tests.shards.engines import BOUNDS, apply, knows, never, new_ref, open_sqlite, person


def main() -> None:
    root, count, open_max = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    engine = open_sqlite(root, BOUNDS._replace(graphs=open_max, descriptors=3 * open_max))
    refs: list[GraphRef] = [new_ref("acme", f"graph {number}") for number in range(count)]
    descriptors_max = 0
    for ref in refs:
        engine.create(ref)
        apply(engine, ref, person("ada", text="x" * 2_000), person("bob"), knows("ada", "bob"))
    for ref in refs:
        assert len(engine.graph(ref).scan(ref, "", "", 10, never)) == 2
        assert apply(engine, ref, person("cy")).version == 2
        assert engine.open_count <= open_max
        descriptors_max = max(descriptors_max, len(list(Path("/proc/self/fd").iterdir())))
    engine.close()
    # The peak of this program; getrusage has that of the process it was started by, too.
    peak_kib = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert peak_kib is not None
    print(int(peak_kib[1]) * 1_024, descriptors_max)


if __name__ == "__main__":
    main()
