// The token of this page. It is kept in this module's memory alone, in no storage, cookie, address or element: it is gone
// with the page, and no other page can read it.

const NONE = Object.freeze({ token: "", tenant: "" });
let held = NONE;

/** Tells `change` when the gateway wants to know who asks, and when it was told. */
export const door = Object.assign(new EventTarget(), { isShut: false });

function set(isShut) {
  if (door.isShut === isShut) return;
  door.isShut = isShut;
  door.dispatchEvent(new Event("change"));
}

/** What requests present now; give it to refused() when it is not taken. */
export function current() {
  return held;
}

/** The headers that present it. */
export function headersOf({ token, tenant }) {
  return { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(tenant ? { "x-argosy-tenant": tenant } : {}) };
}

/** A credential. tenant: whom an administrator acts for; else empty. */
export function credential(token, tenant) {
  return Object.freeze({ token, tenant });
}

/** From now on requests present this one. */
export function enter(found) {
  held = found;
  set(false);
}

/** Forgets the token. */
export function leave() {
  held = NONE;
  set(true);
}

/** The gateway did not take this one. What was asked before another one was entered says nothing about that. */
export function refused(presented) {
  if (presented === held) leave();
}
