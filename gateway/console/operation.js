// One request of the API: what it takes, and a form that sends it and shows the answer as it came.

import { request } from "./api.js";
import { element } from "./dom.js";
import { bodyField, textField } from "./fields.js";
import { parse } from "./json.js";

const ANSWER_CHARACTERS_MAX = 100_000;
const STREAM = /^text\/event-stream|ndjson/;

/** described: the operation as OpenAPI has it, with its method and path. closing: aborts when nobody looks any more. */
export function openOperation(described, closing) {
  const { method, path, summary, description } = described;
  const node = element("details", { toggle: () => node.open && fill(node, described, closing) },
    element("summary", {},
      element("span", { class: "method" }, method), element("code", {}, path), element("small", {}, summary ?? "")),
    description && element("p", { class: "hint" }, description),
  );
  return node;
}

function fill(node, { method, path, parameters = [], requestBody, responses }, closing) {
  if (node.form) return;
  const fields = parameters.map((parameter) => ({
    ...parameter,
    field: textField(parameter.name, { isOptional: !parameter.required, hint: parameter.description ?? parameter.in }),
  }));
  const mediaType = Object.keys(requestBody?.content ?? {})[0];
  const body = mediaType && bodyField("Body", { hint: mediaType, isOptional: !requestBody.required });
  const answer = element("div", { class: "answer", "aria-live": "polite" });
  const codes = element("p", { class: "hint" }, `Answers: ${Object.keys(responses ?? {}).join(", ")}`);
  node.form = element("form", { novalidate: true, submit: send },
    fields.map(({ field }) => field.node), body && body.node, codes,
    element("div", { class: "row end" }, element("button", { type: "submit" }, "Send")), answer);
  node.append(node.form);
  let last = new AbortController();

  async function send(event) {
    event.preventDefault();
    // A stream may have no end: it is read until the next is sent, or the view is left.
    last.abort();
    last = new AbortController();
    const signal = AbortSignal.any([last.signal, closing]);
    try {
      const given = fields.map(({ field, ...parameter }) => ({ ...parameter, text: field.value() })).filter(({ text }) => text);
      const sent = mediaType ? body.value() : undefined;
      const headers = Object.fromEntries(given.filter((each) => each.in === "header").map(({ name, text }) => [name, text]));
      if (sent) headers["content-type"] = mediaType;
      await show(answer, await request(method, addressOf(path, given), { headers, body: sent || undefined, signal }));
    } catch (error) {
      if (!signal.aborted) answer.replaceChildren(element("p", { class: "problem" }, error.message));
    }
  }
}

function addressOf(path, given) {
  const query = new URLSearchParams(given.filter((each) => each.in === "query").map(({ name, text }) => [name, text]));
  const filled = given.filter((each) => each.in === "path")
    .reduce((begun, { name, text }) => begun.replace(`{${name}}`, () => encodeURIComponent(text)), path);
  return query.size ? `${filled}?${query}` : filled;
}

async function show(answer, response) {
  const type = response.headers.get("content-type") ?? "";
  const shown = element("pre", { tabindex: "0", "aria-label": "Answer" });
  answer.replaceChildren(element("p", {}, element("b", {}, `${response.status}`), ` ${type}`), shown);
  if (STREAM.test(type)) return showStream(shown, response.body.pipeThrough(new TextDecoderStream()).getReader());
  shown.textContent = indented(await response.text(), type).slice(0, ANSWER_CHARACTERS_MAX);
}

/** As it comes, as much of it as is shown. */
async function showStream(shown, reader) {
  let room = ANSWER_CHARACTERS_MAX;
  while (room > 0) {
    const { done, value } = await reader.read();
    if (done) return;
    shown.append(value.slice(0, room));
    room -= value.length;
  }
  await reader.cancel();
}

function indented(text, type) {
  if (!/json$/.test(type.split(";")[0])) return text;
  try {
    return JSON.stringify(parse(text), null, 2);
  } catch {
    return text;
  }
}
