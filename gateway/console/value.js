// A JSON value as people read it: an object's texts as texts, the rest as JSON, and never more at once than a page holds.

import { element } from "./dom.js";
import { hasMembers } from "./json.js";

const CHARACTERS_MAX = 8_000;

/** Any JSON value. */
export function value(content) {
  if (!hasMembers(content) || Array.isArray(content) || !Object.keys(content).length) return leaf(content);
  return element(
    "dl",
    { class: "value" },
    Object.entries(content).map(([name, each]) => [element("dt", {}, name), element("dd", {}, leaf(each))]),
  );
}

function leaf(content) {
  if (typeof content === "string") return text(content, content === "" ? "empty" : "text");
  return text(JSON.stringify(content, null, 2) ?? "null", "json");
}

function text(whole, kind) {
  const shown = element("pre", { class: kind }, whole.slice(0, CHARACTERS_MAX) || "(empty text)");
  if (whole.length <= CHARACTERS_MAX) return shown;
  const more = element("button", { type: "button", class: "quiet", click: () => {
    shown.textContent = whole;
    more.remove();
  } }, `Show all ${whole.length.toLocaleString()} characters`);
  return [shown, more];
}
