// What can be done to a turn: cancel it, send it a signal, let a parked one run on, post another like it.

import { cancel, freshKey, resume, signal } from "./api.js";
import { needs } from "./credential.js";
import { ask } from "./dialog.js";
import { element } from "./dom.js";
import { jsonField, textField } from "./fields.js";
import { say } from "./notice.js";
import { hrefs } from "./router.js";
import { ENDED } from "./status.js";

/** Buttons for one turn. update(status, waits): which of them there are. */
export function openActions(turnId, { sent }) {
  let waits = [];
  const buttons = {
    signal: needs("signals:write", element("button", { type: "button", click: askSignal }, "Signal…")),
    resume: needs("turns:resume", element("button", { type: "button", class: "primary", click: askResume }, "Resume…")),
    cancel: needs("turns:cancel", element("button", { type: "button", click: askCancel }, "Cancel…")),
  };
  const again = needs("turns:write", element("a", { class: "button", href: hrefs.post({ like: turnId }) }, "Post again"));
  const node = element("div", { class: "row actions", role: "group", "aria-label": "Actions" }, Object.values(buttons), again);

  async function done(text) {
    say(text);
    sent();
  }

  function askSignal() {
    const key = freshKey();
    const name = textField("Name", { initial: waits.find(({ kind }) => kind === "signal")?.name ?? "" });
    const payload = jsonField("Payload", { hint: "JSON; null when it is empty.", rows: 4 });
    ask({
      title: "Send a signal", fields: [name, payload], yes: "Send",
      text: "It is delivered once. A signal that nobody waits for yet is kept.",
      submit: async () => {
        await signal(turnId, name.value(), payload.value(), key);
        await done("The signal is sent");
      },
    });
  }

  function askCancel() {
    ask({
      title: "Cancel this turn?", yes: "Cancel turn", no: "Keep it", tone: "bad",
      text: "It ends as cancelled, unless it ends in another way first. What its steps did stays done.",
      submit: async () => {
        await cancel(turnId);
        await done("The cancel is sent");
      },
    });
  }

  function askResume() {
    const key = freshKey();
    ask({
      title: "Resume this turn?", yes: "Resume", no: "Back",
      text: "It is parked: it runs on from its last recorded step. Mend the cause first.",
      submit: async () => {
        await resume(turnId, key);
        await done("It runs on");
      },
    });
  }

  return {
    node,
    update(status, waiting) {
      waits = waiting;
      buttons.cancel.hidden = buttons.signal.hidden = ENDED.has(status);
      buttons.resume.hidden = status !== "parked";
      again.hidden = !ENDED.has(status);
    },
  };
}
