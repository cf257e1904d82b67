// Asking again and again, but only while somebody looks.

/** Runs task now and, once it is done, again after so long, never while the page is hidden. Returns what ends it. */
export function every(milliseconds, task) {
  let timer = 0;
  let isOver = false;
  let isRunning = false;

  async function beat() {
    clearTimeout(timer);
    if (isOver || isRunning || document.hidden) return;
    isRunning = true;
    try {
      await task();
    } finally {
      isRunning = false;
      if (!isOver) timer = setTimeout(beat, milliseconds);
    }
  }

  document.addEventListener("visibilitychange", beat);
  beat();
  return () => {
    isOver = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", beat);
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
