// One request of the API: what it takes, and a form that sends it and shows the answer as it came.

import { request } from "./api.js";
import { element } from "./dom.js";
import { bodyField, textField } from "./fields.js";
import { parse } from "./json.js";

const ANSWER_CHARACTERS_MAX = 100_000;

/** described: the operation as OpenAPI has it, with its method and path. */
export function openOperation(described) {
  const { method, path, summary, description } = described;
  const node = element("details", { toggle: () => node.open && fill(node, described) },
    element("summary", {},
      element("span", { class: "method" }, method), element("code", {}, path), element("small", {}, summary ?? "")),
    description && element("p", { class: "hint" }, description),
  );
  return node;
}

function fill(node, { method, path, parameters = [], requestBody, responses }) {
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

  async function send(event) {
    event.preventDefault();
    try {
      const given = fields.map(({ field, ...parameter }) => ({ ...parameter, text: field.value() })).filter(({ text }) => text);
      const sent = mediaType ? body.value() : undefined;
      const headers = Object.fromEntries(given.filter((each) => each.in === "header").map(({ name, text }) => [name, text]));
      if (sent) headers["content-type"] = mediaType;
      show(answer, await request(method, addressOf(path, given), { headers, body: sent || undefined }));
    } catch (error) {
      answer.replaceChildren(element("p", { class: "problem" }, error.message));
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
  const text = await response.text();
  const type = response.headers.get("content-type") ?? "";
  answer.replaceChildren(
    element("p", {}, element("b", {}, `${response.status}`), ` ${type}`),
    element("pre", { tabindex: "0", "aria-label": "Answer" }, indented(text, type).slice(0, ANSWER_CHARACTERS_MAX)),
  );
}

function indented(text, type) {
  if (!/json$/.test(type.split(";")[0]) || type.includes("ndjson")) return text;
  try {
    return JSON.stringify(parse(text), null, 2);
  } catch {
    return text;
  }
}
