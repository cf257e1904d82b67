// Follows a turn or a session: events and frames as they happen, over one stream that is opened again where it broke off.
// While there is no stream, a turn's durable events are asked for again and again. Nobody looks at a hidden page: it holds
// no connection (a browser has six for a gateway, for all its tabs) and goes on where it was once it is seen again.

import { Away, Refused, request } from "./api.js";
import { parse } from "./json.js";
import { SseParser } from "./sse.js";
import { ENDINGS } from "./turn_model.js";

const SILENCE_MS = 45_000; // three heartbeats
const RETRY_MS = 400;
const POLL_MS = 500;
const POLLS = 8; // and then the stream is tried again

/**
 * source: one of api.js (eventsOfTurn, eventsOfSession).
 * Calls onMessage(message) with each event and frame, and onState(state) with `live`, `polling`, `away`, `gone` or `ended`;
 * `polling` each time when the events that there are were asked for.
 * Returns a function that stops it.
 */
export function follow(source, onMessage, onState) {
  const follower = new Follower(source, onMessage, onState);
  follower.run();
  return () => follower.stop();
}

/** A message as the model takes it: the members of the event, or of the frame, and its type. */
export function messageOf({ type, data }) {
  const content = parse(data);
  const isDurable = type.includes(".") && type !== "channel.reset";
  return isDurable ? { key: "", ...content, type } : { ...content, ...content.data, type };
}

class Follower {
  #stopping = new AbortController();
  #lastId = "";
  #seq = 0;
  #hasEnded = false;
  #retryMs = RETRY_MS;

  constructor(source, onMessage, onState) {
    this.source = source;
    this.onMessage = onMessage;
    this.onState = onState;
  }

  stop() {
    this.#stopping.abort();
  }

  async run() {
    const { signal } = this.#stopping;
    while (!signal.aborted && !this.#hasEnded) {
      try {
        await seen(signal);
        if (!(await this.#stream())) await this.#poll();
        if (!this.#hasEnded) await pause(this.#retryMs * (0.5 + Math.random()), signal);
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && error.status === 404) return this.onState("gone");
        if (!(error instanceof Away || error instanceof Refused)) console.error(error);
        this.onState("away");
        await pause(1_000, signal);
      }
    }
    if (this.#hasEnded) this.onState("ended");
  }

  /** Reads the stream until it ends. False: this gateway has none. */
  async #stream() {
    const opening = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, opening.signal]);
    const hide = () => document.hidden && opening.abort();
    let silence = setTimeout(() => opening.abort(), SILENCE_MS);
    document.addEventListener("visibilitychange", hide);
    try {
      const headers = { accept: "text/event-stream", ...(this.#lastId ? { "last-event-id": this.#lastId } : {}) };
      const answer = await request("GET", this.source.path, { headers, signal });
      if (answer.status === 204) this.#hasEnded = true;
      if (answer.status === 400) this.#lastId = "";
      if (answer.status === 404) throw new Refused(404, {});
      const isStream = answer.ok && (answer.headers.get("content-type") ?? "").startsWith("text/event-stream");
      if (!isStream) {
        opening.abort();
        return this.#hasEnded;
      }
      this.onState("live");
      const parser = new SseParser();
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        clearTimeout(silence);
        silence = setTimeout(() => opening.abort(), SILENCE_MS);
        for (const message of parser.feed(read.value)) this.#take(messageOf(message), message.id);
        this.#retryMs = parser.retryMs ?? RETRY_MS;
      }
      return true;
    } catch (error) {
      if (this.#stopping.signal.aborted || error instanceof Away || error instanceof Refused) throw error;
      return true; // it broke off: where it stopped, it goes on
    } finally {
      clearTimeout(silence);
      document.removeEventListener("visibilitychange", hide);
    }
  }

  async #poll() {
    this.onState("polling");
    for (let asked = 0; asked < POLLS && !this.#hasEnded; asked += 1) {
      if (asked) await pause(POLL_MS, this.#stopping.signal);
      let events;
      do {
        ({ events } = await this.source.list(this.#seq));
        if (this.#stopping.signal.aborted) return;
        for (const event of events) this.#take(event, event.id);
      } while (events.length && !this.#hasEnded);
      this.onState("polling");
    }
  }

  #take(message, id) {
    if (message.type === "error") return; // the stream ends, and why is the answer to the next request
    if (id) this.#lastId = id;
    if (message.type === "resync") this.#seq = message.from_seq;
    else if (message.seq) this.#seq = Math.max(this.#seq, message.seq);
    this.onMessage(message);
    if (this.source.ends && ENDINGS.has(message.type)) this.#hasEnded = true;
  }
}

/** Returns once the page is not hidden, or signal aborts. */
function seen(signal) {
  return new Promise((resolve) => {
    const look = () => (!document.hidden || signal.aborted) && done();
    const done = () => {
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", done);
      resolve();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", done);
    look();
  });
}

/** Returns after so long, or at once when signal aborts. */
function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, milliseconds);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
