// Files that are dropped on the page, or chosen in the browser: they are sent to the peer, which keeps and shares them.

import { fill, h, icon, setText, show } from "./dom.js";
import { bar, button, problemBox } from "./parts.js";
import { sending } from "./sending.js";
import { bytes, count, percent } from "./text.js";

/** A place to drop files on. */
export function dropZone({ signal }) {
  const input = h("input", { type: "file", multiple: true, class: "sr-only", tabindex: "-1", "aria-label": "Files to share" });
  const zone = h(
    "div",
    { class: "drop" },
    icon("upload"),
    h("div", { class: "drop-text" },
      h("p", {}, h("strong", {}, "Drop files or folders here"), " to share them with everybody"),
      h("p", { class: "muted" }, "They are copied to the folder for dropped files.")),
    button({ label: "Choose files", click: () => input.click() }),
    input,
  );
  input.addEventListener("change", () => {
    sending.add([...input.files].map((file) => ({ file, name: file.name })));
    input.value = "";
  });

  // Wherever on the page they are dropped: a browser would open them otherwise.
  let inside = 0;
  const over = (is) => zone.classList.toggle("over", is);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    inside += 1;
    over(true);
  }, { signal });
  document.addEventListener("dragleave", () => {
    inside = Math.max(0, inside - 1);
    over(inside > 0);
  }, { signal });
  document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault(), { signal });
  document.addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    inside = 0;
    over(false);
    // The entries must be asked for at once: they are gone after this event.
    const dropped = [...event.dataTransfer.items].filter((item) => item.kind === "file").map((item) => {
      const entry = item.webkitGetAsEntry?.();
      const file = entry ? null : item.getAsFile();
      return entry ? filesOf(entry, "") : [{ file, name: file.name }];
    });
    sending.add((await Promise.all(dropped)).flat());
  }, { signal });
  return h("div", {}, zone, sendingState(signal));
}

/** The files of what was dropped, with their folders in their names. */
async function filesOf(entry, folder) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: folder + entry.name }];
  }
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return files;
    for (const each of some) files.push(...(await filesOf(each, `${folder}${entry.name}/`)));
  }
}

/** How far the sending is, and what could not be sent, wherever it was dropped. */
function sendingState(signal) {
  const progress = bar("Progress of dropped files");
  const line = h("p", { class: "muted num", role: "status" });
  const card = h("div", { class: "card stack" },
    h("div", { class: "row spread" }, line, button({ label: "Stop", kind: "small", click: () => sending.stop() })),
    progress.element);
  const failed = h("div", { class: "stack" });
  let told = null;
  const update = () => {
    const { name, done, files, sent, bytes: all } = sending;
    show(card, name !== null);
    if (name !== null) {
      progress.set(sent, all || 1);
      setText(line, files === 1
        ? `Sending ${name}: ${percent(sent, all)}% of ${bytes(all)}`
        : `Sending ${done + 1} of ${count(files, "file")}: ${percent(sent, all)}% of ${bytes(all)}`);
    }
    if (told === sending.failed && name !== null) return;
    told = sending.failed;
    fill(failed, told.slice(0, 3).map(([name, problem]) =>
      problemBox({ title: `${name} is not shared`, message: problem.message, hint: problem.hint })),
      told.length > 3 && h("p", { class: "muted" }, `Nor are ${count(told.length - 3, "other")}.`),
      told.length > 0 && h("div", { class: "row" }, button({ label: "Dismiss", kind: "small", click: () => sending.forget() })));
  };
  sending.addEventListener("change", update, { signal });
  update();
  return h("div", { class: "drop-state" }, card, failed);
}
