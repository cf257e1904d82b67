"""Any text is a valid search, and a search finds what the file has."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.graph.ops import DeleteNode, MergeProps, Op, Props, UpsertNode
from argosy.shards.engines.connection import transaction
from argosy.shards.engines.text import PART, RANKED_MAX, TextIndex
from argosy.shards.engines.words import Phrase, phrases_of, words_of
from tests.shards.one_file import OneFile


class SearchedFile(OneFile):
    """A file whose text is indexed when something is searched for."""

    def __init__(self, path: Path) -> None:
        self.index = TextIndex()
        super().__init__(path, self.index)

    def build(self) -> int:
        """Build the index, and return in how many transactions."""
        parts = 1
        while not self._build_part():
            parts += 1
        return parts

    def search(self, text: str, limit: int = 10) -> list[str]:
        return list(self.scores(text, limit))

    def scores(self, text: str, limit: int = 10) -> dict[str, float]:
        if not self.index.is_built(self.connection):
            self.build()
        with self.reading() as connection:
            return {hit.node.id: hit.score for hit in self.index.search(connection, text, limit)}

    def _build_part(self) -> bool:
        with transaction(self.connection):
            return self.index.build(self.connection)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[SearchedFile]:
    file = SearchedFile(tmp_path / "graph.db")
    yield file
    file.close()


def node(node_id: str, label: str = "Note", **props: Any) -> UpsertNode:
    return UpsertNode(id=node_id, label=label, props=props)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("C++", ["cpp"]),
        ("c", ["c", "cpp"]),
        ("state-of-the-art", ["art"]),
        ("state of the art", ["art", "state"]),
        ("日本", ["japan"]),
        ("日", ["japan"]),
        ("本語", ["japan"]),
        ("語", ["japan"]),
        ("日語", []),
        ("🎉", ["party"]),
        ("PARTY", ["party"]),
        ("café", ["menu"]),
        ("CAFE", ["menu"]),
        ("deep", ["nested"]),
        ("1815", []),
        ("born", []),
        ("lang", ["c", "cpp"]),
        ("zzz c", ["c", "cpp"]),
    ],
)
def test_a_search_finds_what_it_should(file: SearchedFile, text: str, found: list[str]) -> None:
    file.apply(
        node("cpp", "Lang", text="C++ has templates"),
        node("c", "Lang"),
        node("art", text="a state-of-the-art engine"),
        node("state", text="the art, and the state of it"),
        node("japan", text="日本語を話す"),
        node("party", text="🎉🎉"),
        node("menu", text="Café au lait"),
        node("nested", born=1815, list=[{"a": ["deep"]}], none=None, true=True),
    )

    assert sorted(file.search(text)) == found


def test_nodes_with_all_words_come_before_those_with_some(file: SearchedFile) -> None:
    file.apply(
        node("both", text="ada wrote " + "and wrote " * 50 + "to charles"),
        node("ada", text="ada"),
        node("charles", text="charles"),
    )

    scores = file.scores("ada charles")

    assert next(iter(scores)) == "both"
    assert set(scores) == {"both", "ada", "charles"}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


def test_what_is_named_so_comes_before_what_mentions_it(file: SearchedFile) -> None:
    file.apply(node("note", text="about ada"), node("ada", text="about notes"))

    assert file.search("ada") == ["ada", "note"]


def test_a_hit_is_the_node_with_the_turn_and_step_that_wrote_it(file: SearchedFile) -> None:
    file.apply(node("ada", "Person", born=1815))
    file.build()

    with file.reading() as connection:
        (hit,) = file.index.search(connection, "ada", 10)

    assert (hit.node.id, hit.node.label, hit.node.props, hit.node.version) == ("ada", "Person", b'{"born":1815}', 1)
    assert hit.node.source == ("turn-1", "remember")


def test_a_graph_that_nobody_searches_has_no_index(file: SearchedFile) -> None:
    file.apply(node("ada"))

    assert not file.index.is_built(file.connection)
    assert file.connection.execute("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'word%'").get == 0


def test_what_is_rolled_back_is_not_found(file: SearchedFile) -> None:
    file.apply(node("ada"))
    file.build()

    file.apply_and_roll_back(node("bob"), DeleteNode(id="ada"))

    assert file.search("ada bob") == ["ada"]


def test_a_node_that_takes_the_place_of_a_deleted_one_is_found_by_its_own_words(file: SearchedFile) -> None:
    file.apply(node("ada", text="old"))
    file.build()

    file.apply(DeleteNode(id="ada"), node("bob", text="new"))

    assert (file.search("old"), file.search("new")) == ([], ["bob"])


def test_the_index_is_made_in_parts_while_others_write(file: SearchedFile) -> None:
    file.apply(*[node(f"n{number}", text="old") for number in range(2 * PART)])
    with transaction(file.connection):
        assert not file.index.build(file.connection)

    file.apply(MergeProps(id="n0", props={"text": "new"}), MergeProps(id=f"n{2 * PART - 1}", props={"text": "new"}))
    file.apply(node("late", text="new"), DeleteNode(id="n1"), DeleteNode(id=f"n{2 * PART - 2}"))

    assert file.build() == 2
    assert set(file.search("new")) == {"n0", f"n{2 * PART - 1}", "late"}
    assert file.search(f"n1 n{2 * PART - 2}") == []
    assert len(file.search("old", 2 * PART)) == 2 * PART - 4


def test_large_nodes_are_taken_into_the_index_a_few_at_a_time(file: SearchedFile) -> None:
    file.apply(*[node(f"n{number}", blob="x" * 1_000_000) for number in range(20)])

    assert file.build() == 3
    assert len(file.search("note", 100)) == 20


def test_of_very_many_matches_the_newest_are_found_and_rare_words_decide(file: SearchedFile) -> None:
    file.apply(node("first", text="common rare"), *[node(f"n{each}", text="common") for each in range(RANKED_MAX)])
    file.build()

    assert file.search("common", 2) == [f"n{RANKED_MAX - 1}", f"n{RANKED_MAX - 2}"]
    assert file.search("common rare", 5) == ["first"]
    assert file.search("common rare missing", 5) == ["first"]
    assert len(file.search("common note", 5)) == 5
    assert len(file.search("common missing", 5)) == 5


def test_nodes_with_all_words_come_first_however_common_one_is(file: SearchedFile) -> None:
    file.apply(
        *[node(f"c{each}", text="common") for each in range(RANKED_MAX + 1)],
        node("short", text="rare"),
        node("long", text="rare " + "and common " * 30),
    )

    assert file.search("rare common", 5) == ["long", "short"]


def test_a_long_text_is_found_by_its_beginning(file: SearchedFile) -> None:
    file.apply(node("long", text="start " + "x" * 500_000 + " end"))

    assert (file.search("start"), file.search("end")) == (["long"], [])


def test_a_search_for_ten_megabytes_is_cut(file: SearchedFile) -> None:
    file.apply(node("ada"))
    file.build()

    assert file.search("ada " + '( NEAR" * ' * 1_000_000) == ["ada"]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text())
def test_any_text_is_a_valid_search(file: SearchedFile, text: str) -> None:
    file.apply(node("ada", text="Ada Lovelace"))

    file.search(text)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(codec="utf-8"), max_size=40))
def test_a_text_is_found_by_itself(file: SearchedFile, text: str) -> None:
    file.apply(node("it", text=text))

    assert file.search(text) == (["it"] if words_of(text) else [])


_IDS = st.sampled_from(["ada", "bob", "日本語", "c++"])
_TEXTS = st.text(st.sampled_from("ab+日本語é -🎉"), max_size=8)
_OPS: st.SearchStrategy[Op] = st.one_of(
    st.builds(UpsertNode, id=_IDS, label=st.sampled_from(["a", "+"]), props=st.dictionaries(st.just("t"), _TEXTS)),
    st.builds(DeleteNode, id=_IDS),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_OPS, min_size=1, max_size=4), max_size=6), text=_TEXTS, built_after=st.integers(0, 6))
def test_the_index_agrees_with_the_file(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[Op]], text: str, built_after: int
) -> None:
    file = SearchedFile(tmp_path_factory.mktemp("file") / "graph.db")
    nodes: dict[str, tuple[str, Props]] = {}
    for number, batch in enumerate(batches):
        if number == built_after:
            file.build()
        file.apply(*batch)
        for op in batch:
            if isinstance(op, UpsertNode):
                nodes[op.id] = (op.label, op.props)
            elif isinstance(op, DeleteNode):
                nodes.pop(op.id, None)

    found = set(file.search(text))

    phrases = phrases_of(text)
    having = {
        node_id: sum(_has(phrase, [node_id, label, *props.values()]) for phrase in phrases)
        for node_id, (label, props) in nodes.items()
    }
    assert found == {node_id for node_id, count in having.items() if count}
    file.close()


def _has(phrase: Phrase, texts: list[str]) -> bool:
    """Whether one of some texts has a phrase."""
    size = len(phrase.words)
    for words in map(words_of, texts):
        for at in range(len(words) - size + 1):
            *firsts, last = words[at : at + size]
            is_last = last.startswith(phrase.words[-1]) if phrase.is_open else last == phrase.words[-1]
            if is_last and tuple(firsts) == phrase.words[:-1]:
                return True
    return False
