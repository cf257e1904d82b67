// Whether somebody sits at the page. What a page asks by itself, again and again, is no use of a login: a login that nobody
// uses ends.

const TOUCHED_MS = 120_000;
let touchedAt = performance.now();

for (const type of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(type, () => (touchedAt = performance.now()), { passive: true, capture: true });
}

/** Whether somebody touched the page lately. */
export function isTouched() {
  return performance.now() - touchedAt < TOUCHED_MS;
}
