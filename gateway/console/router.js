// Addresses within the console (the part after #) and what they mean. Pure but for the address bar.

export const hrefs = {
  api: () => "#/api",
  shards: () => "#/shards",
  home: () => "#/",
  session: (session) => `#/sessions/${encodeURIComponent(session)}`,
  turn: (turnId) => `#/turns/${encodeURIComponent(turnId)}`,
  post: (query = {}) => `#/new${Object.keys(query).length ? `?${new URLSearchParams(query)}` : ""}`,
};

const NAMES = new Map([["", "home"], ["new", "post"], ["sessions", "session"], ["turns", "turn"], ["api", "api"], ["shards", "shards"]]);

/** {name, value, query} of an address; name is `home`, `session`, `turn`, `post`, `api`, `shards`, `unknown`, or null: not ours. */
export function placeOf(hash) {
  if (hash === "" || hash === "#") return { name: "home", value: "", query: {} };
  if (!hash.startsWith("#/")) return null;
  const [path, search = ""] = hash.slice(2).split("?", 2);
  const [first, rest] = [path.split("/", 1)[0], path.slice(path.indexOf("/") + 1)];
  const query = Object.fromEntries(new URLSearchParams(search));
  const name = NAMES.get(first);
  try {
    const value = path.includes("/") ? decodeURIComponent(rest) : "";
    const isWhole = ["home", "post", "api", "shards"].includes(name) || (name && value);
    return { name: isWhole ? name : "unknown", value, query };
  } catch {
    return { name: "unknown", value: "", query };
  }
}

export function go(href) {
  location.hash = href;
}
