// Whether somebody is signed in, and what they may do. The login itself is a cookie that no script can read: the page has no
// token, and nothing to keep.

const NOBODY = Object.freeze({ kind: "", tenant: null, role: null, scopes: Object.freeze([]) });

// Until somebody is recognized nothing is hidden: what is forbidden is then refused, in words.
let known = null;

/**
 * Tells `change` when the gateway wants to know who asks, when it was told, and when it is somebody else. isShut: it wants
 * to know. who: of /v1/whoami.
 */
export const door = Object.assign(new EventTarget(), { isShut: false, who: NOBODY });

let epoch = Object.freeze({});

function set(isShut, who) {
  const isSame = door.isShut === isShut && JSON.stringify(door.who) === JSON.stringify(who);
  known = isShut ? null : who;
  door.isShut = isShut;
  door.who = who;
  if (!isSame) door.dispatchEvent(new Event("change"));
}

/** As whom requests are sent now; give it to refused() when one is not let in. */
export function current() {
  return epoch;
}

/** From now on requests are those of this principal. */
export function enter(who) {
  epoch = Object.freeze({});
  set(false, who);
}

/** Nobody is signed in. */
export function leave() {
  epoch = Object.freeze({});
  set(true, NOBODY);
}

/** The gateway did not let this one in. What was asked before somebody else came says nothing about them. */
export function refused(asked) {
  if (asked === epoch) leave();
}

/** Whether whoever is signed in may do this. */
export function may(scope) {
  return known === null || known.scopes.includes(scope);
}

/** An element that is there only while whoever is signed in may do this. */
export function needs(scope, node) {
  node.dataset.needs = scope;
  hide(node);
  return node;
}

function hide(node) {
  node.classList.toggle("forbidden", !may(node.dataset.needs));
}

door.addEventListener("change", () => document.querySelectorAll("[data-needs]").forEach(hide));
