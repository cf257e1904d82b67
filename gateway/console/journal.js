// The durable events of a turn as they are, for who wants to know it exactly.

import { element, setList, setText } from "./dom.js";
import { clock } from "./time.js";
import { value } from "./value.js";

const SHOWN_MAX = 200;

export function openJournal() {
  const list = element("ol", { class: "events" });
  const count = element("small", {});
  const node = element("details", { class: "card", toggle: () => update(last) },
    element("summary", {}, "Events", count), list);
  let last = null;

  function update(model) {
    last = model;
    if (!model) return;
    const left = model.events.length - SHOWN_MAX;
    setText(count, left > 0 ? `the last ${SHOWN_MAX} of ${model.events.length}` : `${model.events.length}`);
    if (node.open) setList(list, model.events.slice(-SHOWN_MAX), ({ id, seq }) => id ?? seq, make);
  }

  return { node, update };
}

function make({ seq, attempt, type, key, at, data }) {
  const hasData = data && Object.keys(data).length > 0;
  return element("li", {},
    element("span", { class: "seq" }, String(seq)),
    element("span", { class: "type" }, type),
    element("bdi", { class: "name" }, key ?? ""),
    element("span", { class: "attempts" }, attempt > 1 ? `attempt ${attempt}` : ""),
    element("time", { datetime: at }, clock(Date.parse(at))),
    hasData && element("div", { class: "data" }, value(data)),
  );
}
