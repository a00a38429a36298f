// The list of downloads.

import { api } from "../api.js";
import { downloadRow } from "../download-row.js";
import { fill, h, setText, show } from "../dom.js";
import { DownloadList } from "../downloads.js";
import { virtualList } from "../list.js";
import { act, button, emptyState, heading, linkButton, loading, tell, troublePlace } from "../parts.js";
import { remember, route } from "../router.js";
import { count, rate } from "../text.js";

const FILTERS = [["active", "Active"], ["settled", "Finished"], ["all", "All"]];

export default function downloads({ query, signal }) {
  const trouble = troublePlace();
  const place = h("div", {}, loading());
  const totals = h("p", { class: "lead num" }, "\u00a0");
  const pauseAll = button({ label: "Pause all", icon: "pause", click: () => all(pauseAll, "pause") });
  const resumeAll = button({ label: "Resume all", icon: "play", click: () => all(resumeAll, "resume") });
  const all = (pressed, verb) => act(pressed, trouble, async () => {
    const { changed } = await api.post(`/api/downloads/${verb}`);
    const done = verb === "pause" ? "paused" : "resumed";
    tell(changed ? `${count(changed, "download")} ${done}` : `There was nothing that could be ${done}`);
  });

  const asked = query.get("show") ?? "active";
  let filter = FILTERS.some(([each]) => each === asked) ? asked : "active";
  let known = null;
  let gone = new AbortController();
  signal.addEventListener("abort", () => gone.abort());

  const open = () => {
    gone.abort();
    gone = new AbortController();
    const list = virtualList({
      label: "Downloads", className: "downloads", signal: gone.signal, key: (item) => item.id,
      make: () => downloadRow({ trouble, changed: (item) => known.put(item), gone: (item) => known.remove(item.id) }),
      more: () => known.more(),
    });
    known = new DownloadList({
      filter, signal: gone.signal,
      changed: (items, complete, sums) => {
        if (sums) showTotals(sums);
        if (items.length === 0 && complete) fill(place, nothing(filter));
        else if (items.length > 0) {
          if (!list.element.isConnected) fill(place, list.element);
          list.set(items, complete);
        }
      },
      failed: trouble.tell,
    });
    known.more();
  };
  const showTotals = (sums) => {
    const parts = [
      sums.active && `${sums.active.toLocaleString()} running`, sums.queued && `${sums.queued.toLocaleString()} waiting`,
      sums.paused && `${sums.paused.toLocaleString()} paused`, sums.done && `${sums.done.toLocaleString()} complete`,
      sums.failed && `${sums.failed.toLocaleString()} failed`, sums.rate > 0 && rate(sums.rate),
    ].filter(Boolean);
    setText(totals, parts.join(" · ") || "Nothing yet");
    // What appears comes first: it takes the focus of what goes.
    const buttons = [[pauseAll, sums.active + sums.queued > 0], [resumeAll, sums.paused > 0]];
    for (const [each, shown] of buttons.sort((a, b) => b[1] - a[1])) show(each, shown);
  };
  show(pauseAll, false);
  show(resumeAll, false);

  const tabs = FILTERS.map(([value, label]) => {
    const tab = button({
      label, kind: "tab", "aria-pressed": String(value === filter),
      click: () => {
        filter = value;
        remember(route(["downloads"], { show: value === "active" ? "" : value }));
        for (const [at, each] of tabs.entries()) each.setAttribute("aria-pressed", String(FILTERS[at][0] === value));
        fill(place, loading());
        open();
      },
    });
    return tab;
  });
  open();
  const head = heading("Downloads", { actions: [pauseAll, resumeAll] });
  head.querySelector(".head-text").append(totals);
  return {
    title: "Downloads",
    element: h("div", {}, head,
      h("div", { class: "tabs", role: "group", "aria-label": "Which downloads" }, tabs), trouble.element, place),
  };
}

function nothing(filter) {
  if (filter === "settled") {
    return emptyState("download", "Nothing has finished yet", "Downloads that are complete, failed or cancelled are listed here.");
  }
  return emptyState("download", "No downloads", "What you download is shown here while it comes in.",
    linkButton({ label: "Search for something", icon: "search", href: "#/search", kind: "primary" }));
}
