// Asking again and again, but only while somebody looks.

const SOON_MS = 300; // of what happens within it, one look sees all

/**
 * Runs task now and, once it is done, again after so long, never while the page is hidden. Gives close(), which ends it,
 * and soon(): there is something new to ask for, so it runs before its time.
 */
export function every(milliseconds, task) {
  let timer = 0;
  let isDue = false;
  let isOver = false;
  let isRunning = false;

  async function beat() {
    clearTimeout(timer);
    if (isOver || isRunning || document.hidden) return;
    isRunning = true;
    isDue = false;
    try {
      await task();
    } finally {
      isRunning = false;
      if (!isOver) timer = setTimeout(beat, isDue ? SOON_MS : milliseconds);
    }
  }

  document.addEventListener("visibilitychange", beat);
  beat();
  return {
    soon() {
      if (isDue || isOver) return;
      isDue = true;
      if (isRunning) return; // and again after that
      clearTimeout(timer);
      timer = setTimeout(beat, SOON_MS);
    },
    close() {
      isOver = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", beat);
    },
  };
}

/** A function that runs draw once in the next frame, however often it is called before. */
export function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}
