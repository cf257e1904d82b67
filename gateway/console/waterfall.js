// What ran when: a line for the turn, one for each step and wait; tries, waits between them, and what was lost.

import { now } from "./api.js";
import { element, freshId, setList, setText } from "./dom.js";
import { Scale, wholePeriods } from "./scale.js";
import { chip, setChip } from "./status.js";
import { clock, duration } from "./time.js";
import { value } from "./value.js";

const ROWS_MAX = 300;
const WORDS = {
  queued: "waited for its turn", running: "ran", suspended: "suspended: it holds nothing but its place", parked: "parked",
  completed: "a try that succeeded", failed: "a try that failed", backoff: "pause before the next try", wait: "waited",
  value: "recorded", private: "private", lost: "in flight when its worker was lost: run again", live: "runs now",
  cancelled: "given up",
};

export function openWaterfall() {
  const body = element("div", { role: "rowgroup" });
  const axis = element("p", { class: "axis" });
  const more = element("button", { type: "button", class: "quiet", hidden: true, click: showAll });
  const open = new Set(); // keys of the rows whose data is shown
  let rowsMax = ROWS_MAX;
  let last = null;
  const node = element("section", { "aria-labelledby": "what-ran" },
    element("div", { class: "row" }, element("h2", { id: "what-ran" }, "What ran"), axis),
    element("div", { class: "waterfall", role: "table", "aria-labelledby": "what-ran" },
      element("div", { class: "unseen", role: "row" },
        ["Step or wait", "State", "Time", "When"].map((name) => element("span", { role: "columnheader" }, name))),
      body,
    ),
    more,
  );

  function showAll() {
    rowsMax = Infinity;
    update(...last);
  }

  function update(model, acceptedAt, endedAt) {
    last = [model, acceptedAt, endedAt];
    const newest = Date.parse(model.events.at(-1)?.at ?? "") || acceptedAt;
    const end = endedAt ?? Math.max(now(), newest);
    const periods = wholePeriods(model.periods, Math.min(acceptedAt, model.startedAt ?? acceptedAt), end);
    const scale = new Scale(periods);
    const frame = { scale, end, folds: scale.folds, resets: model.resets };
    const rows = linesOf(model, periods, end);
    setList(body, rows.slice(0, rowsMax), ({ key }) => key, (row) => make(row, open), (made, row) => draw(made, row, frame, open));
    more.hidden = rows.length <= rowsMax;
    setText(more, `Show all ${rows.length} lines`);
    const folded = frame.folds.length ? ", long waits drawn shorter" : "";
    setText(axis, `${clock(periods[0]?.from ?? acceptedAt)} to ${endedAt ? clock(endedAt) : "now"}${folded}`);
  }

  return { node, update };
}

/** The lines of the waterfall; the first is the turn. */
function linesOf(model, periods, end) {
  const note = model.attempt > 1 ? `${model.attempt} attempts` : "";
  const lines = [{ key: "turn:", label: "Turn", kind: "turn", status: "", spans: periods, data: null, note }];
  for (const row of model.rows.values()) {
    lines.push({ ...row, key: `${row.kind}:${row.key}`, label: row.key, note: row.tries > 1 ? `${row.tries} tries` : "" });
  }
  const inFlight = model.inFlight;
  if (inFlight) {
    const label = [...new Set(inFlight.steps)].join(", ") || "in flight";
    const spans = [{ from: inFlight.from ?? end, to: null, kind: "live" }];
    lines.push({ key: "live:", label, kind: "live", status: "running", spans, data: null, note: "" });
  }
  return lines;
}

function make(row, open) {
  const detailId = freshId("detail");
  const isOpen = open.has(row.key);
  const label = element("bdi", {}, row.label);
  const button = element("button", { type: "button", "aria-expanded": String(isOpen), "aria-controls": detailId, click: () => {
    const opens = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(opens));
    detail.hidden = !opens;
    if (opens) open.add(row.key);
    else open.delete(row.key);
    made.redraw();
  } }, label);
  const parts = {
    label, button, text: element("bdi", { class: "name" }), state: chip(""), note: element("small", {}),
    took: element("div", { role: "cell", class: "took" }), track: element("div", { class: "track" }),
  };
  const line = element("div", { class: "line", role: "row" },
    element("div", { role: "rowheader", class: "key" }, button, parts.text),
    element("div", { role: "cell", class: "state" }, parts.state, parts.note),
    parts.took,
    element("div", { role: "cell", class: "when" }, element("div", { "aria-hidden": "true" }, parts.track)),
  );
  const content = element("div", { role: "cell", "aria-colspan": "4" });
  const detail = element("div", { id: detailId, class: "detail", role: "row", hidden: !isOpen }, content);
  const made = element("div", { class: "entry", "data-kind": row.kind }, line, detail);
  return Object.assign(made, { parts, detail: Object.assign(detail, { content }), redraw: () => {} });
}

function draw(made, row, { scale, end, folds, resets }, open) {
  const { parts, detail } = made;
  parts.button.hidden = !row.data;
  parts.text.hidden = Boolean(row.data);
  setText(parts.label, row.label);
  setText(parts.text, row.label);
  parts.state.hidden = !row.status;
  setChip(parts.state, row.status);
  setText(parts.note, row.note);
  const [first, last] = [row.spans[0], row.spans.at(-1)];
  setText(parts.took, first && row.kind !== "value" && row.kind !== "private" ? duration((last.to ?? end) - first.from) : "");
  const drawn = [
    ...folds.map(({ from, to }) => ({ from, to, kind: "fold" })),
    ...row.spans.map((span) => ({ ...span, to: span.to ?? end, isOpen: span.to === null })),
    ...resets.map(({ at, attempt }) => ({ from: at, to: at, kind: "reset", title: `attempt ${attempt}` })),
  ];
  drawn.forEach((span, number) => (span.number = number));
  setList(parts.track, drawn, ({ number, kind }) => `${number}${kind}`, () => element("span"), (bar, span) => {
    const [begin, stop] = [scale.at(span.from), scale.at(span.to)];
    bar.className = span.isOpen ? `${span.kind} open` : span.kind;
    bar.style.setProperty("--begin", `${(begin * 100).toFixed(3)}%`);
    bar.style.setProperty("--size", `${((stop - begin) * 100).toFixed(3)}%`);
    const said = span.title ?? (WORDS[span.kind] && `${WORDS[span.kind]}, ${duration(span.to - span.from)}`);
    if (said) bar.title = said;
  });
  made.redraw = () => fill(detail, row);
  if (open.has(row.key) && detail.shown !== row.data) fill(detail, row);
}

function fill(detail, row) {
  if (detail.hidden || detail.shown === row.data || !row.data) return;
  detail.shown = row.data;
  const { result, value: recorded, payload, type, message, traceback, kind, ...rest } = row.data;
  const shown = result ?? recorded ?? payload;
  detail.content.replaceChildren(
    ...(type || message ? [element("p", { class: "problem" }, element("b", {}, type ?? "error"), ` ${message ?? ""}`)] : []),
    ...(traceback ? [element("pre", { class: "traceback" }, traceback)] : []),
    ...[shown === undefined ? (type || message ? [] : value(rest)) : value(shown)].flat(),
  );
}
