// A table that is fetched in pages. While only the first of them is shown it is kept up to date.

import { $, empty, table } from "./dom.js";

const EVERY = 10_000;

/**
 * `fetchPage` gives the items after a cursor and the next cursor, `none` what to say where there is nothing, `style` the
 * class of an item's row; `counted` hears how many are shown and whether there are more.
 */
export function listing({ place, more, label, columns, fetchPage, none, style = () => undefined, counted = () => {} }) {
  let rows;
  let next;
  let shown = 0;
  let pages = 0;
  let turn = 0;

  async function take(anew) {
    const mine = ++turn;
    const [found, after] = await fetchPage(anew ? undefined : next);
    // Something else was asked for meanwhile.
    if (mine !== turn) return;
    if (anew) begin(found);
    else append(found);
    next = after;
    $(more).hidden = next === undefined;
    counted(shown, next !== undefined);
  }

  function begin(found) {
    const held = $(place).contains(document.activeElement) && document.activeElement.getAttribute("aria-label");
    shown = pages = 0;
    if (found.length === 0) clear(empty(none()));
    else {
      rows ??= table(label, columns);
      if (!rows.whole.isConnected) $(place).replaceChildren(rows.whole);
      rows.body.replaceChildren();
      append(found);
    }
    if (held) [...$(place).querySelectorAll("[aria-label]")].find((it) => it.getAttribute("aria-label") === held)?.focus({ preventScroll: true });
  }

  function append(found) {
    pages += 1;
    shown += found.length;
    rows?.body.append(...found.map((item) => rows.row(item, style(item))));
  }

  function clear(...instead) {
    rows = undefined;
    $(place).replaceChildren(...instead);
  }

  return {
    every: EVERY,
    anew: () => take(true),
    more: () => take(false),
    /** Fetches the first page again, unless more is shown or somebody is asked about it. */
    async refresh() {
      if (pages <= 1 && !$("confirm").open) await take(true);
    },
    /** Shows what an item is now, whose button was pressed. */
    put(button, item) {
      turn += 1;
      if (!button.isConnected) return;
      const row = rows.row(item, style(item));
      button.closest("tr").replaceWith(row);
      row.querySelector("button")?.focus();
    },
    /** Shows nothing: what was asked for is not to come any more. */
    close() {
      turn += 1;
      shown = pages = 0;
      next = undefined;
      $(more).hidden = true;
      clear();
    },
  };
}
