// A session: its turns, newest first, and what it remembers.

import { eventsOfSession, getSession, listTurns, now, Refused } from "./api.js";
import { needs } from "./credential.js";
import { element, setList, setText } from "./dom.js";
import { openMemory } from "./memory.js";
import { Pages } from "./pages.js";
import { every } from "./timers.js";
import { hrefs } from "./router.js";
import { chip, setChip } from "./status.js";
import { follow } from "./stream.js";
import { distance, duration, whole } from "./time.js";

const REFRESH_MS = 5_000; // for what no stream tells: turns that wait for their place
const TICK_MS = 1_000;
const NEWS = /^(turn\.|resync|snapshot)/;

export function openSession(name, { setSession }) {
  const pages = new Pages(
    (cursor) => listTurns(name, cursor).then(({ turns, next }) => ({ items: turns, next })),
    ({ turn_id }) => turn_id,
  );
  const about = element("p", { class: "about" });
  const list = element("ol", { class: "turns", "aria-label": "Turns, newest first" });
  const older = element("button", { type: "button", class: "quiet", hidden: true, click: more }, "Older turns");
  const memory = openMemory();
  const node = element("section", {},
    element("header", { class: "head" },
      element("div", {},
        element("p", { class: "crumbs" }, "Session"),
        element("h1", { tabindex: "-1" }, element("bdi", {}, name)),
        about,
      ),
      needs("turns:write", element("a", { class: "button", href: hrefs.post({ session: name }) }, "New turn here")),
    ),
    list,
    older,
    needs("graphs:read", memory.node),
  );
  setSession(name);
  const beat = every(REFRESH_MS, refresh);
  // Something may have ended between the list and the stream: whatever becomes of the stream, the list is read again.
  const closers = [memory.close, beat.close, every(TICK_MS, draw).close, follow(eventsOfSession(name), receive, beat.soon)];

  /** The stream says when to look, what there is stands in the list alone; and which graphs are written to. */
  function receive({ type, data }) {
    if (type === "step.intended" && data?.graph) memory.offer(data.graph);
    if (type === "resync") pages.forget();
    if (NEWS.test(type)) beat.soon();
  }

  async function refresh() {
    try {
      const [session] = await Promise.all([getSession(name), pages.refresh()]);
      const queued = session.turns_queued;
      const waits = queued ? `${queued} ${queued === 1 ? "turn waits" : "turns wait"}` : "nothing waits";
      setText(about, `${session.head ? `Its head is ${session.head.status}` : "It is idle"}, ${waits}.`);
      memory.show(session.graph ?? null);
      draw();
    } catch (error) {
      if (error instanceof Refused) setText(about, error.message);
    }
  }

  async function more() {
    await pages.more().catch(() => {});
    draw();
  }

  function draw() {
    setList(list, pages.items, ({ turn_id }) => turn_id, make, update);
    older.hidden = !pages.next;
  }

  return { node, title: name, close: () => closers.forEach((close) => close()) };
}

function make(turn) {
  return element("li", {},
    element("a", { href: hrefs.turn(turn.turn_id) },
      chip(turn.status),
      element("bdi", { class: "name" }, turn.workflow),
      element("span", { class: "attempts" }),
      element("span", { class: "took" }),
      element("time", { datetime: turn.accepted_at, title: whole(Date.parse(turn.accepted_at)) }),
      element("code", {}, turn.turn_id.slice(-6)),
    ),
  );
}

function update(made, turn) {
  const [status, , attempts, took, time] = made.firstChild.children;
  setChip(status, turn.status);
  setText(attempts, turn.attempt > 1 ? `attempt ${turn.attempt}` : "");
  const from = Date.parse(turn.started_at ?? turn.accepted_at);
  setText(took, turn.started_at ? duration((turn.ended_at ? Date.parse(turn.ended_at) : now()) - from) : "");
  setText(time, distance(Date.parse(turn.accepted_at), now()));
}
