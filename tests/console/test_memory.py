"""What a session remembers is shown with it: its graph's nodes, their props and edges, and which turn wrote them."""

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from argosy.gateway import graph_views
from argosy.graph.facts import Edge, GraphState, Hit, Neighborhood, Node, Source, Stats
from argosy.graph.names import own_graph_of
from argosy.store.graph import GraphRow, GraphRowState
from tests.console.browser import Browser, Console
from tests.console.scripted import SESSION, STREAM, TURN_ID, Act, Scripted, message

GRAPH = own_graph_of("default", SESSION)
ADDRESS = f"/v1/graphs/{quote(GRAPH, safe='')}"
BY_TURN = Source(TURN_ID, "remember#0")
ADA = Node("ada", "Person", b'{"born":1815,"large":9223372036854775807}', 1, BY_TURN)
BOB = Node("bob", "Person", b"{}", 2, Source())
KNOWS = Edge("ada", "KNOWS", "bob", b"{}", 2, BY_TURN)


def shown(view: Any) -> Any:
    """An answer of the gateway."""
    return msgspec.json.decode(msgspec.json.encode(view))


def remember(gateway: Scripted, *nodes: Node, version: int) -> None:
    """What the session's graph has from now on."""
    now = datetime.now(UTC)
    row = GraphRow(
        "default", GRAPH, uuid.UUID(int=1), uuid.UUID(int=2), 1, GraphRowState.ACTIVE, uuid.UUID(int=3), None, now
    )
    stats = Stats(row.incarnation, 1, GraphState.ACTIVE, len(nodes), 1, version, 4_096, 0)
    gateway.pages |= {
        f"/v1/sessions/{SESSION}": {"session": SESSION, "head": None, "turns_queued": 0, "graph": GRAPH},
        f"/v1/sessions/{SESSION}/turns": {"turns": [], "next": None},
        ADDRESS: shown(graph_views.detail(row, stats)),
        f"{ADDRESS}/nodes": shown(graph_views.NodePage(nodes=[graph_views.node(each) for each in nodes], next=None)),
        f"{ADDRESS}/neighbors": shown(graph_views.neighborhood(Neighborhood([ADA, BOB], [KNOWS], is_cut=False))),
        f"{ADDRESS}/search": shown(graph_views.hits([Hit(BOB, 1.0)])),
    }


def test_the_nodes_of_a_session_are_shown_with_what_they_have_and_who_wrote_them(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        remember(gateway, ADA, BOB, version=2)
        Console(browser, gateway.url).open_session(SESSION)

        browser.click("Memory")
        browser.until_text("2 nodes, 1 edge.", ".memory")
        browser.until(lambda: browser.texts(".facts .name") == ["ada", "bob"], "nodes")
        browser.click("Person ada")
        opened = browser.until_text("ada —KNOWS→ bob", ".facts details[open]")
        browser.open("about:blank")

    assert "1815" in opened
    assert "9223372036854775807" in opened
    assert f"Written by turn {TURN_ID[-6:]}, step remember#0" in opened
    assert browser.violations() == []


def test_what_is_remembered_meanwhile_is_seen_and_can_be_searched(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        remember(gateway, ADA, version=1)
        Console(browser, gateway.url).open_session(SESSION)
        browser.click("Memory")
        browser.until_text("1 node, 1 edge.", ".memory")

        remember(gateway, ADA, BOB, version=2)
        browser.until(lambda: browser.texts(".facts .name") == ["ada", "bob"], "the new node")
        browser.run(
            "const field = document.querySelector('.find input'); field.value = 'b'; field.form.requestSubmit();"
        )
        browser.until(lambda: browser.texts(".facts .name") == ["bob"], "what was found")
        browser.open("about:blank")


def test_another_graph_that_a_turn_writes_to_meanwhile_can_be_chosen(browser: Browser) -> None:
    intended = {"seq": 3, "key": "graph:write", "turn_id": TURN_ID, "data": {"graph": "crm"}}
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        remember(gateway, ADA, version=1)
        own = gateway.pages[ADDRESS]
        gateway.pages["/v1/graphs/crm"] = own | {"graph": "crm"}
        gateway.pages["/v1/graphs/crm/nodes"] = shown(graph_views.NodePage(nodes=[graph_views.node(BOB)], next=None))
        Console(browser, gateway.url).open_session(SESSION)
        browser.click("Memory")
        browser.until(lambda: browser.texts(".facts .name") == ["ada"], "its own graph")
        offered_before = browser.text(".memory select")

        gateway.late.append(message("step.intended", "3", intended))
        browser.until(lambda: browser.texts(".memory option") == [GRAPH, "crm"], "the choice")
        browser.run(
            "const choice = document.querySelector('.memory select');"
            "choice.value = 'crm'; choice.dispatchEvent(new Event('change'));"
        )
        browser.until(lambda: browser.texts(".facts .name") == ["bob"], "the other graph")
        browser.open("about:blank")

    assert offered_before == ""


def test_a_session_that_remembers_nothing_shows_no_memory(browser: Browser) -> None:
    with Scripted(Act(200, STREAM, is_held=True)) as gateway:
        remember(gateway, version=1)
        gateway.pages[f"/v1/sessions/{SESSION}"] |= {"graph": None}
        Console(browser, gateway.url).open_session(SESSION)
        browser.until_text("It is idle", ".about")

        assert browser.text(".memory") == ""
        browser.open("about:blank")
