// Making and keeping elements. Nothing here reads HTML: what comes from others can only ever become text. The page's own
// icons alone are read as markup.

import { visible } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element. Of the properties `class` and `dataset` mean what they say, `on` holds listeners, functions and
 * objects are set as properties, `false`, `null` and `undefined` are left out, everything else is an attribute.
 * Children are elements, texts, or lists of them; every text is made safe to look at.
 */
export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "class") element.className = value;
    else if (name === "value" || name === "checked") element[name] = value;
    else if (value === true) element.setAttribute(name, "");
    else element.setAttribute(name, SHOWN.has(name) ? visible(String(value)) : String(value));
  }
  append(element, children);
  return element;
}

/** Attributes that people read or hear. */
const SHOWN = new Set(["title", "aria-label", "alt", "placeholder"]);

function append(element, children) {
  for (const child of children) {
    if (Array.isArray(child)) append(element, child);
    else if (child instanceof Node) element.append(child);
    else if (child !== null && child !== undefined && child !== false) {
      element.append(document.createTextNode(visible(String(child))));
    }
  }
}

/** Puts these children in place of what is there. */
export function fill(element, ...children) {
  const hadFocus = holdsFocus(element) && element !== document.activeElement;
  element.replaceChildren();
  append(element, children);
  if (hadFocus) focusNear(element);
  return element;
}

const FOCUSABLE = "a[href], button, input, select, [tabindex='0']";

function holdsFocus(element) {
  return document.activeElement !== document.body && element.contains(document.activeElement);
}

/**
 * Puts the focus on an element or into it; if nothing in it can be seen any more, on what is beside it, or else on the
 * heading: a focus that is lost would begin at the top of the page again.
 */
export function focusNear(element) {
  for (const place of [element, element.parentElement]) {
    if (!place?.isConnected || place === document.body) continue;
    const found = [place, ...place.querySelectorAll(FOCUSABLE)].find((each) => each.matches(FOCUSABLE) && each.checkVisibility());
    if (found) return found.focus({ preventScroll: true });
  }
  return document.querySelector("main h1")?.focus({ preventScroll: true });
}

/** Sets a text, if it is another. */
export function setText(element, text) {
  const shown = visible(String(text));
  if (element.textContent !== shown) element.textContent = shown;
}

/** Sets an attribute, if it is another; `null` and `false` take it away. */
export function setAttribute(element, name, value) {
  if (value === null || value === false || value === undefined) element.removeAttribute(name);
  else {
    const text = SHOWN.has(name) ? visible(String(value)) : String(value === true ? "" : value);
    if (element.getAttribute(name) !== text) element.setAttribute(name, text);
  }
}

/** Shows or hides an element. */
export function show(element, shown) {
  if (element.hidden !== shown) return;
  const hadFocus = !shown && holdsFocus(element);
  element.hidden = !shown;
  if (hadFocus) focusNear(element);
}

/** Fetches the icons once, so that those that are drawn later do not need the peer. */
export async function loadIcons() {
  const answer = await fetch("/icons.svg");
  const sprite = new DOMParser().parseFromString(await answer.text(), "image/svg+xml").documentElement;
  for (const symbol of sprite.querySelectorAll("symbol")) symbol.id = `icon-${symbol.id}`;
  sprite.setAttribute("class", "sprite");
  sprite.setAttribute("aria-hidden", "true");
  document.body.append(document.adoptNode(sprite));
}

/** An icon of the sprite. It is decoration: what it means is said by text beside it. */
export function icon(name, more = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `icon ${more}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Makes an icon show another one. */
export function setIcon(svg, name) {
  const href = `#icon-${name}`;
  const use = svg.firstChild;
  if (use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/**
 * Keeps the children of an element in step with a list, so that what has the focus keeps it. `make` gives an object with
 * its `element` and a method `update`, which is called with the item at once and whenever the list is shown again.
 */
export function keyed(container, key, make) {
  let kept = new Map();
  return (items) => {
    const next = new Map();
    for (const item of items) {
      const id = key(item);
      const row = kept.get(id) ?? make(item);
      row.update(item);
      next.set(id, row);
    }
    for (const [id, row] of kept) {
      if (next.has(id)) continue;
      const beside = holdsFocus(row.element) && (row.element.nextSibling ?? row.element.previousSibling ?? container);
      row.element.remove();
      if (beside) focusNear(beside);
    }
    let place = container.firstChild;
    for (const row of next.values()) {
      if (row.element === place) place = place.nextSibling;
      else container.insertBefore(row.element, place);
    }
    kept = next;
  };
}

/** Calls a function at most once in so many milliseconds, the last time for certain, until the signal aborts. */
export function throttle(milliseconds, signal, call) {
  let timer = null;
  let again = false;
  const run = () => {
    timer = null;
    if (!again || signal.aborted) return;
    again = false;
    timer = setTimeout(run, milliseconds);
    call();
  };
  return () => {
    again = true;
    if (timer === null) run();
  };
}

/** Calls a function once nobody has asked for so many milliseconds. */
export function debounce(milliseconds, call) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(call, milliseconds);
  };
}

/** Calls a function once the page was seen for so many milliseconds. While it is hidden, the time stands still. */
export function onceSeen(milliseconds, call) {
  const done = new AbortController();
  let left = milliseconds;
  let timer = null;
  let since = 0;
  const follow = () => {
    if (!document.hidden && timer === null) {
      since = performance.now();
      timer = setTimeout(() => {
        done.abort();
        call();
      }, left);
    } else if (document.hidden && timer !== null) {
      clearTimeout(timer);
      timer = null;
      left -= performance.now() - since;
    }
  };
  document.addEventListener("visibilitychange", follow, { signal: done.signal });
  follow();
}
