// One turn: what it is, why it stands where it stands, what ran when, what it says, and what came of it.

import { openActions } from "./actions.js";
import { eventsOfTurn, explain, getTurn, now, Refused } from "./api.js";
import { openChannels } from "./channels.js";
import { element, setText } from "./dom.js";
import { openJournal } from "./journal.js";
import { every, oncePerFrame } from "./timers.js";
import { hrefs } from "./router.js";
import { chip, ENDED, setChip } from "./status.js";
import { TurnModel } from "./turn_model.js";
import { follow } from "./stream.js";
import { clock, duration, whole } from "./time.js";
import { value } from "./value.js";
import { openWaterfall } from "./waterfall.js";

const EXPLAIN_MS = 2_000;
const REDRAW_MS = 250;
const LINES = {
  live: "live", polling: "asking again and again", away: "out of reach", gone: "there is no such turn", ended: "",
};

export function openTurn(turnId, shell) {
  const view = new TurnView(turnId, shell);
  view.open();
  return { node: view.node, title: `Turn ${turnId.slice(-6)}`, close: () => view.close() };
}

class TurnView {
  #turn = null;
  #model = new TurnModel();
  #closers = [];
  #waterfall = openWaterfall();
  #channels = openChannels();
  #journal = openJournal();
  #actions;

  constructor(turnId, shell) {
    this.turnId = turnId;
    this.shell = shell;
    this.#actions = openActions(turnId, { sent: () => this.#read() });
    this.draw = oncePerFrame(() => this.#draw());
    this.drawSaid = oncePerFrame(() => this.#channels.update(this.#model));
    const parts = (this.parts = {
      session: element("bdi", {}), workflow: element("bdi", {}, "Turn"), status: chip("accepted"),
      line: element("span", { class: "line-state", role: "status" }), facts: element("p", { class: "about" }),
      why: element("aside", { class: "why", "aria-label": "Why it is not running", hidden: true }),
      outcome: element("section", { hidden: true }), input: element("details", { class: "card", hidden: true }),
    });
    this.crumbs = element("p", { class: "crumbs" }, "Session ");
    this.node = element("section", { class: "turn" },
      this.crumbs,
      element("header", { class: "head" },
        element("div", {}, element("h1", { tabindex: "-1" }, parts.workflow, " ", parts.status, parts.line), parts.facts),
        this.#actions.node,
      ),
      parts.why, this.#waterfall.node, this.#channels.node, parts.outcome, parts.input, this.#journal.node,
    );
  }

  get status() {
    if (this.#turn && ENDED.has(this.#turn.status)) return this.#turn.status;
    return this.#model.status ?? this.#turn?.status ?? "accepted";
  }

  async open() {
    await this.#read();
    if (this.isClosed) return;
    this.#closers.push(
      follow(eventsOfTurn(this.turnId), (message) => this.#receive(message), (state) => this.#onState(state)),
      every(EXPLAIN_MS, () => this.#beat()).close,
      every(REDRAW_MS, () => ENDED.has(this.status) || this.draw()).close,
    );
  }

  close() {
    this.isClosed = true;
    for (const close of this.#closers) close();
  }

  #receive(message) {
    const before = this.#model.status;
    if (!this.#model.take(message)) return;
    // Frames are many: they touch nothing but what is said.
    if (message.type === "frame") return this.drawSaid();
    this.draw();
    if (this.#model.status !== before) this.#read();
  }

  #onState(state) {
    setText(this.parts.line, LINES[state]);
    this.parts.line.dataset.state = state;
  }

  async #beat() {
    const isBehind = !this.#turn || (ENDED.has(this.status) && !ENDED.has(this.#turn.status));
    await (isBehind ? this.#read() : this.#explain());
  }

  async #read() {
    try {
      this.#turn = await getTurn(this.turnId);
      this.shell.setSession(this.#turn.session);
    } catch (error) {
      if (error instanceof Refused && error.status < 500) this.#fail(error);
      else setText(this.parts.facts, `${error.message}; asking again`);
    }
    if (this.isClosed) return;
    this.draw();
    await this.#explain();
  }

  async #explain() {
    if (ENDED.has(this.status)) return void (this.parts.why.hidden = true);
    const found = await explain(this.turnId).catch(() => null);
    if (!found || this.isClosed) return;
    if (found.status !== this.#turn?.status && !this.#model.seq) this.#turn = await getTurn(this.turnId).catch(() => this.#turn);
    const [why, advice] = this.parts.why.children.length ? this.parts.why.children : this.#makeWhy();
    setText(why, found.why);
    setText(advice, found.what_to_do);
    this.parts.why.dataset.code = found.code;
    this.parts.why.hidden = found.code === "running" || found.code === "ended";
    this.draw();
  }

  #makeWhy() {
    this.parts.why.append(element("p", {}), element("p", { class: "hint" }));
    return this.parts.why.children;
  }

  #fail(error) {
    this.close();
    this.node.replaceChildren(
      element("header", { class: "head" }, element("h1", { tabindex: "-1" }, "Turn")),
      element("p", { class: "problem", role: "alert" }, error.message),
    );
  }

  #draw() {
    const turn = this.#turn;
    if (this.isClosed || !turn) return;
    const { parts } = this;
    const { status } = this;
    if (turn.session !== null && this.crumbs.children.length === 0) {
      setText(parts.session, turn.session);
      this.crumbs.append(element("a", { href: hrefs.session(turn.session) }, parts.session));
    }
    setText(parts.workflow, turn.workflow ?? "Turn");
    setChip(parts.status, status);
    setText(parts.facts, this.#facts(turn));
    parts.facts.title = `accepted ${whole(Date.parse(turn.accepted_at))}`;
    this.#actions.update(status, turn.waits);
    const endedAt = turn.ended_at ? Date.parse(turn.ended_at) : null;
    this.#waterfall.update(this.#model, Date.parse(turn.accepted_at), endedAt);
    this.#channels.update(this.#model);
    this.#journal.update(this.#model);
    this.#drawPayloads(turn, status);
  }

  #facts(turn) {
    const ended = turn.ended_at ? Date.parse(turn.ended_at) : now();
    const attempt = Math.max(turn.attempt, this.#model.attempt);
    return [
      `accepted ${clock(Date.parse(turn.accepted_at))}`,
      turn.started_at && `${turn.ended_at ? "took" : "for"} ${duration(ended - Date.parse(turn.started_at))}`,
      attempt > 1 && `attempt ${attempt}`,
      turn.reason && `reason ${turn.reason}`,
      turn.signals?.unread && `signals not taken: ${turn.signals.unread}`,
      turn.signals?.late && `signals that came too late: ${turn.signals.late}`,
      turn.requested_turn_id && `${turn.requested_turn_id} is a duplicate of it`,
      turn.turn_id,
    ].filter(Boolean).join(" · ");
  }

  #drawPayloads(turn, status) {
    const { input, outcome } = this.parts;
    if (input.hidden && turn.workflow) {
      input.hidden = false;
      input.append(element("summary", {}, "Input"), ...[value(turn.input)].flat());
    }
    if (!outcome.hidden || !ENDED.has(status) || !ENDED.has(turn.status)) return;
    outcome.hidden = false;
    if (turn.error) {
      const { type, message, traceback } = turn.error;
      outcome.append(element("h2", {}, "Error"), element("p", { class: "problem" }, element("b", {}, type ?? ""), ` ${message ?? ""}`));
      if (traceback) outcome.append(element("pre", { class: "traceback" }, traceback));
    } else if (turn.status === "completed") {
      outcome.append(element("h2", {}, "Result"), element("div", { class: "card" }, value(turn.result)));
    } else outcome.hidden = true;
  }
}
