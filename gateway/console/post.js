// The form that posts a turn.

import { freshKey, getTurn, listWorkflows, postTurn } from "./api.js";
import { element } from "./dom.js";
import { jsonField, selectField, textField } from "./fields.js";
import { go, hrefs } from "./router.js";

/** query: {session?, like?}; like: the id of a turn to begin with. */
export function openPost({ session, like }, { setSession }) {
  const form = element("form", { class: "card", novalidate: true }, element("p", { class: "hint" }, "Reading what the workers can run…"));
  const node = element("section", { class: "narrow" },
    element("header", { class: "head" }, element("h1", { tabindex: "-1" }, "New turn")), form);
  let isClosed = false;
  setSession(session ?? null);
  fill();

  async function fill() {
    try {
      const [workflows, begin] = await Promise.all([workflowsByName(), like ? getTurn(like) : null]);
      if (!isClosed) form.replaceChildren(...fieldsOf(form, workflows, begin, begin?.session ?? session));
    } catch (error) {
      form.replaceChildren(element("p", { class: "problem", role: "alert" }, error.message));
    }
  }

  return { node, title: "New turn", close: () => (isClosed = true) };
}

async function workflowsByName() {
  const byName = new Map();
  let page = { next: null };
  do {
    page = await listWorkflows(page.next);
    for (const workflow of page.workflows) byName.set(workflow.name, workflow);
  } while (page.next);
  return byName;
}

function fieldsOf(form, workflows, begin, session) {
  // What was posted before is posted again, or refused: nothing else takes its place.
  if (begin?.workflow && !workflows.has(begin.workflow)) {
    workflows.set(begin.workflow, { description: "No worker has registered it." });
  }
  if (!workflows.size) return [element("p", {}, "No worker has registered a workflow yet. Start one, and come back.")];
  const names = [...workflows.keys()];
  const workflow = selectField("Workflow", names, { initial: begin?.workflow ?? names[0] });
  const inSession = textField("Session", { initial: session ?? "hello", hint: "Turns of one session run one after the other." });
  const input = jsonField("Input", {
    initial: begin ? JSON.stringify(begin.input, null, 2) : '"hello"', hint: "JSON. Ctrl-Enter posts it.", rows: 8,
  });
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const button = element("button", { type: "submit", class: "primary" }, "Post turn");
  // One key for one content: what is sent again because nobody answered is the same turn.
  let key = freshKey();

  const describe = () => workflow.hint(workflows.get(workflow.control.value)?.description ?? "");
  workflow.control.addEventListener("change", describe);
  form.addEventListener("input", () => (key = freshKey()));
  form.onsubmit = async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      const { turn_id } = await postTurn(inSession.value(), workflow.value(), input.value(), key);
      go(hrefs.turn(turn_id));
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  };
  describe();
  return [workflow.node, inSession.node, input.node, problem, element("div", { class: "row end" }, button)];
}
