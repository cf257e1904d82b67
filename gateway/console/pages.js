// A list that is read page by page, newest first, and stays current at its top. Pure but for what `read` does.

/** read(cursor) gives {items, next}; keyOf(item) tells items apart. */
export class Pages {
  items = [];
  next = null;
  #isRead = false;
  #forgotten = 0; // how often: an answer to what was asked before has what is to be forgotten

  constructor(read, keyOf) {
    this.read = read;
    this.keyOf = keyOf;
  }

  /** Reads the first page again; what older pages hold is kept, unless so much is new that there would be a gap. */
  async refresh() {
    const page = await this.#ask(null);
    if (!page) return;
    const fresh = new Set(page.items.map(this.keyOf));
    const overlaps = this.items.some((item) => fresh.has(this.keyOf(item)));
    if (!this.#isRead || !overlaps) this.next = page.next;
    const older = overlaps ? this.items.filter((item) => !fresh.has(this.keyOf(item))) : [];
    this.items = [...page.items, ...older];
    this.#isRead = true;
  }

  /** What was read may be there no longer. */
  forget() {
    this.items = [];
    this.next = null;
    this.#isRead = false;
    this.#forgotten += 1;
  }

  /** Reads the next page. */
  async more() {
    const page = await this.#ask(this.next);
    if (!page) return;
    const known = new Set(this.items.map(this.keyOf));
    this.items.push(...page.items.filter((item) => !known.has(this.keyOf(item))));
    this.next = page.next;
  }

  /** Gives a page, or nothing if all was forgotten meanwhile. */
  async #ask(cursor) {
    const forgotten = this.#forgotten;
    const page = await this.read(cursor);
    return forgotten === this.#forgotten ? page : null;
  }
}
