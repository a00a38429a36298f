// Files that are dropped on the page, or chosen in the browser: they are sent to the peer, which keeps and shares them.

import { sendDropped } from "./api.js";
import { fill, h, icon, setText } from "./dom.js";
import { bar, button, problemBox, tell } from "./parts.js";
import { bytes, count, percent } from "./text.js";

/** A place to drop files on. */
export function dropZone({ signal }) {
  const input = h("input", { type: "file", multiple: true, class: "sr-only", tabindex: "-1", "aria-label": "Files to share" });
  const state = h("div", { class: "drop-state" });
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
    send([...input.files].map((file) => ({ file, name: file.name })), state, signal);
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
    send((await Promise.all(dropped)).flat(), state, signal);
  }, { signal });
  return h("div", {}, zone, state);
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

/** Sends them one after the other. */
async function send(files, place, signal) {
  if (files.length === 0) return;
  const total = files.reduce((sum, { file }) => sum + file.size, 0);
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort());
  const progress = bar("Progress of dropped files");
  const line = h("p", { class: "muted num", role: "status" });
  fill(place, h("div", { class: "card stack" },
    h("div", { class: "row spread" }, line, button({ label: "Stop", kind: "small", click: () => stop.abort() })),
    progress.element));
  let before = 0;
  const failed = [];
  for (const [at, { file, name }] of files.entries()) {
    const sent = (loaded) => {
      progress.set(before + loaded, total || 1);
      setText(line, files.length === 1
        ? `Sending ${name}: ${percent(loaded, file.size)}% of ${bytes(file.size)}`
        : `Sending ${at + 1} of ${count(files.length, "file")}: ${percent(before + loaded, total)}% of ${bytes(total)}`);
    };
    sent(0);
    try {
      await sendDropped(file, name, sent, stop.signal);
    } catch (problem) {
      if (problem.name === "AbortError") {
        fill(place);
        return;
      }
      failed.push([name, problem]);
      if (problem.status === 0) break;
    }
    before += file.size;
  }
  fill(place, failed.slice(0, 3).map(([name, problem]) =>
    problemBox({ title: `${name} is not shared`, message: problem.message, hint: problem.hint })));
  const done = files.length - failed.length;
  if (done > 0) tell(`${count(done, "file")} taken in: shared as soon as hashed`);
}
