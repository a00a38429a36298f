// How far down a view was when it was left, so that the browser's way back leads to the same place.

/** Longest that a view may take to become as long as it was, in milliseconds. */
const PATIENCE = 5_000;

/** How far down, by the number of the entry in the browser's history. */
const places = new Map();
let count = Date.now();

/** Begins to note how far down each view is. */
export function followScroll() {
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => {
    if (history.state?.entry) places.set(history.state.entry, scrollY);
  }, { passive: true });
}

/** Goes to where this entry of the history was left; to the top of one that is new. */
export function restoreScroll(main, signal) {
  const entry = history.state?.entry;
  if (!entry) {
    count += 1;
    history.replaceState({ entry: count }, "");
  }
  const place = places.get(entry) ?? 0;
  scrollTo({ top: place, behavior: "instant" });
  if (place === 0) return;
  // What the view shows comes in bit by bit. Whoever moves by themselves is left alone.
  const done = new AbortController();
  const stop = () => {
    watch.disconnect();
    done.abort();
  };
  const watch = new ResizeObserver(() => {
    scrollTo({ top: place, behavior: "instant" });
    if (Math.abs(scrollY - place) < 2) stop();
  });
  watch.observe(main);
  for (const own of ["wheel", "keydown", "pointerdown", "touchstart"]) {
    addEventListener(own, stop, { signal: done.signal, passive: true });
  }
  signal.addEventListener("abort", stop, { once: true });
  setTimeout(stop, PATIENCE);
}
