// What can be done with a file that somebody shares.

import { api, gateway } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, icon, setText } from "./dom.js";
import { act, button, copyButton, linkButton, loading, problemBox, tell, troublePlace } from "./parts.js";
import { route } from "./router.js";
import { bytes, count, fileName, folderOf, isPlayable, kindOf, moment } from "./text.js";

const KIND_ICONS = {
  audio: "music", video: "film", image: "image", document: "document", archive: "archive", other: "file",
};

/** The icon of a file's kind, on a tile. */
export function kindTile(name, folder = false) {
  const kind = folder ? "folder" : kindOf(name);
  return h("span", { class: `tile ${kind}` }, icon(folder ? "folder" : KIND_ICONS[kind]));
}

/** The button that fetches something: `what` is a content id, `USER:/PATH` or a link. */
export function downloadButton({ what, name, label = "Download", kind = "", bare = false, trouble }) {
  const made = button({
    label, icon: "download", kind, bare,
    ...(bare ? {} : { "aria-label": `${label} ${name}` }),
    click: () => act(made, trouble ?? toastTrouble, async () => {
      const download = await api.download([what]);
      const already = download.joined ? " already" : "";
      tell(`${name} is being downloaded${already}`, "info", [`#/downloads/${download.id}`, "Show"]);
      made.classList.add("did");
      return download;
    }),
  });
  if (bare) made.setAttribute("aria-label", `${label} ${name}`);
  return made;
}

/** Where an error goes that has no place of its own next to what failed. */
export const toastTrouble = {
  clear() {},
  tell: (problem) => tell([problem.message, problem.hint].filter(Boolean).join(" "), "error"),
};

/** A link to what a user shares. */
export function ownerLink(owner) {
  return h("a", { href: route(["browse", owner]) }, owner);
}

/** How many have it: online of all. */
export function sourcesText({ online, sources }) {
  return online === sources ? `${count(online, "source")} online` : `${online} of ${count(sources, "source")} online`;
}

/** A size, with every byte; `null` if it is not known. */
function sizeText(size) {
  return size === null ? "Not known" : `${bytes(size)} (${size.toLocaleString()} bytes)`;
}

/** Shows everything that is known of a content. */
export async function showDetails(hit, signal) {
  const name = hit.names[0] ? fileName(hit.names[0].path) : hit.content;
  const trouble = troublePlace();
  const names = h("div", {}, loading());
  const size = h("dd", {}, sizeText(hit.size));
  const sources = h("dd", {}, sourcesText(hit));
  const body = h(
    "div",
    { class: "stack" },
    h("dl", { class: "facts" },
      h("div", {}, h("dt", {}, "Size"), size),
      h("div", {}, h("dt", {}, "Sources"), sources),
      hit.published_at !== undefined && fact("Published", moment(hit.published_at)),
      h("div", { class: "whole" },
        h("dt", {}, "Content id"),
        h("dd", { class: "with-button" }, h("code", { class: "id" }, hit.content),
          copyButton({ label: "Copy content id", text: hit.content, bare: true, kind: "quiet small", trouble })))),
    h("h3", {}, "Shared as"),
    names,
    trouble.element,
  );
  const link = async () => (await api.link(hit.content, name)).link;
  const stream = async () => (await api.link(hit.content, name)).gateway;
  openDialog({
    title: name, body, wide: true,
    actions: [
      copyButton({ label: "Copy link", text: link, trouble }),
      copyButton({ label: "Copy address for players", text: stream, trouble }),
      isPlayable(name) && openButton(hit.content, name),
      downloadButton({ what: hit.content, name, kind: "primary", trouble }),
    ].filter(Boolean),
  });
  try {
    const { hits } = await api.get(`/api/contents/${encodeURIComponent(hit.content)}`, { signal });
    const found = hits.find((each) => each.size === hit.size) ?? hits[0];
    if (found) {
      setText(sources, sourcesText(found));
      setText(size, sizeText(found.size));
    }
    names.replaceChildren(nameList(found?.names ?? hit.names));
  } catch (problem) {
    if (problem.name !== "AbortError") names.replaceChildren(problemBox(problem));
  }
}

/** The button that opens a file in the browser while it is still being fetched. */
export function openButton(content, name, more = {}) {
  return linkButton({
    label: "Open", icon: "play", href: gateway(content, name), target: "_blank", rel: "noopener",
    ...(more.bare ? {} : { "aria-label": `Open ${name} in a new tab` }), ...more,
  });
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", {}, value));
}

function nameList(names) {
  return h("ul", { class: "names" }, names.map(({ path, owner }) => {
    const folder = folderOf(path);
    const where = [owner, ...folder.split("/").filter(Boolean)];
    return h("li", {},
      h("span", { class: "wrap" }, fileName(path)),
      h("span", { class: "muted wrap" }, "from ", h("a", { href: route(["browse", ...where]) }, where.join(" / "))));
  }));
}
