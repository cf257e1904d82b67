// What a turn says while it runs: its channels, text streaming in.

import { element, setList, setText } from "./dom.js";
import { value } from "./value.js";

export function openChannels() {
  const list = element("div", { class: "channels" });
  const node = element("section", { hidden: true, "aria-labelledby": "what-it-says" },
    element("h2", { id: "what-it-says" }, "What it says"), list);

  return {
    node,
    update(model) {
      const channels = [...model.channels.values()];
      node.hidden = !channels.length;
      setList(list, channels, ({ step, name }) => JSON.stringify([step, name]), make, update);
    },
  };
}

function make({ step, name }) {
  const state = element("small", {});
  // Read aloud when it is whole, not letter by letter.
  const content = element("div", { class: "said", "aria-live": "polite", "aria-busy": "true" });
  const title = element("h3", {}, element("bdi", {}, name), step && element("small", {}, element("bdi", {}, step)), state);
  return Object.assign(element("article", { class: "channel" }, title, content), { state, content });
}

function update(made, channel) {
  const restarted = channel.restarts ? `began again${channel.restarts > 1 ? ` ${channel.restarts} times` : ""}` : "";
  setText(made.state, [channel.isOpen ? "live" : "", restarted].filter(Boolean).join(" · "));
  made.dataset.open = String(channel.isOpen && channel.text !== null);
  made.content.setAttribute("aria-busy", String(channel.isOpen));
  if (channel.text !== null) write(made.content, channel.text);
  else if (made.content.shown !== channel.value) made.content.replaceChildren(...[value(channel.value)].flat());
  made.content.shown = channel.value;
}

/** Appends what is new; what is there already stays, with what the reader has selected of it. */
function write(content, text) {
  if (content.firstChild?.nodeType !== Node.TEXT_NODE) content.replaceChildren(document.createTextNode(""));
  const there = content.firstChild;
  if (text.startsWith(there.data)) there.appendData(text.slice(there.length));
  else there.data = text;
}
