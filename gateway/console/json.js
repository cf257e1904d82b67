// JSON without loss: a number that a double cannot hold stays as it was written, where the browser knows how. Pure.

const isInexact = (value, source) =>
  typeof value === "number" && (!Number.isSafeInteger(value) || source.length > 15) && String(value) !== source;

/** The value of a JSON text. Raises SyntaxError. */
export function parse(text) {
  if (!JSON.rawJSON) return JSON.parse(text);
  return JSON.parse(text, (_, value, context) =>
    context?.source !== undefined && isInexact(value, context.source) ? JSON.rawJSON(context.source) : value,
  );
}

/** Whether a value has members: an object or an array. */
export function hasMembers(value) {
  return typeof value === "object" && value !== null && !JSON.isRawJSON?.(value);
}

/** A copy that shares nothing with the value. */
export function clone(value) {
  if (!hasMembers(value)) return value;
  if (Array.isArray(value)) return value.map(clone);
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, clone(each)]));
}
