// The console: which view an address shows. Everything is composed here; views do not know each other.

import { reach } from "./api.js";
import { door } from "./credential.js";
import { element, setText } from "./dom.js";
import { openPost } from "./post.js";
import { openReference } from "./reference.js";
import { hrefs, placeOf } from "./router.js";
import { openSession } from "./session.js";
import { openSessions } from "./sessions.js";
import { openShards } from "./shards.js";
import { openSignIn, recognize, showWho } from "./signin.js";
import { openTurn } from "./turn.js";

// Each gives {node, title, close()}.
const VIEWS = {
  home: ({ query }, shell) => openPost(query, shell),
  post: ({ query }, shell) => openPost(query, shell),
  session: ({ value }, shell) => openSession(value, shell),
  turn: ({ value }, shell) => openTurn(value, shell),
  api: (_, shell) => openReference(shell),
  shards: (_, shell) => openShards(shell),
  unknown: () => openUnknown(),
};

const main = document.getElementById("main");
const markSession = openSessions(document.getElementById("sessions"));
let shown = null;

function show() {
  const place = placeOf(location.hash);
  if (!place) return;
  const isFirst = shown === null;
  shown?.close();
  // A view that is gone may still hear of its session.
  const shell = { setSession: (session) => shown?.shell === shell && markSession(session) };
  shown = { shell, close() {} };
  markSession(null);
  const view = door.isShut ? openSignIn() : VIEWS[place.name](place, shell);
  shown.close = view.close;
  document.body.dataset.place = door.isShut ? "signin" : place.name; // a narrow window shows one pane
  document.title = `${view.title} · Argosy`;
  main.replaceChildren(view.node);
  if (isFirst) return;
  scrollTo(0, 0);
  main.querySelector("h1")?.focus({ preventScroll: true });
}

function openUnknown() {
  const node = element("section", {},
    element("header", { class: "head" }, element("h1", { tabindex: "-1" }, "There is nothing here")),
    element("p", {}, "This address shows nothing. ", element("a", { href: hrefs.home() }, "All sessions")));
  return { node, title: "Nothing here", close() {} };
}

function showReach() {
  const line = document.getElementById("reach");
  setText(line, reach.isAway ? "The gateway does not answer; asking again" : "");
}

reach.addEventListener("change", showReach);
addEventListener("hashchange", show);
door.addEventListener("change", show);
showWho();
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
await recognize();
if (!shown) show();
