// The list of sessions, at the side of everything else: newest first.

import { listSessions, now } from "./api.js";
import { door, may } from "./credential.js";
import { element, setList, setText } from "./dom.js";
import { Pages } from "./pages.js";
import { every } from "./timers.js";
import { go, hrefs } from "./router.js";
import { distance, whole } from "./time.js";

const REFRESH_MS = 3_000;

/** Fills node for ever. Returns mark(session): the one that is shown. */
export function openSessions(node) {
  const pages = new Pages(
    (cursor) => listSessions(cursor).then(({ sessions, next }) => ({ items: sessions, next })),
    ({ session }) => session,
  );
  const list = element("ul", { class: "links" });
  const empty = element("p", { class: "hint", hidden: true });
  const older = element("button", { type: "button", class: "quiet", hidden: true, click: more }, "Older sessions");
  const search = element("input", {
    type: "search", placeholder: "Find a session", "aria-label": "Find a session by name; Enter opens it",
    autocomplete: "off", spellcheck: "false", input: draw,
    keydown: (event) => event.key === "Enter" && search.value && go(hrefs.session(search.value)),
  });
  let marked = null;
  let isRead = false;

  node.append(element("h2", {}, "Sessions"), search, list, empty, older);
  const asking = every(REFRESH_MS, async () => {
    if (!may("sessions:read")) return;
    await pages.refresh().catch(() => {}); // the head of the page says when the gateway is away
    isRead = !door.isShut;
    draw();
  });
  // Whoever signs in next may be somebody else.
  door.addEventListener("change", () => {
    pages.forget();
    isRead = false;
    draw();
    asking.soon();
  });

  async function more() {
    await pages.more().catch(() => {});
    draw();
  }

  function draw() {
    const wanted = search.value.toLowerCase();
    const shown = pages.items.filter(({ session }) => session.toLowerCase().includes(wanted));
    setList(list, shown, ({ session }) => session, make, update);
    older.hidden = !pages.next;
    empty.hidden = shown.length > 0 || !isRead;
    setText(empty, wanted ? "None of these. Enter opens the session of this name." : "No session yet. Post a turn.");
  }

  function make({ session }) {
    return element("li", {}, element("a", { href: hrefs.session(session) }, element("bdi", { class: "name" }, session),
      element("time", {})));
  }

  function update(made, { session, created_at }) {
    const [link] = made.children;
    const [, time] = link.children;
    if (session === marked) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    time.dateTime = created_at;
    time.title = whole(Date.parse(created_at));
    setText(time, distance(Date.parse(created_at), now()));
  }

  return function mark(session) {
    marked = session;
    draw();
  };
}
