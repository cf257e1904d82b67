// A question that must be answered before the page goes on: fields, one way on, one way back.

import { element, freshId } from "./dom.js";

/**
 * fields: elements of fields.js; submit() does it and may raise, which is shown; the dialog closes when it returns.
 */
export function ask({ title, text, fields = [], yes, no = "Back", tone, submit }) {
  const titleId = freshId("title");
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const button = element("button", { type: "submit", class: "primary", "data-tone": tone }, yes);
  const dialog = element(
    "dialog",
    { "aria-labelledby": titleId, close: () => dialog.remove() },
    element(
      "form",
      { submit: onSubmit, novalidate: true },
      element("h2", { id: titleId }, title),
      text && element("p", {}, text),
      fields.map((field) => field.node),
      problem,
      element("div", { class: "row end" },
        element("button", { type: "button", click: () => dialog.close() }, no),
        button,
      ),
    ),
  );

  async function onSubmit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      await submit();
      dialog.close();
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  }

  document.body.append(dialog);
  dialog.showModal();
}
