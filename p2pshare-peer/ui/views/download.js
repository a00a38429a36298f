// One download: how far it is, which pieces are there, who gives what, its files.

import { api, query as queryText } from "../api.js";
import { actions, hindrance, stateName, statusLine } from "../download-row.js";
import { fill, h, icon, keyed, setAttribute, setText, show, throttle } from "../dom.js";
import { isSettled } from "../downloads.js";
import { kindTile } from "../hit.js";
import { virtualList } from "../list.js";
import { live } from "../live.js";
import { bar, copyButton, heading, loading, problemBox, troublePlace } from "../parts.js";
import { go } from "../router.js";
import { bytes, count, fileName, moment, percent, rate } from "../text.js";

const CELLS = 200;

export default function download({ parts, signal }) {
  const id = Number(parts[0]);
  const place = h("div", {}, loading());
  open(place, id, signal);
  return { title: "Download", element: h("div", {}, back(), place) };
}

function back() {
  return h("nav", { class: "crumbs", "aria-label": "Way back" },
    h("a", { href: "#/downloads" }, icon("back"), "Downloads"));
}

async function open(place, id, signal) {
  let first, told;
  // From now on, so that nothing falls between the answer and what is told.
  let take = (now) => { told = now; };
  live.on("downloads", signal, ({ items, removed }) => {
    const now = items.find((item) => item.id === id);
    if (now) take(now);
    if (removed?.includes(id)) go("#/downloads");
  });
  try {
    first = await api.get(`/api/downloads/${id}`, { signal });
  } catch (problem) {
    if (problem.name === "AbortError") return;
    const head = heading("Download");
    fill(place, head, problemBox(problem, problem.status === 404 ? null : () => open(place, id, signal)));
    return;
  }
  document.title = `${first.title} · p2pshare`;
  const trouble = troublePlace();
  const progress = bar(`Progress of ${first.title}`);
  const big = h("p", { class: "big num" });
  const line = h("p", { class: "muted num" });
  const error = h("div");
  const folder = h("code", { class: "wrap" });
  const times = h("dd");
  const buttons = actions({ bare: false, trouble, changed: (item) => update(item), gone: () => go("#/downloads") });
  const map = pieceMap(id, signal);
  const files = first.files > 1 || first.state === "resolving" ? fileList(id, signal, map.choose) : null;
  let shown;
  let lastTold;

  const update = (now) => {
    shown = now;
    setText(big, now.bytes > 0 || now.state === "done" ? `${now.state === "done" ? 100 : percent(now.bytes_done, now.bytes)}%` : stateName(now));
    progress.set(now.bytes_done, now.bytes, now.state);
    setText(line, [stateName(now), ...facts(now)].filter(Boolean).join(" · "));
    const hindered = hindrance(now);
    const told = JSON.stringify(hindered);
    if (told !== lastTold) fill(error, hindered && problemBox(hindered));
    lastTold = told;
    setText(folder, now.folder);
    setText(times, now.finished_at ? `${moment(now.created_at)}, ended ${moment(now.finished_at)}` : moment(now.created_at));
    buttons.update(now);
    map.refresh(isSettled(now));
    files?.refresh();
  };
  take = update;
  live.addEventListener("connection", async ({ detail }) => {
    if (detail !== "open") return;
    const before = shown;
    const now = await api.get(`/api/downloads/${id}`, { signal }).catch(() => before);
    if (shown === before) update(now);
  }, { signal });

  const focused = document.activeElement?.tagName === "H1" || document.activeElement === document.body;
  const head = heading(first.title);
  fill(place, head, trouble.element, error,
    h("section", { class: "card stack", "aria-label": "Progress" },
      h("div", { class: "row spread" }, h("div", {}, big, line), buttons.element),
      progress.element),
    h("section", { class: "card stack", "aria-labelledby": "pieces" }, map.element),
    files?.element,
    h("section", { class: "card" },
      h("dl", { class: "facts" },
        h("div", { class: "whole" }, h("dt", {}, "Folder"), h("dd", { class: "with-button" }, folder,
          copyButton({ label: "Copy folder", text: () => shown.folder, bare: true, kind: "quiet small" }))),
        h("div", { class: "whole" }, h("dt", {}, "Begun"), times))));
  update(told ?? first);
  if (focused) head.querySelector("h1").focus({ preventScroll: true });
}

/** What there is to say beside its state and how much of it is done. */
function facts(now) {
  const size = now.state === "done" ? bytes(now.bytes) : now.bytes > 0 && `${bytes(now.bytes_done)} of ${bytes(now.bytes)}`;
  return now.state === "running" ? [size, ...statusLine(now).slice(1)] : [size];
}

/** The pieces of a file of the download, and the sources they come from. */
function pieceMap(id, signal) {
  const cells = h("div", { class: "pieces", role: "img" });
  const note = h("p", { class: "muted num" });
  const which = h("p", { class: "muted wrap", hidden: true });
  const body = h("tbody");
  const sources = h("table", { class: "table" },
    h("caption", { class: "sr-only" }, "Who gives what"),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Source"), h("th", { scope: "col", class: "end" }, "Given"),
      h("th", { scope: "col", class: "end" }, "Rate"))),
    body);
  const givers = h("h2", {}, "Sources");
  const nobody = h("p", { class: "muted" }, "Nobody gives anything at the moment.");
  const setRows = keyed(body, (source) => source.source, sourceRow);
  // Until one is chosen, the first.
  let file;
  let settled = false;

  const ask = async () => {
    try {
      const map = await api.get(`/api/downloads/${id}/map${queryText({ file, cells: CELLS })}`, { signal });
      draw(map);
    } catch (problem) {
      if (problem.name !== "AbortError") setText(note, problem.message);
    }
  };
  const draw = (map) => {
    while (cells.children.length > map.cells.length) cells.lastChild.remove();
    while (cells.children.length < map.cells.length) cells.append(h("span"));
    map.cells.forEach((value, at) => {
      const name = value >= 100 ? "full" : value > 0 ? "part" : "";
      if (cells.children[at].className !== name) cells.children[at].className = name;
    });
    const done = map.cells.length ? Math.floor(map.cells.reduce((sum, each) => sum + each, 0) / map.cells.length) : 0;
    setAttribute(cells, "aria-label", `${count(map.pieces, "piece")}, ${done}% verified`);
    setText(note, map.pieces > 0 ? `${count(map.pieces, "piece")} · ${done}% verified` : "Its pieces are not known yet.");
    show(cells, map.cells.length > 0);
    setRows(map.sources);
    show(sources, map.sources.length > 0);
    const isOver = settled || done === 100;
    show(nobody, map.sources.length === 0 && !isOver);
    show(givers, map.sources.length > 0 || !isOver);
  };
  const soon = throttle(1_000, signal, ask);
  show(sources, false);
  return {
    element: h("div", { class: "stack" },
      h("div", { class: "section-head" }, h("h2", { id: "pieces" }, "Pieces"), note), which, cells,
      givers, sources, nobody),
    refresh(isOver) {
      settled = isOver;
      soon();
    },
    choose(number, name) {
      file = number;
      setText(which, name);
      show(which, true);
      ask();
    },
  };
}

function sourceRow() {
  const name = h("span", { class: "wrap" });
  const failure = h("span", { class: "bad wrap" });
  const given = h("td", { class: "end num" });
  const speed = h("td", { class: "end num" });
  const element = h("tr", {}, h("th", { scope: "row" }, name, failure), given, speed);
  return {
    element,
    update(source) {
      setText(name, source.source);
      setText(failure, source.failure ? `Struck off: ${source.failure}` : "");
      setText(given, bytes(source.bytes));
      const queued = source.queued_at ? `place ${source.queued_at} in its queue` : "–";
      setText(speed, source.rate > 0 ? rate(source.rate) : queued);
    },
  };
}

/** The files of a download of many. */
function fileList(id, signal, choose) {
  const PAGE = 500;
  let items = [];
  let next = null;
  let complete = false;
  let asking = false;
  /** The file whose pieces are shown, and whether somebody chose it. */
  let shown = null;
  let isChosen = false;
  const trouble = troublePlace();
  const pick = (number, path) => {
    isChosen = true;
    choose(number, path);
  };
  const list = virtualList({
    label: "Files", className: "files-of", signal, key: (file) => file.number,
    make: () => fileRow(pick), more: () => more(),
  });
  /** Shows the pieces of the file that comes in, unless somebody has chosen another. */
  const follow = () => {
    const before = items.find((file) => file.number === shown);
    if (isChosen || items.length === 0 || before?.state === "running") return;
    const next = items.find((file) => file.state === "running") ?? before ?? items[0];
    if (next.number === shown) return;
    shown = next.number;
    choose(next.number, next.path);
  };
  const page = async (after, limit) => api.get(`/api/downloads/${id}/files${queryText({ after, limit })}`, { signal });
  const more = async () => {
    if (asking || complete) return;
    asking = true;
    try {
      const answer = await page(next, PAGE);
      items.push(...answer.items);
      next = answer.next;
      complete = !next;
      list.set([...items], complete);
      follow();
    } catch (problem) {
      if (problem.name !== "AbortError") trouble.tell(problem);
    } finally {
      asking = false;
    }
  };
  /** Fetches what has been fetched before once more. */
  const again = throttle(2_000, signal, async () => {
    if (asking) return;
    asking = true;
    try {
      const fresh = [];
      let after = null;
      do {
        const answer = await page(after, PAGE);
        fresh.push(...answer.items);
        after = answer.next;
      } while (after && fresh.length < items.length);
      items = fresh;
      next = after;
      complete = !after;
      list.set([...items], complete);
      follow();
    } catch {
      // The next change asks again.
    } finally {
      asking = false;
    }
  });
  return {
    element: h("section", { class: "card stack", "aria-labelledby": "files" },
      h("h2", { id: "files" }, "Files"), trouble.element, list.element),
    refresh: again,
  };
}

function fileRow(choose) {
  const tile = h("span");
  const name = h("button", { class: "link name", type: "button", dataset: { main: "" } });
  const progress = bar("");
  const line = h("p", { class: "line muted num" });
  const element = h("article", { class: "hit small" }, tile,
    h("div", { class: "hit-text" }, name, line), progress.element);
  let now;
  name.addEventListener("click", () => {
    choose(now.number, now.path);
    document.querySelector("#pieces")?.scrollIntoView({ block: "center" });
  });
  return {
    element,
    update(file) {
      now = file;
      if (!tile.firstChild) tile.append(kindTile(file.name));
      setText(name, fileName(file.path || file.name));
      setAttribute(name, "title", `Pieces of ${file.path}`);
      setAttribute(progress.element, "aria-label", `Progress of ${file.name}`);
      progress.set(file.done, file.size, file.state);
      setText(line, file.error ?? (file.state === "done" ? bytes(file.size) : `${percent(file.done, file.size)}% of ${bytes(file.size)}`));
      line.classList.toggle("bad", Boolean(file.error));
    },
  };
}

