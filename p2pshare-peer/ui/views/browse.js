// A user's folders.

import { api, query as queryText } from "../api.js";
import { fill, h, icon } from "../dom.js";
import { downloadButton, kindTile, openButton, showDetails, toastTrouble } from "../hit.js";
import { virtualList } from "../list.js";
import { live } from "../live.js";
import { copyButton, emptyState, field, heading, loading, nameInput, problemBox, button } from "../parts.js";
import { go, route } from "../router.js";
import { bytes, fileName, isPlayable } from "../text.js";

const PAGE = 500;

export default function browse({ parts, signal }) {
  if (parts.length === 0) return whose();
  const [user, ...folders] = parts;
  const path = folders.join("/");
  const own = user === live.last.state.account.username;
  const name = folders.at(-1) ?? (own ? "Your files" : `${user}'s files`);
  const place = h("div", {}, loading());
  const all = own ? null : downloadButton({
    what: `${user}:/${path}`, name, label: path ? "Download folder" : "Download all", kind: "primary",
  });
  // Of nobody and nothing there is nothing to download.
  if (all) all.hidden = true;
  show(place, user, path, signal, () => { if (all) all.hidden = false; });
  return {
    title: name,
    element: h("div", {},
      crumbs(user, folders),
      heading(name, {
        lead: own ? "What others see of what you share." : undefined,
        actions: all ? [all] : [],
      }),
      place),
  };
}

/** Asks whose files are to be seen. */
function whose() {
  const name = nameInput({ name: "user", dataset: { first: "" } });
  const form = h("form", { class: "card stack narrow" },
    field("User", name, { hint: "Whose files you want to see." }),
    button({ label: "Browse", kind: "primary", type: "submit" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go(route(["browse", name.value.trim().toLowerCase()]));
  });
  return { title: "Browse", element: h("div", {}, heading("Browse a user"), form) };
}

/** Where one is, each step a link. */
function crumbs(user, folders) {
  const steps = [user, ...folders];
  return h("nav", { class: "crumbs", "aria-label": "Folders" }, h("ol", {}, steps.map((step, at) => h(
    "li", {},
    at > 0 && icon("next", "faint"),
    at === steps.length - 1
      ? h("span", { "aria-current": "page" }, step)
      : h("a", { href: route(["browse", ...steps.slice(0, at + 1)]) }, at === 0 && icon("user"), step),
  ))));
}

/** Shows what is in a folder; `found` is called once there is something. */
function show(place, user, path, signal, found) {
  const items = [];
  let next;
  let asking = false;
  const list = virtualList({
    label: "Files and folders", className: "files", signal,
    key: (item) => item.folder ?? `/${item.file.path}`,
    make: (item) => (item.folder ? folderRow(user, item.folder) : fileRow(user, item.file, signal)),
    more: () => page(),
  });
  const page = async () => {
    if (asking) return;
    asking = true;
    try {
      const text = queryText({ path, limit: PAGE, cursor: next });
      const answer = await api.get(`/api/users/${encodeURIComponent(user)}/files${text}`, { signal });
      items.push(...answer.items);
      next = answer.next;
      if (items.length === 0) fill(place, nothing(user, path));
      else {
        found();
        if (!list.element.isConnected) fill(place, list.element);
        list.set([...items], !next);
      }
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem, () => show(fill(place), user, path, signal, found)));
    } finally {
      asking = false;
    }
  };
  page();
}

function nothing(user, path) {
  return path
    ? emptyState("folder", "Nothing is here", "This folder is empty, or it is not shared any more.")
    : emptyState("folder", `${user} shares nothing`, "Or nothing that you may see.");
}

function folderRow(user, path) {
  const name = fileName(path);
  const element = h("article", { class: "hit" },
    kindTile(name, true),
    h("div", { class: "hit-text" },
      h("a", { class: "name", href: route(["browse", user, ...path.split("/")]), title: name, dataset: { main: "" } }, name)),
    downloadButton({ what: `${user}:/${path}`, name, bare: true, kind: "quiet", label: "Download folder" }));
  return { element, update() {} };
}

function fileRow(user, file, signal) {
  const name = fileName(file.path);
  const hit = { content: file.content, size: file.size, names: [{ path: file.path, owner: user }], online: 0, sources: 0 };
  const element = h("article", { class: "hit" },
    kindTile(name),
    h("div", { class: "hit-text" },
      h("button", {
        class: "link name", type: "button", title: name, dataset: { main: "" }, on: { click: () => showDetails(hit, signal) },
      }, name),
      h("p", { class: "line muted num" }, bytes(file.size))),
    h("div", { class: "row tight" },
      copyButton({
        label: `Copy link to ${name}`, bare: true, kind: "quiet not-phone", trouble: toastTrouble,
        text: async () => (await api.link(file.content, name)).link,
      }),
      isPlayable(name) && openButton(file.content, name, { bare: true, kind: "quiet", label: `Open ${name}` }),
      downloadButton({ what: `${user}:/${file.path}`, name, bare: true, kind: "quiet" })));
  return { element, update() {} };
}
