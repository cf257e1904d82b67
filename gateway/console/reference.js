// The API: every request that the gateway answers, as it describes itself, and a form to try each.

import { readOpenApi } from "./api.js";
import { element } from "./dom.js";
import { openOperation } from "./operation.js";

export function openReference({ setSession }) {
  const list = element("div", { class: "operations" });
  const node = element("section", {},
    element("header", { class: "head" },
      element("div", {},
        element("h1", { tabindex: "-1" }, "API"),
        element("p", { class: "about" }, "Every request, as the gateway describes itself (OpenAPI 3.1, at /openapi.json). What is sent here is done."),
      ),
    ),
    list,
  );
  const closing = new AbortController();
  setSession(null);
  fill(list, closing.signal);
  return { node, title: "API", close: () => closing.abort() };
}

async function fill(list, closing) {
  try {
    const { paths } = await readOpenApi();
    const operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, described]) => ({ method: method.toUpperCase(), path, ...described })),
    );
    const tags = [...new Set(operations.map(({ tags: [tag] = ["more"] }) => tag))];
    for (const tag of tags) {
      const of = operations.filter(({ tags: [first] = ["more"] }) => first === tag);
      list.append(element("section", {}, element("h2", {}, tag), element("div", { class: "group" }, of.map((each) => openOperation(each, closing)))));
    }
  } catch (error) {
    list.append(element("p", { class: "problem", role: "alert" }, error.message));
  }
}
