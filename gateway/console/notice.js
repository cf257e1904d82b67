// One line at the foot of the page that says what was done, or why not.

const SHOWN_MS = 6_000;
let timer = 0;

export function say(text, tone = "good") {
  const line = document.getElementById("notice");
  line.textContent = text;
  line.dataset.tone = tone;
  line.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => (line.hidden = true), SHOWN_MS);
}
