// Picks a file or a folder on the disk of the peer, which may be another machine's than the browser's.

import { api, query } from "./api.js";
import { openDialog } from "./dialog.js";
import { fill, h, icon } from "./dom.js";
import { button, field, loading, problemBox } from "./parts.js";
import { bytes } from "./text.js";

/**
 * Lets somebody pick. `want`: `folder`, `file` or `any`. Gives the path; `undefined` if it was dismissed.
 */
export async function pickPath({ title, action, want = "any", start, signal }) {
  const typed = h("input", { name: "path", autocomplete: "off", autocapitalize: "off", spellcheck: "false", class: "mono" });
  const place = h("div", { class: "picker", tabindex: "-1" }, loading());
  const take = button({ label: action, kind: "primary", type: "submit" });
  const form = h(
    "form",
    { class: "stack" },
    field("Path", typed, { after: button({ label: "Go to this folder", icon: "next", bare: true, click: () => open(typed.value) }) }),
    place,
    h("div", { class: "dialog-actions" }, button({ label: "Cancel", click: () => close() }), take),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (typed.value.trim()) close(typed.value.trim());
  });

  const open = async (path) => {
    let listing;
    try {
      listing = await api.get(`/api/folders${query({ path: path.trim() })}`, { signal });
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem));
      return;
    }
    // A file that was named is taken, and its folder is shown.
    const isFile = want !== "folder" && listing.file;
    typed.value = isFile ? listing.file : want === "file" ? "" : listing.path;
    const items = listing.items.filter((item) => item.folder || want !== "folder");
    const entries = items.map((item) => entry(item));
    const up = listing.parent !== null && h("li", {}, h("button", {
      type: "button", class: "pick", on: { click: () => open(listing.parent) },
    }, icon("up"), h("span", {}, "Up to ", listing.parent)));
    fill(place,
      h("p", { class: "muted wrap" }, listing.path),
      h("ul", { class: "plain", "aria-label": "Files and folders" }, up, entries),
      items.length === 0 && h("p", { class: "muted pad" }, "Nothing is here."),
      listing.more && h("p", { class: "muted pad" }, "There is more here than can be listed. Type the path above."));
    if (form.contains(document.activeElement) || document.activeElement === document.body) place.focus();
    place.scrollTop = 0;
  };
  const entry = (item) => {
    const chosen = () => {
      for (const each of place.querySelectorAll("[aria-pressed=true]")) each.setAttribute("aria-pressed", "false");
      made.setAttribute("aria-pressed", "true");
      typed.value = item.path;
    };
    const made = h("button", {
      type: "button", class: "pick", title: item.name, "aria-pressed": item.folder ? undefined : "false",
      on: { click: () => (item.folder ? open(item.path) : chosen()) },
    }, icon(item.folder ? "folder" : "file"), h("span", { class: "pick-name" }, item.name),
      item.folder ? icon("next", "faint") : h("span", { class: "muted num" }, bytes(item.size)));
    return h("li", {}, made);
  };

  const { close, closed } = openDialog({ title, body: form, wide: true });
  open(start ?? "");
  return closed;
}

/** An input for a path, with a button to pick one. */
export function pathField(label, { name, want, title, hint, value = "", required = false, signal, start, ...more }) {
  const input = h("input", {
    name, value, required, autocomplete: "off", autocapitalize: "off", spellcheck: "false", class: "mono", ...more,
  });
  const pick = button({
    label: `Pick: ${label}`, icon: "folder", bare: true,
    click: async () => {
      const folder = input.value || start;
      const path = await pickPath({ title, action: "Choose", want, start: folder, signal });
      if (path === undefined) return;
      input.value = path;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    },
  });
  return { input, pick, element: field(label, input, { hint, after: pick }) };
}
