// Moments and durations in words. Pure but for the reader's time zone. Units: milliseconds.

/** "12 ms", "1.24 s", "2 min 5 s", "3 h 4 min", "2 d 3 h". */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "";
  const whole = Math.max(0, ms);
  if (whole < 1_000) return `${whole < 10 ? +whole.toFixed(1) : Math.round(whole)} ms`;
  if (whole < 60_000) return `${(whole / 1_000).toFixed(whole < 10_000 ? 2 : 1)} s`;
  const units = [[86_400_000, "d", 3_600_000, "h"], [3_600_000, "h", 60_000, "min"], [60_000, "min", 1_000, "s"]];
  const [size, name, lessSize, lessName] = units.find(([unit]) => whole >= unit);
  const rest = Math.floor((whole % size) / lessSize);
  return `${Math.floor(whole / size)} ${name}${rest ? ` ${rest} ${lessName}` : ""}`;
}

/** "now", "8 s ago", "5 min ago", "in 2 h": how far a moment is from another. */
export function distance(at, from) {
  const ms = from - at;
  const shown = (size, name) => `${Math.floor(Math.abs(ms) / size)} ${name}`;
  const far = Math.abs(ms);
  if (far < 1_000) return "now";
  const text =
    far < 60_000 ? shown(1_000, "s") : far < 3_600_000 ? shown(60_000, "min")
    : far < 86_400_000 ? shown(3_600_000, "h") : shown(86_400_000, "d");
  return ms > 0 ? `${text} ago` : `in ${text}`;
}

/** "14:03:27.482" */
export function clock(at) {
  const moment = new Date(at);
  const two = (number) => String(number).padStart(2, "0");
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two).join(":");
  return `${time}.${String(moment.getMilliseconds()).padStart(3, "0")}`;
}

/** Date and time, for a title. */
export function whole(at) {
  return new Date(at).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "long" });
}
