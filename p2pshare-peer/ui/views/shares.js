// What this peer shares.

import { api, query } from "../api.js";
import { confirm, formDialog } from "../dialog.js";
import { fill, h, keyed, setAttribute, setText, show } from "../dom.js";
import { dropZone } from "../drop.js";
import { kindTile } from "../hit.js";
import { live } from "../live.js";
import {
  act, badge, bar, button, copyButton, emptyState, field, heading, linkButton, loading, problemBox, select, tell, toggle,
  troublePlace,
} from "../parts.js";
import { pathField } from "../picker.js";
import { route } from "../router.js";
import { bytes, count, percent } from "../text.js";

export default function shares({ signal }) {
  const place = h("div", {}, loading());
  const list = h("ul", { class: "plain cards", "aria-label": "Shares" });
  const lead = h("p", { class: "lead num" }, "\u00a0");
  let groups = [];
  const setRows = keyed(list, (share) => share.id, () => shareRow(() => groups));
  const draw = ({ items, published }) => {
    setText(lead, items.length ? `${count(items.length, "share")} · ${count(published, "file")} published` : "Nothing is shared yet");
    if (items.length === 0) {
      fill(place, emptyState("folder", "You share nothing yet",
        "Pick a file or a folder: it stays where it is, and is read from there."));
    } else if (!list.isConnected) fill(place, list);
    setRows(items);
  };
  live.on("shares", signal, draw);
  const fetchAll = async () => {
    try {
      const found = await Promise.all([
        live.ask("shares", { signal }),
        api.get("/api/groups", { signal }).catch(() => ({ groups: [] })),
      ]);
      groups = found[1].groups;
      draw(live.last.shares);
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem, fetchAll));
    }
  };
  fetchAll();

  const add = button({ label: "Share a folder or file", icon: "plus", kind: "primary", click: () => addShare(groups, signal) });
  const head = heading("Shares", { actions: [add] });
  head.querySelector(".head-text").append(lead);
  return { title: "Shares", element: h("div", {}, head, dropZone({ signal }), place) };
}

/** Who may see it, as choices. */
function visibilities(groups) {
  return [
    ["public", "Everybody"],
    ["unlisted", "Whoever has the link"],
    ...groups.map(({ name }) => [`group:${name}`, `Group ${name}`]),
  ];
}

async function addShare(groups, signal) {
  const path = pathField("File or folder", {
    name: "path", want: "any", title: "Pick what to share", required: true, signal,
    hint: "On the machine where the peer runs. It stays where it is.",
  });
  const visibility = select(visibilities(groups), { name: "visibility" });
  const watch = toggle("Follow changes", { hint: "New and changed files are published by themselves.", checked: true });
  const hidden = toggle("Hidden files too", { hint: "Those whose names begin with a dot." });
  const shared = await formDialog({
    title: "Share a folder or file",
    action: "Share",
    fields: [path.element, field("Who may see it", visibility), watch.element, hidden.element],
    send: () => api.post("/api/shares", {
      path: path.input.value.trim(), visibility: visibility.value, watch: watch.input.checked, hidden: hidden.input.checked,
    }),
  });
  if (shared) {
    tell(`${shared.name} is being shared`);
    await live.ask("shares");
  }
}

function shareRow(groups) {
  const tile = h("span");
  const name = h("a", { class: "name" });
  const facts = h("p", { class: "line muted num" });
  const path = h("p", { class: "line muted mono" });
  const offline = badge("Disk is away", "warn");
  const hidden = badge("With hidden files");
  const refused = h("p");
  const trouble = troublePlace();
  const scan = h("p", { class: "muted num" });
  const progress = bar("");
  const scanning = h("div", { class: "scan" }, scan, progress.element);
  let now;

  const take = (share) => {
    now = share;
    const { items, published } = live.last.shares ?? { items: [], published: 0 };
    live.tell("shares", { published, items: items.map((each) => (each.id === share.id ? share : each)) });
  };
  const change = (control, body) => act(control, trouble, async () => take(await api.patch(`/api/shares/${now.id}`, body)))
    .then(() => update(now));
  const visibility = select([], { class: "small" });
  visibility.addEventListener("change", () => change(visibility, { visibility: visibility.value }));
  const watch = toggle("Follow changes", { change: (input) => change(input, { watch: input.checked }) });
  const again = button({
    label: "Share with the group of this name", kind: "small",
    click: () => change(again, { visibility: now.visibility, new_group: true }),
  });
  const rescan = button({
    label: "Look for changes", icon: "retry", bare: true, kind: "quiet",
    click: () => act(rescan, trouble, () => api.post(`/api/shares/${now.id}/rescan`)),
  });
  const link = copyButton({ label: "Copy link", bare: true, kind: "quiet", trouble, text: () => linkOf(now) });
  const browse = linkButton({ label: "See its files", icon: "eye", bare: true, kind: "quiet" });
  const unshare = button({
    label: "Stop sharing", icon: "trash", bare: true, kind: "quiet",
    click: async () => {
      const shared = now;
      const done = await confirm({
        title: `Stop sharing ${shared.name}?`,
        text: "Others do not find it any more. The files stay on the disk.",
        action: "Stop sharing",
        work: () => api.delete(`/api/shares/${shared.id}`),
      });
      if (!done) return;
      tell(`${shared.name} is not shared any more`);
      await live.ask("shares");
      document.querySelector("h1")?.focus();
    },
  });

  const element = h("li", { class: "card share" },
    h("div", { class: "share-head" }, tile,
      h("div", { class: "hit-text" }, h("div", { class: "title-line" }, name, offline, hidden), facts, path, refused, h("div", { class: "row" }, again))),
    scanning,
    h("div", { class: "share-foot" },
      h("label", { class: "inline" }, h("span", { class: "muted" }, "Visible to"), visibility), watch.element,
      h("div", { class: "row tight" }, browse, link, rescan, unshare)),
    trouble.element);

  function update(share) {
    now = share;
    element.dataset.name = share.name;
    const single = share.content !== undefined && share.content !== null;
    if (!tile.firstChild) tile.append(kindTile(share.name, !single));
    setText(name, share.name);
    const own = live.last.state.account?.username ?? "";
    const address = route(["browse", own, ...share.name.split("/")]);
    for (const each of [name, browse]) setAttribute(each, "href", address);
    setText(facts, `${count(share.files, "file")} · ${bytes(share.bytes)}`);
    setText(path, share.path);
    setAttribute(path, "title", share.path);
    show(offline, !share.online);
    show(hidden, share.hidden);
    show(refused, Boolean(share.refused));
    show(again, Boolean(share.refused) && share.visibility.startsWith("group:"));
    setText(refused, share.refused ? `${count(share.unpublished, "file")} not published: ${share.refused}` : "");
    show(link, single);
    const choices = visibilities(groups());
    if (!choices.some(([value]) => value === share.visibility)) choices.push([share.visibility, share.visibility]);
    if (visibility.options.length !== choices.length) {
      fill(visibility, choices.map(([value, label]) => h("option", { value }, label)));
    }
    if (document.activeElement !== visibility) visibility.value = share.visibility;
    watch.input.checked = share.watched;
    for (const [control, label] of [[browse, "See its files"], [link, "Copy link"], [rescan, "Look for changes"], [unshare, "Stop sharing"]]) {
      setAttribute(control, "aria-label", `${label}: ${share.name}`);
    }
    setAttribute(visibility, "aria-label", `Who may see ${share.name}`);
    setAttribute(watch.input, "aria-label", `Follow changes of ${share.name}`);
    const busy = share.scan && (share.scan.state !== "hashing" || share.scan.files > 0);
    show(scanning, Boolean(busy));
    if (busy) showScan(share);
  }
  function showScan({ scan: at, name: of }) {
    const hashing = at.state === "hashing";
    setText(scan, hashing
      ? `Hashing: ${at.files_done.toLocaleString()} of ${count(at.files, "file")}, ${percent(at.bytes_done, at.bytes)}% of ${bytes(at.bytes)}`
      : `Looking through it: ${count(at.files, "file")} so far`);
    setAttribute(progress.element, "aria-label", `Hashing of ${of}`);
    progress.set(hashing ? at.bytes_done : 0, at.bytes || 1);
  }
  return { element, update };
}

async function linkOf(share) {
  return (await api.get(`/api/links/${encodeURIComponent(share.content)}${query({ name: share.name })}`)).link;
}
