// RFC 6902: the operations of a patch, applied to a JSON value. Pure: the value that was given stays as it was.

import { clone, hasMembers } from "./json.js";

const decode = (token) => token.replaceAll("~1", "/").replaceAll("~0", "~");

/** The value after the operations. Raises Error when one does not fit. */
export function patched(value, operations) {
  let root = clone(value);
  for (const operation of operations) root = applied(root, operation);
  return root;
}

function applied(root, operation) {
  switch (operation.op) {
    case "add":
      return put(root, tokensOf(operation.path), clone(operation.value), true);
    case "replace":
      get(root, tokensOf(operation.path));
      return put(root, tokensOf(operation.path), clone(operation.value), false);
    case "remove":
      return taken(root, tokensOf(operation.path));
    case "copy":
      return put(root, tokensOf(operation.path), clone(get(root, tokensOf(operation.from))), true);
    case "move": {
      const value = get(root, tokensOf(operation.from));
      return put(taken(root, tokensOf(operation.from)), tokensOf(operation.path), value, true);
    }
    case "test":
      if (canonical(get(root, tokensOf(operation.path))) !== canonical(operation.value)) throw new Error("test failed");
      return root;
    default:
      throw new Error(`no operation ${operation.op}`);
  }
}

function tokensOf(pointer) {
  if (pointer === "") return [];
  if (!pointer.startsWith("/")) throw new Error(`no pointer: ${pointer}`);
  return pointer.slice(1).split("/").map(decode);
}

function get(root, tokens) {
  let value = root;
  for (const token of tokens) {
    if (!hasMembers(value) || !Object.hasOwn(value, token)) throw new Error(`nothing at ${token}`);
    value = value[token];
  }
  return value;
}

function put(root, tokens, value, isInsert) {
  if (!tokens.length) return value;
  const last = tokens.at(-1);
  const parent = get(root, tokens.slice(0, -1));
  if (!hasMembers(parent)) throw new Error(`nothing can be put at ${last}`);
  if (Array.isArray(parent) && isInsert) parent.splice(indexOf(last, parent.length), 0, value);
  // __proto__ is a member like any other.
  else Object.defineProperty(parent, last, { value, writable: true, enumerable: true, configurable: true });
  return root;
}

function taken(root, tokens) {
  if (!tokens.length) return null;
  get(root, tokens);
  const parent = get(root, tokens.slice(0, -1));
  if (Array.isArray(parent)) parent.splice(Number(tokens.at(-1)), 1);
  else delete parent[tokens.at(-1)];
  return root;
}

function indexOf(token, length) {
  if (token === "-") return length;
  if (!/^(0|[1-9]\d*)$/.test(token) || Number(token) > length) throw new Error(`no index ${token}`);
  return Number(token);
}

function canonical(value) {
  return JSON.stringify(value, (_, each) =>
    hasMembers(each) && !Array.isArray(each) ? Object.fromEntries(Object.entries(each).sort()) : each,
  );
}
