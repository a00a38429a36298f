// Search what others share.

import { api, query as queryText } from "../api.js";
import { debounce, fill, h, icon, show } from "../dom.js";
import { downloadButton, kindTile, openButton, ownerLink, showDetails, sourcesText } from "../hit.js";
import { virtualList } from "../list.js";
import { announcer, button, emptyState, field, heading, linkButton, loading, problemBox, select } from "../parts.js";
import { remember, route } from "../router.js";
import { readTarget } from "../targets.js";
import { bytes, count, fileName, folderOf, isPlayable, parseBytes } from "../text.js";

const KINDS = [
  ["", "All"], ["audio", "Audio"], ["video", "Video"], ["image", "Images"], ["document", "Documents"],
  ["archive", "Archives"], ["other", "Other"],
];
const SORTS = [
  ["", "Best match"], ["newest", "Newest"], ["oldest", "Oldest"], ["largest", "Largest"], ["smallest", "Smallest"],
  ["sources", "Most sources"],
];
/** How many days ago something was shared at most. */
const AGES = [["", "Any time"], ["1", "A day"], ["7", "A week"], ["31", "A month"], ["366", "A year"]];
const DAY = 86_400_000;
const PAGE = 50;
/** Hits that are asked for at once by whoever wants more than the first page. */
const NEXT_PAGE = 100;

/** So many milliseconds hits stay, faded, while those for other words are asked for: most are there sooner. */
const OLD_FOR = 250;

export default function search({ query, signal }) {
  const words = h("input", {
    type: "search", name: "q", "aria-label": "Search", autocomplete: "off", spellcheck: "false", dataset: { first: "" },
    placeholder: "Words, or paste a p2pshare: link", value: query.get("q") ?? "",
  });
  const kinds = kindChoice(query.get("kind") ?? "");
  const sort = select(SORTS, { name: "sort", value: query.get("sort") ?? "" });
  const filters = {
    ext: h("input", { name: "ext", placeholder: "flac, mp3", autocomplete: "off", value: query.get("ext") ?? "" }),
    min: h("input", { name: "min", placeholder: "5 MB", autocomplete: "off", value: query.get("min") ?? "" }),
    max: h("input", { name: "max", placeholder: "2 GB", autocomplete: "off", value: query.get("max") ?? "" }),
    owner: h("input", { name: "owner", placeholder: "alice", autocomplete: "off", value: query.get("owner") ?? "" }),
    age: select(AGES, { name: "age", value: query.get("age") ?? "" }),
  };
  const panel = h("div", { class: "filters", id: "filters" },
    field("Order", sort), field("Extensions", filters.ext), field("At least", filters.min),
    field("At most", filters.max), field("From user", filters.owner), field("Shared within", filters.age));
  const used = () => Object.values(filters).filter((input) => input.value.trim()).length + (sort.value ? 1 : 0);
  const badge = h("span", { class: "count" });
  const opener = button({
    label: "Filters", icon: "filter", "aria-controls": "filters",
    click: () => openFilters(panel.hidden),
  });
  opener.append(badge);
  const openFilters = (open) => {
    show(panel, open);
    opener.setAttribute("aria-expanded", String(open));
  };
  openFilters(used() > 0);

  const results = h("div", { class: "results" });
  const status = announcer();
  let asked = new AbortController();

  const start = () => {
    asked.abort();
    asked = new AbortController();
    signal.addEventListener("abort", () => asked.abort(), { once: true });
    const values = {
      q: words.value.trim(), kind: kinds.value(), sort: sort.value, ext: filters.ext.value.trim(),
      min: filters.min.value.trim(), max: filters.max.value.trim(), owner: filters.owner.value.trim(),
      age: filters.age.value,
    };
    remember(route(["search"], values));
    show(badge, used() > 0);
    fill(badge, used());
    const target = readTarget(values.q);
    if (target) fill(results, targetCard(target, signal));
    else showHits(results, values, status, asked.signal, signal);
  };
  const soon = debounce(200, () => !signal.aborted && start());
  const form = h(
    "form",
    { class: "search-form", role: "search", on: { submit: (event) => { event.preventDefault(); start(); } } },
    h("div", { class: "search-line" },
      h("div", { class: "search-box" }, icon("search"), words), opener),
    kinds.element, panel,
  );
  form.addEventListener("input", soon);
  form.addEventListener("change", soon);
  start();
  return {
    title: "Search",
    element: h("div", {}, heading("Search"), form, status.element, results),
  };
}

/** The kinds as a row of which one is chosen. */
function kindChoice(chosen) {
  const inputs = KINDS.map(([value]) => h("input", {
    type: "radio", name: "kind", value, id: `kind-${value || "all"}`, checked: value === chosen, class: "sr-only",
  }));
  const element = h("fieldset", { class: "chips" }, h("legend", { class: "sr-only" }, "Kind"),
    KINDS.map(([value, label], at) =>
      h("span", {}, inputs[at], h("label", { class: "chip", for: `kind-${value || "all"}` }, label))));
  return { element, value: () => inputs.find((input) => input.checked)?.value ?? "" };
}

/** Shows the hits of a search, page after page. */
function showHits(place, values, status, asked, signal) {
  const sizes = { min_size: sizeOf(values.min), max_size: sizeOf(values.max) };
  if (Object.values(sizes).includes(undefined)) {
    fill(place, problemBox({ title: "This is not a size", message: "Write it like 700, 64KiB, 5MB or 1.5G." }));
    return;
  }
  const nothingAsked = !Object.entries(values).some(([name, value]) => value && name !== "sort");
  const sort = values.sort || (values.q ? "" : "newest");
  const { q, kind, owner } = values;
  // The same for all pages.
  const since = values.age ? Date.now() - Number(values.age) * DAY : null;
  const ext = values.ext.split(/[\s,]+/).map((each) => each.replace(/^\./, "")).filter(Boolean).join(",");
  const hits = [];
  let next;
  let asking = false;

  const title = h("h2", {}, nothingAsked ? "Shared lately" : "Results");
  const found = h("p", { class: "muted" });
  const list = virtualList({
    label: nothingAsked ? "Shared lately" : "Results", className: "hits", signal: asked,
    key: (hit) => `${hit.content} ${hit.size}`,
    make: (hit) => hitRow(hit, signal),
    more: () => page(),
  });

  const page = async () => {
    if (asking) return;
    asking = true;
    try {
      const limit = next ? NEXT_PAGE : PAGE;
      const text = queryText({ q, kind, owner: owner.toLowerCase(), ext, since, sort, ...sizes, limit, cursor: next });
      const answer = await api.get(`/api/search${text}`, { signal: asked });
      hits.push(...answer.hits);
      next = answer.next;
      draw();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      fill(place, problemBox(problem, () => showHits(place, values, status, asked, signal)));
    } finally {
      asking = false;
    }
  };
  const draw = () => {
    if (hits.length === 0) {
      status.say(nothingAsked ? "Nothing is shared yet" : "Nothing found");
      fill(place, nothing(nothingAsked, values));
      return;
    }
    const number = next ? `${hits.length.toLocaleString()}+ files` : count(hits.length, "file");
    if (!list.element.isConnected) fill(place, h("div", { class: "section-head" }, title, found), list.element);
    fill(found, number);
    status.say(`${number} found`);
    list.set([...hits], !next);
  };
  // What is there answers other words. It goes at once if the answer is not there at once.
  const old = [...place.children];
  for (const each of old) each.classList.add("old");
  if (old.length === 0) fill(place, loading("Searching…"));
  else setTimeout(() => !asked.aborted && old[0].isConnected && fill(place, loading("Searching…")), OLD_FOR);
  page();
}

/** A size that was typed: `null` for nothing, `undefined` for what is no size. */
function sizeOf(text) {
  return text ? parseBytes(text) : null;
}

function nothing(nothingAsked, { q, kind, ext, min, max, owner, age }) {
  if (nothingAsked) {
    return emptyState("search", "Nothing is shared yet", "As soon as somebody shares a file, it is found here.",
      linkButton({ label: "Share something", icon: "folder", href: "#/shares", kind: "primary" }));
  }
  const isFiltered = Boolean(kind || ext || min || max || owner || age);
  const hint = q && isFiltered
    ? "Every word must be the beginning of a word of the name or of its folders, and these filters leave less. Without them there may be more."
    : q ? "Every word must be the beginning of a word of the name or of its folders. Fewer words find more."
    : "No file fits these filters.";
  return emptyState("search", "Nothing found", hint);
}

function hitRow(hit, signal) {
  const path = hit.names[0]?.path ?? hit.content;
  const owner = hit.names[0]?.owner;
  const name = fileName(path);
  const others = hit.names.length - 1;
  const open = () => showDetails(hit, signal);
  const sources = h("span", { class: hit.online ? "sources on" : "sources" }, h("span", { class: "dot", "aria-hidden": "true" }),
    sourcesText(hit));
  const element = h(
    "article",
    { class: "hit" },
    kindTile(name),
    h("div", { class: "hit-text" },
      h("button", { class: "link name", type: "button", title: name, dataset: { main: "" }, on: { click: open } }, name),
      h("p", { class: "line muted" },
        h("span", { class: "num" }, bytes(hit.size)), sources),
      h("p", { class: "line muted" },
        owner && h("span", { class: "from" }, ownerLink(owner), folderOf(path) && ` / ${folderOf(path).replaceAll("/", " / ")}`),
        others > 0 && h("button", { class: "link", type: "button", on: { click: open } }, `+ ${count(others, "name")}`))),
    h("div", { class: "row tight" },
      isPlayable(name) && openButton(hit.content, name, { bare: true, kind: "quiet not-phone", label: `Open ${name}` }),
      downloadButton({ what: hit.content, name })),
  );
  return { element, update() {} };
}

/** What a pasted link, content id or path leads to. */
function targetCard(target, signal) {
  const says = {
    link: ["This is a link to a file", `It is shared at ${target.index}.`],
    content: ["This is a content id", "The file may have any name."],
    path: ["This is a path", `It is what ${target.parts?.[0]} shares.`],
  }[target.kind];
  const details = target.kind === "content" && button({
    label: "Details", click: () => showDetails({ content: target.what, size: null, names: [], online: 0, sources: 0 }, signal),
  });
  return h(
    "div",
    { class: "card target" },
    kindTile(target.name),
    h("div", { class: "hit-text" }, h("p", { class: "name wrap" }, target.name), h("p", { class: "muted" }, says.join(". "))),
    h("div", { class: "row" },
      details,
      target.kind === "path" && linkButton({ label: "Browse", icon: "folder", href: route(["browse", ...target.parts]) }),
      downloadButton({ what: target.what, name: target.name, kind: "primary" })),
  );
}
