// How states are shown: a word and a tone. The word is always there: nobody needs to see a colour.

import { element, setText } from "./dom.js";

const TONES = {
  accepted: "quiet", queued: "quiet", running: "busy", suspended: "waiting", parked: "stuck",
  completed: "good", failed: "bad", cancelled: "quiet", expired: "bad", rejected: "bad", merged: "quiet",
  duplicate: "quiet",
  retrying: "waiting", intended: "busy", waiting: "waiting", "timed out": "bad", recorded: "quiet", private: "quiet",
  lost: "quiet",
};

export const ENDED = new Set(["completed", "failed", "cancelled", "expired", "rejected", "merged", "duplicate"]);

/** A chip with a state in it. */
export function chip(status) {
  return setChip(element("span", { class: "chip" }), status);
}

export function setChip(made, status) {
  made.dataset.tone = TONES[status] ?? "quiet";
  setText(made, status);
  return made;
}
