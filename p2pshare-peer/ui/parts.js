// Parts that many views are made of.

import { fill, h, icon, onceSeen, setAttribute, setText, show } from "./dom.js";
import { percent } from "./text.js";

/** A button: `label` is always there for those who cannot see; with `bare` only its icon is seen. */
export function button({ label, icon: name, kind = "", bare = false, click, type = "button", ...more }) {
  return h(
    "button",
    { type, class: `button ${kind} ${bare ? "bare" : ""}`.trim(), on: click && { click }, ...more,
      ...(bare ? { "aria-label": label, title: label } : {}) },
    name && icon(name),
    !bare && h("span", {}, label),
  );
}

/** The same as a link. */
export function linkButton({ label, icon: name, kind = "", bare = false, href, ...more }) {
  return h(
    "a",
    { href, class: `button ${kind} ${bare ? "bare" : ""}`.trim(), ...more,
      ...(bare ? { "aria-label": label, title: label } : {}) },
    name && icon(name),
    !bare && h("span", {}, label),
  );
}

/** What went wrong, in a box: what happened, why, and what to do next. */
export function problemBox(problem, again) {
  return h(
    "div",
    { class: "problem", role: "alert" },
    icon("alert"),
    h(
      "div",
      { class: "problem-text" },
      h("p", { class: "problem-title" }, problem.title ?? "Something went wrong"),
      problem.message && problem.message !== problem.title
        && problem.message.split("\n").filter((line) => line.trim()).map((line) => h("p", {}, line)),
      problem.hint && h("p", { class: "muted" }, problem.hint),
    ),
    again && button({ label: "Try again", kind: "small", click: again }),
  );
}

/** A place for what went wrong, empty at first, to stand next to what failed. */
export function troublePlace() {
  const element = h("div", { class: "trouble" });
  return {
    element,
    clear: () => fill(element),
    tell: (problem) => fill(element, problemBox(problem)),
  };
}

/**
 * Does something that a button asks for. The button cannot be pressed meanwhile; what goes wrong is shown in `trouble`.
 * Gives the result, `undefined` if it failed.
 */
export async function act(pressed, trouble, work) {
  if (pressed.getAttribute("aria-disabled") === "true") return undefined;
  // Not `disabled`, which would lose the focus.
  setAttribute(pressed, "aria-disabled", "true");
  pressed.classList.add("busy");
  trouble.clear();
  try {
    return (await work()) ?? null;
  } catch (problem) {
    if (problem.name === "AbortError") return undefined;
    if (problem.status === undefined) throw problem;
    trouble.tell(problem);
    return undefined;
  } finally {
    setAttribute(pressed, "aria-disabled", null);
    pressed.classList.remove("busy");
  }
}

/** Says that there is nothing here, why, and what to do about it. */
export function emptyState(name, title, text, ...actions) {
  return h(
    "div",
    { class: "empty" },
    h("span", { class: "empty-icon" }, icon(name)),
    h("p", { class: "empty-title" }, title),
    text && h("p", { class: "muted" }, text),
    actions.length > 0 && h("div", { class: "row center" }, actions),
  );
}

/** Says that something is being fetched, if it takes long enough to be seen. */
export function loading(what = "Loading…") {
  return h("p", { class: "loading", role: "status" }, h("span", { class: "spinner" }), what);
}

/** A button that copies a text, or what a function gives, and says so. */
export function copyButton({ label = "Copy", text, bare = false, kind = "", trouble, ...more }) {
  const made = button({ label, icon: "copy", bare, kind, ...more, click: () => act(made, trouble ?? none, copy) });
  const copy = async () => {
    await navigator.clipboard.writeText(typeof text === "function" ? await text() : text);
    tell("Copied");
  };
  return made;
}

const none = { clear() {}, tell: (problem) => tell(problem.message, "error") };

/** A bar that shows how much of something is done. */
export function bar(label) {
  const element = h("progress", { max: 100, value: 0, "aria-label": label });
  return {
    element,
    /** `state`: running, paused, done, failed; anything else is as running. */
    set(done, total, state = "running") {
      const value = state === "done" ? 100 : percent(done, total);
      if (element.value !== value) element.value = value;
      const name = `bar ${state}`;
      if (element.className !== name) element.className = name;
    },
  };
}

let fields = 0;

/** An input with its label and a word of help below. */
export function field(label, input, { hint, after } = {}) {
  fields += 1;
  input.id ||= `field-${fields}`;
  const help = hint && h("p", { class: "hint", id: `${input.id}-hint` }, hint);
  if (help) input.setAttribute("aria-describedby", help.id);
  return h(
    "div",
    { class: "field" },
    h("label", { for: input.id }, label),
    after ? h("div", { class: "with-button" }, input, after) : input,
    help,
  );
}

/** An input for the name of a user or a group. What is no name is not sent. */
export function nameInput({ name, ...more }) {
  return h("input", {
    name, required: true, maxlength: 32, autocomplete: "off", autocapitalize: "none", spellcheck: "false",
    pattern: "\\s*[A-Za-z0-9]([A-Za-z0-9._\\-]*[A-Za-z0-9_\\-])?\\s*",
    title: "1 to 32 letters, digits, dots, dashes and underscores, beginning with a letter or digit", ...more,
  });
}

/** A password, which can be looked at. */
export function passwordField(label, { name, autocomplete, hint, minlength }) {
  const input = h("input", {
    type: "password", name, autocomplete, required: true, minlength, autocapitalize: "off", spellcheck: "false",
  });
  const look = button({
    label: "Show password", icon: "eye", bare: true, kind: "quiet", "aria-pressed": "false",
    click: () => {
      const shown = input.type === "password";
      input.type = shown ? "text" : "password";
      look.setAttribute("aria-pressed", String(shown));
    },
  });
  return { input, element: field(label, input, { hint, after: look }) };
}

/** Something that is on or off. */
export function toggle(label, { checked, hint, change, ...more } = {}) {
  fields += 1;
  const id = `field-${fields}`;
  const input = h("input", {
    type: "checkbox", role: "switch", id, checked, on: change && { change: () => change(input) },
    ...(hint ? { "aria-describedby": `${id}-hint` } : {}), ...more,
  });
  const element = h(
    "div",
    { class: "toggle" },
    input,
    h("div", {}, h("label", { for: id }, label), hint && h("p", { class: "hint", id: `${id}-hint` }, hint)),
  );
  return { input, element };
}

/** Choices of which one holds. `choices` are pairs of value and label. */
export function select(choices, { value, ...more } = {}) {
  const element = h("select", more, choices.map(([each, label]) => h("option", { value: each }, label)));
  if (value !== undefined) element.value = value;
  return element;
}

/** A short word on a coloured ground. */
export function badge(text, kind = "") {
  return h("span", { class: `badge ${kind}` }, text);
}

/** The head of a view: its heading, a line below, and what can be done. */
export function heading(title, { lead, actions = [] } = {}) {
  return h(
    "div",
    { class: "head" },
    h("div", { class: "head-text" }, h("h1", { tabindex: "-1" }, title), lead && h("p", { class: "lead" }, lead)),
    actions.length > 0 && h("div", { class: "row" }, actions),
  );
}

const toasts = h("div", { class: "toasts", role: "status", "aria-live": "polite" });

/** The place where short messages appear. */
export function toastPlace() {
  return toasts;
}

/** Tells something in passing. `link`: a pair of address and label to go on from there. */
export function tell(text, level = "info", link) {
  const close = () => toast.remove();
  const toast = h(
    "div",
    { class: `toast ${level}` },
    icon(level === "error" ? "alert" : level === "warning" ? "alert" : "check"),
    h("span", { class: "toast-text" }, text),
    link && h("a", { href: link[0], on: { click: close } }, link[1]),
    button({ label: "Dismiss", icon: "close", bare: true, kind: "quiet small", click: close }),
  );
  toasts.append(toast);
  while (toasts.children.length > 3) toasts.firstChild.remove();
  onceSeen(level === "error" ? 12_000 : 6_000, close);
}

/** A line for those who listen: what has changed, told once it has come to rest. */
export function announcer() {
  const element = h("p", { class: "sr-only", role: "status" });
  let timer = null;
  return {
    element,
    say(text) {
      clearTimeout(timer);
      timer = setTimeout(() => setText(element, text), 600);
    },
  };
}

export { show };
