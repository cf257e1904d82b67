// Server-sent events, as a stream of texts comes in. Pure.

/** Takes pieces of text, cut anywhere, and gives the messages that are whole: {type, id, data}. */
export class SseParser {
  #rest = "";
  #data = [];
  #type = "";

  lastId = "";
  retryMs = null;

  feed(text) {
    const messages = [];
    // A long line comes in many pieces: it is looked through once, when its end is there.
    const endsNothing = !/[\r\n]/.test(text) && !this.#rest.endsWith("\r");
    this.#rest += text;
    if (endsNothing) return messages;
    // A carriage return at the end may be half of a line's end: it waits for what follows.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      const message = this.#take(line);
      if (message) messages.push(message);
    }
    return messages;
  }

  #take(line) {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.lastId = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value);
    return null;
  }

  #end() {
    const message = { type: this.#type || "message", id: this.lastId, data: this.#data.join("\n") };
    const isMessage = this.#data.length > 0;
    this.#data = [];
    this.#type = "";
    return isMessage ? message : null;
  }
}
