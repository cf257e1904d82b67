// Fields of forms: {node, value()}; value() raises Error with what is wrong, in words, and goes to the field.

import { element, freshId, setText } from "./dom.js";

function field(control, label, hint, read) {
  const id = freshId("field");
  const hintId = `${id}-hint`;
  control.id = id;
  control.setAttribute("aria-describedby", hintId);
  const hinted = element("p", { id: hintId, class: "hint" }, hint ?? "");
  const node = element("div", { class: "field" }, element("label", { for: id }, label), control, hinted);

  function value() {
    try {
      const found = read(control.value);
      control.removeAttribute("aria-invalid");
      return found;
    } catch (error) {
      control.setAttribute("aria-invalid", "true");
      control.focus();
      throw error;
    }
  }

  return { node, control, value, hint: (text) => setText(hinted, text) };
}

export function textField(label, { initial = "", hint, list, isOptional = false } = {}) {
  const control = element("input", { type: "text", value: initial, autocomplete: "off", spellcheck: "false", list });
  return field(control, label, hint, (text) => {
    if (!text && !isOptional) throw new Error(`${label} is missing`);
    return text;
  });
}

/** What nobody beside the reader is to see, and no program is to keep. Visible ASCII, without blanks. */
export function secretField(label, { hint } = {}) {
  const control = element("input", { type: "password", autocomplete: "off", spellcheck: "false" });
  return field(control, label, hint, (text) => {
    const secret = text.trim();
    if (!secret) throw new Error(`${label} is missing`);
    if (!/^[\x21-\x7e]{1,8192}$/.test(secret)) throw new Error(`${label} has characters that no token has`);
    return secret;
  });
}

export function selectField(label, options, { initial, hint } = {}) {
  const control = element(
    "select", {}, options.map((option) => element("option", { value: option, selected: option === initial }, option)),
  );
  return field(control, label, hint, (text) => text);
}

/** Anything, as it was written. */
export function bodyField(label, { hint, isOptional = false } = {}) {
  const control = element("textarea", { rows: 5, spellcheck: "false", autocomplete: "off" });
  return field(control, label, hint, (text) => {
    if (!text.trim() && !isOptional) throw new Error(`${label} is missing`);
    return text;
  });
}

/** JSON, as the text that was written; null when it is left empty. Ctrl-Enter sends the form. */
export function jsonField(label, { initial = "", hint, rows = 6 } = {}) {
  const control = element("textarea", { rows, spellcheck: "false", autocomplete: "off", keydown: (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) control.form.requestSubmit();
  } });
  control.value = initial;
  return field(control, label, hint, (text) => {
    if (!text.trim()) return "null";
    try {
      JSON.parse(text);
      return text;
    } catch (error) {
      throw new Error(`${label} is not JSON: ${error.message}`);
    }
  });
}
