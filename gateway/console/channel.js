// One channel of a step, or of the workflow itself: what was emitted, put together from its frames. Pure.

import { patched } from "./json_patch.js";

const lengthOf = (text) => {
  let length = 0;
  for (const _ of text) length += 1;
  return length;
};

export class Channel {
  text = null; // of a text channel; null: it holds JSON
  value = null; // of a JSON channel
  isOpen = true;
  restarts = 0;
  #length = 0; // of the text, in characters as offsets count them (not UTF-16 units)
  #isBehind = false; // something is missing: nothing fits until the whole value comes
  #recorded = null; // what a durable event has of it, as {text, value}

  constructor(step, name) {
    this.step = step;
    this.name = name;
  }

  /** Takes a frame: {offset, text}, {json} or {patch}. */
  take(frame) {
    if (frame.text !== undefined) this.#takeText(frame.offset ?? 0, frame.text);
    else if (frame.patch !== undefined) this.#takePatch(frame.patch);
    else this.#hold(null, frame.json ?? null);
  }

  /** The whole value, as the durable event has it: {text} or {json}. */
  close(whole) {
    this.#hold(whole.text ?? null, whole.text === undefined ? whole.json : null);
    this.#recorded = { text: this.text, value: this.value };
    this.isOpen = false;
  }

  /** What was emitted and is not recorded is void. */
  clear() {
    const { text, value } = this.#recorded ?? { text: this.text === null ? null : "", value: null };
    if (this.text !== text || this.value !== value) this.restarts += 1;
    this.#hold(text, value);
    this.isOpen = true;
  }

  /** Frames were left out: the whole value comes next. */
  miss() {
    this.#isBehind = true;
  }

  #takeText(offset, text) {
    if (offset === 0) return this.#hold(text, null);
    if (this.#isBehind || offset > this.#length) return this.miss();
    const kept = offset === this.#length ? this.text : [...this.text].slice(0, offset).join("");
    this.text = kept + text;
    this.#length = offset + lengthOf(text);
  }

  #takePatch(operations) {
    if (this.#isBehind) return;
    try {
      this.value = patched(this.value, operations);
    } catch {
      this.miss();
    }
  }

  #hold(text, value) {
    this.text = text;
    this.value = value;
    this.#length = text === null ? 0 : lengthOf(text);
    this.#isBehind = false;
  }
}
