// Making elements and telling values. Text goes in as text, never as markup.

// Characters that turn the direction of writing, have no width or break lines, as the command line shows them too.
const DECEPTIVE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\u{e0000}-\u{e007f}]/gu;

export const $ = (id) => document.getElementById(id);

/** Text from others, with what plays tricks made visible. */
export function visible(text) {
  return String(text).replace(DECEPTIVE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

/** An element with properties (`class`, `data…`, `aria-…` and handlers `onclick`) and children, which are nodes or text. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/**
 * A table of `[title, cell, class]` columns. At phone width each row is a card whose parts have the titles. The roles say
 * that it is a table whatever it looks like.
 */
export function table(label, columns) {
  const head = columns.map(([title, , style]) =>
    el("th", { scope: "col", role: "columnheader", class: style },
      title || el("span", { class: "hidden" }, "Actions")));
  const body = el("tbody", { role: "rowgroup" });
  const whole = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
    el("table", { role: "table", "aria-label": label },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head)), body));
  const row = (item, style) =>
    el("tr", { role: "row", class: style },
      ...columns.map(([title, cell, style]) =>
        el("td", { role: "cell", class: style, "data-label": title }, ...[cell(item)].flat())));
  return { whole, body, row };
}

export const empty = (text) => el("p", { class: "empty" }, text);

const numbers = new Intl.NumberFormat("en");
export const number = (value) => numbers.format(value);

/** 1.5 GB. */
export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** 250 µs, 3.1 ms, 1.2 s. */
export function span(micros) {
  if (micros < 1000) return `${Math.round(micros)} µs`;
  if (micros < 1e6) return `${(micros / 1000).toFixed(micros < 1e4 ? 1 : 0)} ms`;
  return `${(micros / 1e6).toFixed(1)} s`;
}

/** A time as far away as it is from now, exact when one points at it. */
export function when(millis, now = Date.now()) {
  const date = new Date(millis);
  if (Number.isNaN(date.getTime())) return el("span", {}, "far away");
  const exact = date.toISOString();
  return el("time", { datetime: exact, title: exact }, distance(millis - now));
}

export function distance(millis) {
  const seconds = Math.round(Math.abs(millis) / 1000);
  const [size, unit] = [[86400 * 365, "year"], [86400, "day"], [3600, "hour"], [60, "minute"], [1, "second"]]
    .find(([size]) => seconds >= size) ?? [1, "second"];
  if (seconds < 5) return "now";
  const count = Math.floor(seconds / size);
  const text = `${number(count)} ${unit}${count === 1 ? "" : "s"}`;
  return millis < 0 ? `${text} ago` : `in ${text}`;
}

/** Says something to those who hear the page. */
export function tell(text) {
  $("told").textContent = text;
}

/** Asks before what cannot be undone by looking away. */
export function confirmed(title, text, yes) {
  const dialog = $("confirm");
  $("confirm-title").textContent = title;
  $("confirm-text").textContent = text;
  $("confirm-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
