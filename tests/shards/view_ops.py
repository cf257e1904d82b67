"""Random operations for views: names and keys to which kglite gives a meaning, and values of all kinds."""

from typing import Final

from hypothesis import strategies as st

from argosy.graph.ops import DeleteEdge, DeleteNode, MergeProps, UpsertEdge, UpsertNode

NAMES: Final = st.sampled_from(["a", "b", "名", "x y", "c'", "7", "07", "true", "A", "`", "a/b", "null"])
LABELS: Final = st.sampled_from(["Person", "person", "日本", "P q", "_N", "Node"])
# Keys and values: what kglite gives a meaning, and what looks like a key that is hidden under another name.
TEXTS: Final = [
    *("name", "title", "type", "label", "id", "properties", "labels", "", "$date"),
    *("x", "y z", "名前", "name_argosy", "u6162_argosy", "id_argosy", "u_argosy"),
]
KEYS: Final = st.sampled_from(TEXTS) | st.text(max_size=5)
VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2020-01-01", "2020-01-01T10:00:00Z", "POINT(1 2)", "1", "true", "null", *TEXTS]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
PROPS: Final = st.dictionaries(KEYS, VALUES, max_size=4)
OPS: Final = st.lists(
    st.builds(UpsertNode, NAMES, LABELS, PROPS)
    | st.builds(UpsertEdge, NAMES, LABELS, NAMES, PROPS)
    | st.builds(DeleteNode, NAMES)
    | st.builds(DeleteEdge, NAMES, LABELS, NAMES)
    | st.builds(MergeProps, PROPS, id=NAMES)
    | st.builds(MergeProps, PROPS, src=NAMES, type=LABELS, dst=NAMES),
    max_size=25,
)
