// Files that are dropped on the page, or chosen in the browser: they are sent to the peer, which keeps and shares them.

import { fill, h, icon, setText, show } from "./dom.js";
import { announcer, bar, button, problemBox } from "./parts.js";
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

/** How far the files are that are being sent, and which of the last ones were not taken. */
function sendingState(signal) {
  const progress = bar("Progress of dropped files");
  const line = h("p", { class: "muted num" });
  const stop = button({ label: "Stop", kind: "small", click: () => sending.stop() });
  const card = h("div", { class: "card stack" }, h("div", { class: "row spread" }, line, stop), progress.element);
  const failures = h("div", { class: "stack" });
  const told = announcer();
  let failed = [];
  let said = 0;
  sending.follow(signal, (now) => {
    show(card, Boolean(now.current));
    if (now.current) {
      const { file, name } = now.current;
      progress.set(now.done, now.total || 1);
      setText(line, now.files === 1
        ? `Sending ${name}: ${percent(now.loaded, file.size)}% of ${bytes(file.size)}`
        : `Sending ${now.number} of ${count(now.files, "file")}: ${percent(now.done, now.total)}% of ${bytes(now.total)}`);
    }
    const number = now.current ? now.files : 0;
    if (number !== said) told.say(number ? `Sending ${count(number, "file")}` : "");
    said = number;
    if (now.failed.length === failed.length) return;
    failed = now.failed;
    fill(failures, failed.map(([name, problem]) =>
      problemBox({ title: `${name} is not shared`, message: problem.message, hint: problem.hint })),
    now.more > 0 && h("p", { class: "muted" }, `and ${count(now.more, "more file")}`));
  });
  return h("div", { class: "drop-state stack" }, card, failures, told.element);
}
