// What a turn's events and frames tell, folded into what can be shown: its status, what ran when, what it says. Pure.
//
// Events are taken once each and in order; who misses one asks for it again (stream.js). Times are milliseconds.

import { Channel } from "./channel.js";

export const ENDINGS = new Set([
  "turn.completed", "turn.failed", "turn.cancelled", "turn.expired", "turn.rejected",
]);
const STATUS = {
  "turn.started": "running", "turn.reset": "running", "turn.resumed": "running", "turn.suspended": "suspended",
  "turn.parked": "parked",
};
const WAIT_STATUS = { started: "waiting", timed_out: "timed out" }; // after other events it has the event's name
const SHORT_MS = 10; // a try that took less does not say how long
const IN_FLIGHT = "in flight";
const PRIVATE = "private steps";

/** One line of the waterfall: a step, a wait, or something recorded. spans: {from, to, kind}; to is null while it lasts. */
class Row {
  spans = [];
  status = "";
  tries = 0;
  data = null; // of its last event
  #began = null; // when the try that is under way began, if anything said so

  constructor(key, kind) {
    this.key = key;
    this.kind = kind;
  }

  begin(at) {
    this.#began = at;
  }

  /** A try is over. earliest: when it can have begun at the earliest, when nothing tells. */
  tried(at, kind, data, earliest) {
    const told = data.took_ms === undefined ? this.#began : at - data.took_ms;
    this.open(Math.min(told ?? earliest, at), kind);
    this.shut(at);
    this.#began = null;
    this.tries = Math.max(this.tries, data.attempts ?? 0);
    this.data = data;
  }

  /** Its worker was lost. True when a try was known to be under way. */
  lose(at) {
    if (!this.isUnderWay) return false;
    this.open(this.#began, "lost");
    this.shut(at);
    this.#began = null;
    return true;
  }

  open(at, kind) {
    this.shut(at);
    this.spans.push({ from: at, to: null, kind });
  }

  shut(at) {
    const last = this.spans.at(-1);
    if (last && last.to === null) last.to = Math.max(at, last.from);
  }

  /** Whether a try was said to begin, and not yet how it came out. */
  get isUnderWay() {
    return this.status === "intended" && this.#began !== null;
  }

  get isOpen() {
    return this.spans.at(-1)?.to === null;
  }
}

export class TurnModel {
  seq = 0;
  lineage = "";
  attempt = 0;
  status = null; // what the last event says; null before the first
  events = [];
  rows = new Map();
  periods = []; // of the turn itself: {from, to, kind}, kind running, suspended or parked
  resets = []; // {at, attempt}
  channels = new Map();
  #progressAt = null; // when the code last could go on
  #tellsTime = false; // these events say how long a try took

  /** Takes an event or frame. True when it changed something. */
  take(message) {
    switch (message.type) {
      case "frame":
        this.channel(message.step, message.channel).take(message);
        return true;
      case "channel.reset":
        this.channel(message.step, message.channel).clear();
        return true;
      case "gap":
        this.channel(message.step, message.channel).miss();
        return false;
      case "resync":
        return this.#goBackTo(message.from_seq);
      case "snapshot":
        return this.#jumpTo(message);
      default:
        return this.#takeEvent(message);
    }
  }

  /** When it began to run; null before. */
  get startedAt() {
    return this.periods[0]?.from ?? null;
  }

  channel(step, name) {
    const key = JSON.stringify([step ?? "", name]);
    if (!this.channels.has(key)) this.channels.set(key, new Channel(step ?? "", name));
    return this.channels.get(key);
  }

  #goBackTo(seq) {
    const kept = this.events.filter((event) => event.seq <= seq);
    Object.assign(this, new TurnModel());
    this.#progressAt = null;
    for (const event of kept) this.#takeEvent(event);
    return true;
  }

  #jumpTo({ turn, seq }) {
    Object.assign(this, new TurnModel());
    this.#progressAt = null;
    this.seq = seq ?? 0;
    this.status = turn.status;
    this.attempt = turn.attempt;
    for (const step of turn.steps ?? []) {
      const row = this.#row(step.key, "step");
      Object.assign(row, { status: step.status, tries: step.attempts, data: { result: step.result, ...step.error } });
    }
    return true;
  }

  #takeEvent(event) {
    if (event.seq <= this.seq) return false;
    this.seq = event.seq;
    this.attempt = Math.max(this.attempt, event.attempt ?? 0);
    this.events.push(event);
    const at = Date.parse(event.at);
    const data = event.data ?? {};
    const [group, what] = event.type.split(".");
    if (group === "turn") this.#takeTurn(event.type, what, at, data);
    else if (!event.key) this.#instant(PRIVATE, "private", at, data);
    else if (group === "step") this.#takeStep(event.key, what, at, data);
    else if (group === "wait") this.#takeWait(event.key, what, at, data);
    else if (group === "value") this.#instant(event.key, "value", at, data);
    // What the workflow itself says goes on until the turn ends; a step says no more once it is recorded.
    const isOwn = group === "turn"; // though turn.parked may name a step
    this.#close(isOwn ? "" : event.key, data.channels, isOwn && !ENDINGS.has(event.type));
    return true;
  }

  #takeTurn(type, what, at, data) {
    const hasEnded = ENDINGS.has(type);
    this.status = hasEnded ? what : (STATUS[type] ?? this.status);
    const last = this.periods.at(-1);
    if (last?.to === null) last.to = at;
    if (what === "reset") {
      this.resets.push({ at, attempt: this.attempt });
      this.#loseWhatIsInFlight(at);
    }
    if (hasEnded) {
      for (const row of this.rows.values()) row.shut(at);
      for (const channel of this.channels.values()) channel.isOpen = false;
    } else {
      this.periods.push({ from: at, to: null, kind: this.status ?? "running" });
      this.#progressAt = at;
    }
  }

  #takeStep(key, what, at, data) {
    const row = this.#row(key, "step");
    row.status = what;
    if (what === "intended") row.begin(at);
    if (what === "completed" || what === "failed") {
      row.tried(at, what, data, this.#earliest(at, data));
      this.#progressAt = at;
    }
    if (what === "cancelled") {
      row.tried(at, what, data, this.#earliest(at, data));
      for (const channel of this.channels.values()) if (channel.step === key) channel.isOpen = false;
      this.#progressAt = at;
    }
    if (what === "retrying") {
      row.tried(at, "failed", data, this.#earliest(at, data));
      row.open(at, "backoff");
    }
  }

  /** When a try can have begun: nothing says so but how long it took, where that is told. */
  #earliest(at, data) {
    this.#tellsTime ||= data.took_ms !== undefined;
    return Math.max(this.#progressAt ?? at, this.#tellsTime ? at - SHORT_MS : -Infinity);
  }

  #takeWait(key, what, at, data) {
    // The wait between two tries of a step is the step's.
    const stepKey = key.slice(0, Math.max(0, key.lastIndexOf("~")));
    if (data.kind === "retry" || this.rows.get(stepKey)?.kind === "step") {
      const row = this.#row(stepKey, "step");
      if (what === "started" && !row.isOpen) row.open(at, "backoff");
      if (what !== "started") {
        row.shut(at);
        row.begin(at);
        this.#progressAt = at;
      }
      return;
    }
    const row = this.#row(key, "wait");
    row.data = { ...row.data, ...data };
    row.status = WAIT_STATUS[what] ?? what;
    if (what === "started") return row.open(at, "wait");
    row.shut(at);
    this.#progressAt = at;
  }

  #instant(key, kind, at, data) {
    const row = this.#row(key, kind);
    row.status = kind === "value" ? "recorded" : "private";
    row.data = kind === "value" ? data : null;
    row.open(at, kind);
    row.shut(at);
    this.#progressAt = at;
  }

  #loseWhatIsInFlight(at) {
    const known = [...this.rows.values()].filter((row) => row.lose(at));
    if (!known.length) {
      const row = this.#row(IN_FLIGHT, "lost");
      row.status = "lost";
      row.open(Math.min(this.#progressAt ?? at, at), "lost");
      row.shut(at);
    }
    for (const channel of this.channels.values()) if (channel.isOpen) channel.clear();
  }

  #close(key, channels, staysOpen) {
    for (const [name, whole] of Object.entries(channels ?? {})) {
      const channel = this.channel(key, name);
      channel.close(whole);
      channel.isOpen = staysOpen;
    }
  }

  #row(key, kind) {
    if (!this.rows.has(key)) this.rows.set(key, new Row(key, kind));
    return this.rows.get(key);
  }

  /** What runs now and is not recorded yet: {from, steps}; null when the code does not run. */
  get inFlight() {
    if (this.status !== "running") return null;
    const speaking = [...this.channels.values()].filter((channel) => channel.isOpen && channel.step);
    const intended = [...this.rows.values()].filter((row) => row.isUnderWay);
    return { from: this.#progressAt, steps: [...speaking.map(({ step }) => step), ...intended.map(({ key }) => key)] };
  }
}
