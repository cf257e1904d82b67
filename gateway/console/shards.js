// Where graphs are, and which of them come and go: for operators.

import { listMoves, listShards, now } from "./api.js";
import { element } from "./dom.js";
import { every } from "./timers.js";
import { distance, whole } from "./time.js";

const REFRESH_MS = 3_000;
const MOVES_MAX = 50;

export function openShards({ setSession }) {
  const body = element("div", { class: "operations" });
  const node = element("section", {},
    element("header", { class: "head" },
      element("div", {},
        element("h1", { tabindex: "-1" }, "Shards"),
        element("p", { class: "about" }, "Which shards there are, how many graphs each has, and which graphs move. `argosy shards` changes that."),
      ),
    ),
    body,
  );
  setSession(null);
  const refreshing = every(REFRESH_MS, () => fill(body));
  return { node, title: "Shards", close: () => refreshing.close() };
}

async function fill(body) {
  try {
    const [{ shards, plans }, { moves }] = await Promise.all([listShards(), listMoves(MOVES_MAX)]);
    const endpoints = new Map(shards.map(({ member_id: id, endpoint }) => [id, endpoint]));
    const named = (id) => endpoints.get(id) ?? id;
    body.replaceChildren(
      part("Shards", ["Shard", "State", "Graphs", "Coming", "Going", "Answers", ""], shards, "No shard is a member.", (shard) => [
        shard.endpoint, shard.state, shard.graphs, shard.coming, shard.going, answers(shard.is_up), shard.reason,
      ]),
      part("Plans", ["Plan", "State", "Moves planned", "Moves open", "Since", ""], plans, "Nothing is planned.", (plan) => [
        plan.shard ? `${plan.kind} ${named(plan.shard)}` : plan.kind, plan.state, plan.planned, plan.open, time(plan.asked_at), plan.blocked,
      ]),
      part("Moves", ["Graph", "From", "To", "State", "Copied", "", "When"], moves, "No graph has moved.", (move) => [
        `${move.tenant} / ${move.graph}`, named(move.source), named(move.target), move.state, copied(move), move.reason, time(move.ended_at ?? move.planned_at),
      ]),
    );
  } catch (error) {
    body.replaceChildren(element("p", { class: "problem", role: "alert" }, error.message));
  }
}

function part(title, heads, items, nothing, cells) {
  const table = element("table", {},
    element("thead", {}, element("tr", {}, heads.map((head) => element("th", { scope: "col" }, head)))),
    element("tbody", {}, items.map((item) => element("tr", {}, cells(item).map((cell) => element("td", {}, element("bdi", {}, cell)))))),
  );
  return element("section", {},
    element("h2", {}, title),
    items.length ? element("div", { class: "group wide" }, table) : element("p", { class: "hint" }, nothing),
  );
}

function answers(isUp) {
  if (isUp === null) return "not asked yet";
  return isUp ? "yes" : "no";
}

function copied({ copied_bytes: copiedBytes, size_bytes: sizeBytes }) {
  return sizeBytes ? `${Math.floor((copiedBytes / sizeBytes) * 100)} % of ${(sizeBytes / 1e6).toFixed(1)} MB` : "";
}

function time(at) {
  const milliseconds = Date.parse(at);
  return element("time", { datetime: at, title: whole(milliseconds) }, distance(milliseconds, now()));
}
