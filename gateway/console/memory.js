// What a session remembers: the nodes of its graph, each with its props, its edges, and the turn that wrote it; and those
// of other graphs that its turns write to.

import { getGraph, listNodes, neighborsOf, searchGraph } from "./api.js";
import { element, setList, setText } from "./dom.js";
import { every } from "./timers.js";
import { hrefs } from "./router.js";
import { value } from "./value.js";

const REFRESH_MS = 5_000;
const OTHERS_MAX = 100; // more are no list to choose from
const count = (number, one, many) => `${number.toLocaleString()} ${number === 1 ? one : many}`;

/**
 * Closed until somebody opens it, and nothing is asked before. show(graph) names the session's own graph, null: there is
 * none; offer(graph) another one, which can be chosen.
 */
export function openMemory() {
  let own = null;
  let graph = null;
  let version = null;
  let nodes = [];
  let next = null;
  let beat = null;
  const about = element("p", { class: "about" });
  const wanted = element("input", { type: "search", "aria-label": "Find in memory", placeholder: "Find", autocomplete: "off" });
  const others = new Set();
  const choice = element("select", { "aria-label": "Graph", hidden: true, change: () => choose(choice.value) });
  const list = element("ul", { class: "facts", "aria-label": "Nodes" });
  const older = element("button", { type: "button", class: "quiet", hidden: true, click: () => tried(more) }, "More");
  const form = element("form", { class: "find", role: "search", submit: find }, wanted);
  const node = element("details", { class: "card memory", hidden: true, toggle },
    element("summary", {}, "Memory"), choice, about, form, list, older);

  function toggle() {
    beat?.close();
    beat = node.open && graph ? every(REFRESH_MS, () => tried(refresh)) : null;
  }

  function find(event) {
    event.preventDefault();
    version = null;
    tried(refresh);
  }

  async function tried(task) {
    try {
      await task();
    } catch (error) {
      setText(about, error.message);
    }
  }

  async function refresh() {
    const asked = graph;
    const found = await getGraph(asked);
    if (asked !== graph) return;
    setText(about, `${count(found.nodes, "node", "nodes")}, ${count(found.edges, "edge", "edges")}.`);
    if (found.version === version) return;
    const text = wanted.value.trim();
    const page = text
      ? { nodes: (await searchGraph(asked, text)).hits.map((hit) => hit.node), next: null }
      : await listNodes(asked);
    if (asked !== graph) return;
    ({ nodes, next } = page);
    version = found.version;
    draw();
  }

  async function more() {
    const asked = graph;
    const page = await listNodes(asked, next);
    if (asked !== graph) return;
    nodes = [...nodes, ...page.nodes];
    next = page.next;
    draw();
  }

  function draw() {
    setList(list, nodes, ({ id, version: written }) => JSON.stringify([graph, written, id]), (each) => make(graph, each));
    older.hidden = !next;
  }

  function choose(name) {
    if (name === graph) return;
    graph = name;
    version = null;
    nodes = [];
    next = null;
    setText(about, "");
    draw();
    choice.value = graph;
    node.hidden = !graph;
    toggle();
  }

  function show(name) {
    const isShown = graph === own;
    own = name;
    others.delete(own);
    drawChoices();
    if (isShown) choose(choice.options[0]?.value ?? null);
  }

  function offer(name) {
    if (name !== own && others.size < OTHERS_MAX) others.add(name);
    drawChoices();
    if (!graph) choose(name);
  }

  function drawChoices() {
    const names = [...(own ? [own] : []), ...others];
    setList(choice, names, (name) => name, (name) => element("option", { value: name }, name));
    choice.hidden = names.length < 2;
  }

  return { node, show, offer, close: () => beat?.close() };
}

function make(graph, node) {
  const edges = element("ul", { class: "edges" });
  const details = element("details", { toggle },
    element("summary", {}, element("span", { class: "label" }, node.label), " ", element("bdi", { class: "name" }, node.id)),
    value(node.props), writer(node.source), edges);

  async function toggle() {
    if (!details.open || edges.hasChildNodes()) return;
    try {
      const around = await neighborsOf(graph, node.id);
      edges.replaceChildren(...around.edges.map(({ src, type, dst }) =>
        element("li", {}, element("bdi", {}, src), ` —${type}→ `, element("bdi", {}, dst))));
    } catch (error) {
      edges.replaceChildren(element("li", { class: "problem" }, error.message));
    }
  }

  return element("li", {}, details);
}

function writer(source) {
  if (!source) return element("p", { class: "hint" }, "Not written by a turn");
  return element("p", { class: "hint" }, "Written by turn ",
    element("a", { href: hrefs.turn(source.turn_id) }, source.turn_id.slice(-6)), `, step ${source.step_key}`);
}
