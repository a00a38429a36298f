// A list of any length of which only the rows near the window are elements. All rows are equally high.

import { h, setAttribute } from "./dom.js";

/** Rows beyond the edges of the window, so that the Tab key always finds a next one. */
const BEYOND = 8;
/** So many rows before the end of what is known, more is asked for. */
const AHEAD = 30;

/**
 * A list. `make(item)` gives an object with its `element` and `update(item)`; `key(item)` tells items apart; `more()` is
 * called when the end comes near. A row's element marked with `data-main` takes the focus when the arrow keys go to it.
 * How high a row is, the style sheet says in `--row` for the list's class.
 */
export function virtualList({ label, className, key, make, more, signal }) {
  const probe = h("div", { class: "probe", "aria-hidden": "true" });
  const list = h("div", { class: "virtual-rows", role: "list", "aria-label": label });
  const element = h("div", { class: `virtual ${className}` }, probe, list);
  let items = [];
  let complete = false;
  let rows = new Map();
  let height = 0;
  let planned = false;

  const plan = () => {
    if (planned || signal.aborted) return;
    planned = true;
    requestAnimationFrame(() => {
      planned = false;
      draw();
    });
  };
  addEventListener("scroll", plan, { passive: true, signal });
  addEventListener("resize", () => { height = 0; plan(); }, { signal });
  list.addEventListener("keydown", keys);

  function draw() {
    if (signal.aborted || !element.isConnected) return;
    height ||= probe.offsetHeight || 1;
    const size = `${items.length * height}px`;
    if (list.style.height !== size) list.style.height = size;
    const top = -list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / height) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + innerHeight) / height) + BEYOND);

    const focused = document.activeElement;
    const next = new Map();
    for (let index = first; index < last; index += 1) place(next, index);
    // Who has the focus stays, however far away: or the keys would begin at the top again.
    const held = [...rows].find(([, row]) => row.element.contains(focused));
    if (held && !next.has(held[0])) {
      const index = items.findIndex((item) => key(item) === held[0]);
      if (index >= 0) place(next, index);
    }
    for (const [id, row] of rows) if (!next.has(id)) row.element.remove();
    let at = list.firstChild;
    for (const row of [...next.values()].sort((a, b) => a.index - b.index)) {
      if (row.element === at) at = at.nextSibling;
      else list.insertBefore(row.element, at);
    }
    rows = next;
    if (held && !next.has(held[0])) takeFocus(Math.min(held[1].index, items.length - 1));
    else if (held && focused.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
    if (more && !complete && last > items.length - AHEAD) more();
  }

  function place(next, index) {
    const item = items[index];
    const id = key(item);
    const row = rows.get(id) ?? made(item);
    if (row.item !== item) {
      row.item = item;
      row.update(item);
    }
    if (row.index !== index || row.height !== height) {
      row.index = index;
      row.height = height;
      row.element.style.transform = `translateY(${index * height}px)`;
      setAttribute(row.element, "aria-posinset", index + 1);
    }
    setAttribute(row.element, "aria-setsize", complete ? items.length : -1);
    next.set(id, row);
  }

  function made(item) {
    const { element: inner, update } = make(item);
    const row = { element: h("div", { class: "virtual-row", role: "listitem" }, inner), update, item, index: -1 };
    update(item);
    return row;
  }

  function keys(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.matches("input, select, textarea")) return;
    const row = [...rows.values()].find((each) => each.element.contains(event.target));
    const page = Math.max(1, Math.floor(innerHeight / height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -items.length, End: items.length };
    const step = steps[event.key];
    if (!row || step === undefined) return;
    event.preventDefault();
    focus(Math.min(items.length - 1, Math.max(0, row.index + step)));
  }

  /** Puts the focus on a row, which comes into sight for it. */
  function focus(index) {
    const box = list.getBoundingClientRect();
    const above = box.top + index * height;
    const margin = 96;
    if (above < margin) scrollBy({ top: above - margin, behavior: "instant" });
    else if (above + height > innerHeight - margin) {
      scrollBy({ top: above + height - innerHeight + margin, behavior: "instant" });
    }
    draw();
    takeFocus(index);
  }

  function takeFocus(index) {
    const row = [...rows.values()].find((each) => each.index === index);
    const main = row?.element.querySelector("[data-main]") ?? row?.element.querySelector("a, button");
    main?.focus({ preventScroll: true });
  }

  return {
    element,
    /** Shows these items; `all`: whether there are no more. An item that has changed is another object. */
    set(shown, all) {
      items = shown;
      complete = all;
      plan();
    },
    focus,
  };
}
