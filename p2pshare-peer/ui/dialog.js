// Dialogs, over the browser's own: they keep the focus inside and give it back.

import { focusNear, h } from "./dom.js";
import { act, button, toastPlace, troublePlace } from "./parts.js";

let count = 0;
/** Those that are shown, the topmost last. */
const shown = [];

/** Closes all of them: they go with the view that opened them. */
export function closeDialogs() {
  for (const dialog of [...shown].reverse()) dialog.close();
}

/**
 * Shows a dialog with a body and buttons below. Gives `close` and a promise of what it was closed with: `undefined` if it
 * was dismissed.
 */
export function openDialog({ title, body, actions = [], wide = false }) {
  count += 1;
  const id = `dialog-${count}`;
  let result;
  const close = (value) => {
    result = value;
    dialog.close();
  };
  const dialog = h(
    "dialog",
    { class: wide ? "dialog wide" : "dialog", "aria-labelledby": id },
    h(
      "div",
      { class: "dialog-head" },
      h("h2", { id, tabindex: "-1" }, title),
      button({ label: "Close", icon: "close", bare: true, kind: "quiet", click: () => close() }),
    ),
    h("div", { class: "dialog-body" }, body),
    actions.length > 0 && h("div", { class: "dialog-actions" }, actions),
  );
  // A click beside it, on what dims the page.
  dialog.addEventListener("mousedown", (event) => {
    if (event.target === dialog) close();
  });
  const opener = document.activeElement;
  const closed = new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      shown.splice(shown.indexOf(dialog), 1);
      (shown.at(-1) ?? document.body).append(toastPlace());
      dialog.remove();
      // The browser gives the focus back only to what is still there to be seen.
      if (document.activeElement === document.body) focusNear(opener);
      resolve(result);
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  shown.push(dialog);
  // What is told in passing is seen above all that dims the page.
  dialog.append(toastPlace());
  // Not the button that closes it, which is the first that could take the focus.
  const first = dialog.querySelector(".dialog-body :is(input, select)") ?? dialog.querySelector("h2");
  first.focus({ preventScroll: true });
  return { close, closed, element: dialog };
}

/**
 * Asks before something is done that cannot be undone, and does it: the dialog stays until it is done and tells what goes
 * wrong. Gives whether it was done.
 */
export async function confirm({ title, text, action, kind = "danger", work }) {
  const trouble = troublePlace();
  const yes = button({
    label: action, kind,
    click: async () => {
      if ((await act(yes, trouble, work)) !== undefined) close(true);
    },
  });
  const no = button({ label: "Cancel", click: () => close(false) });
  const body = h("div", { class: "stack" }, [text].flat().map((each) => h("p", {}, each)), trouble.element);
  const { close, closed } = openDialog({ title, body, actions: [no, yes] });
  return (await closed) === true;
}

/**
 * A form in a dialog. `send` gets the form's values by name and may throw a problem, which is shown; what it gives closes
 * the dialog.
 */
export async function formDialog({ title, fields, action, send, wide }) {
  const trouble = troublePlace();
  const submit = button({ label: action, kind: "primary", type: "submit" });
  const form = h(
    "form",
    { class: "stack" },
    fields,
    trouble.element,
    h("div", { class: "dialog-actions" }, button({ label: "Cancel", click: () => close() }), submit),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(form));
    const sent = await act(submit, trouble, async () => (await send(values)) ?? true);
    if (sent !== undefined) close(sent);
  });
  const { close, closed } = openDialog({ title, body: form, wide });
  return closed;
}
