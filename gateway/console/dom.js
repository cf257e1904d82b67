// Elements are made here. Every value becomes text: no markup is ever parsed (the page's policy forbids it, too).

const OWN_LINK = /^#\//;

/** An element. properties: attributes, and functions by the name of their event; children: nodes, texts, or nothing. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else if (name === "href" && !OWN_LINK.test(value)) throw new Error(`a link must stay in the console: ${value}`);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== false));
  return made;
}

/** Changes a text only when it is another: what a reader has selected, and what is read aloud, stays as it is. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Makes container hold one element per item, in order; one that is there for a key is kept and updated. */
export function setList(container, items, keyOf, make, update) {
  const known = (container.listed ??= new Map());
  const wanted = new Set(items.map(keyOf));
  for (const [key, made] of known) {
    if (!wanted.has(key)) {
      made.remove();
      known.delete(key);
    }
  }
  let place = container.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (!known.has(key)) known.set(key, make(item));
    const made = known.get(key);
    update?.(made, item);
    if (made === place) place = place.nextSibling;
    else container.insertBefore(made, place);
  }
}

let idsGiven = 0;

/** An id that no other element of the page has. */
export function freshId(what) {
  idsGiven += 1;
  return `${what}-${idsGiven}`;
}
