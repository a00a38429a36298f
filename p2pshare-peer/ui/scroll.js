// Where one was on the page: going back leads there again, although what was there comes in little by little.

/** So long, in milliseconds, what comes in is waited for. */
const WAIT = 3_000;

let restoring = 0;

/** Begins to keep with each entry of the history how far down one was. */
export function keepPlaces() {
  history.scrollRestoration = "manual";
  let timer = null;
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = setTimeout(() => history.replaceState({ ...history.state, y: Math.round(scrollY) }, ""), 100);
  }, { passive: true });
  // Whoever does something is where they want to be.
  for (const own of ["wheel", "touchstart", "keydown", "mousedown"]) addEventListener(own, () => { restoring += 1; }, { passive: true });
}

/** Goes where one was in this entry of the history; to the top, if it is new. */
export function toPlace() {
  const y = history.state?.y ?? 0;
  restoring += 1;
  const mine = restoring;
  const end = performance.now() + WAIT;
  const step = () => {
    if (mine !== restoring) return;
    scrollTo(0, y);
    if (scrollY < y - 1 && performance.now() < end) requestAnimationFrame(step);
  };
  step();
}
