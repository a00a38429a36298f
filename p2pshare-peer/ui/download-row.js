// A download as one row, and what can be done with it.

import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { h, icon, setAttribute, setIcon, setText, show } from "./dom.js";
import { isSettled } from "./downloads.js";
import { act, bar, button } from "./parts.js";
import { bytes, count, duration, percent, rate } from "./text.js";

const STATES = {
  queued: ["clock", "Waiting"],
  resolving: ["search", "Looking for it"],
  running: ["download", "Running"],
  paused: ["pause", "Paused"],
  done: ["check", "Complete"],
  failed: ["alert", "Failed"],
  cancelled: ["close", "Cancelled"],
};

/** What a state is called. */
export function stateName(download) {
  return STATES[download.state]?.[1] ?? download.state;
}

/** Whether nothing comes and nobody gives anything: between two small files that is so for a moment only. */
function isIdle(download) {
  return download.sources === 0 && !download.rate && download.stalled_seconds !== null;
}

/** What keeps a download from going on, in a title and the words of the peer; `null` while it goes on. */
export function hindrance(download) {
  const { state, error, files, files_failed: failed } = download;
  if (!error) return null;
  if (state === "failed") {
    return { title: failed > 0 && files > 1 ? `${count(failed, "file")} could not be fetched` : "It could not be fetched", message: error };
  }
  const waits = state === "queued" || state === "resolving" || (state === "running" && isIdle(download));
  return waits ? { title: "It waits", message: error } : null;
}

/** What there is to say of a download in one line. */
export function statusLine(download) {
  const { state, bytes: total, bytes_done: done } = download;
  const size = bytes(total);
  if (state === "done") return [size, download.files > 1 && count(download.files, "file")];
  if (state === "failed") return [download.error ?? "It has failed"];
  if (state === "cancelled") return ["Cancelled"];
  if (state === "queued" || state === "resolving") return [`${stateName(download)}…`];
  const so = total > 0 && `${percent(done, total)}% of ${size}`;
  const files = download.files > 1 && `${download.files_done} of ${count(download.files, "file")}`;
  if (state === "paused") return ["Paused", so, files];
  const queued = download.queued_at && `place ${download.queued_at} in the queue of a source`;
  if (queued && !download.rate) return [so, queued];
  const stalled = download.stalled_seconds && `nothing has come for ${duration(download.stalled_seconds)}`;
  const left = download.eta_seconds !== null && download.rate > 0 && `${duration(download.eta_seconds)} left`;
  const sources = download.sources > 0 ? `from ${count(download.sources, "source")}` : isIdle(download) && "no source at the moment";
  return [so, download.rate > 0 && rate(download.rate), left, stalled, sources, files];
}

/**
 * The buttons for a download. `changed` gets the download that an action gave, `gone` is called when it was forgotten.
 * `bare` shows icons alone.
 */
export function actions({ bare, trouble, changed, gone }) {
  let now;
  const work = (verb) => async () => changed(await api.post(`/api/downloads/${now.id}/${verb}`));
  const make = (verb, name, label, kind) => {
    const made = button({
      label, icon: name, bare, kind: `${bare ? "quiet" : ""} ${kind ?? ""}`.trim(), dataset: { verb },
      click: () => act(made, trouble, work(verb)),
    });
    return made;
  };
  const pause = make("pause", "pause", "Pause");
  const resume = make("resume", "play", "Resume");
  const retry = make("retry", "retry", "Try again");
  const cancel = button({
    label: "Cancel", icon: "close", bare, kind: bare ? "quiet" : "", dataset: { verb: "cancel" },
    click: () => confirm({
      title: "Cancel this download?",
      text: [now.title, "What has come so far is removed, files that are complete stay."],
      action: "Cancel download",
      work: work("cancel"),
    }),
  });
  const forget = button({
    label: "Remove from list", icon: "trash", bare, kind: bare ? "quiet" : "", dataset: { verb: "forget" },
    click: () => act(forget, trouble, async () => {
      await api.delete(`/api/downloads/${now.id}`);
      gone(now);
    }),
  });
  const all = { pause, resume, retry, cancel, forget };
  const element = h("div", { class: "row tight" }, pause, resume, retry, cancel, forget);
  return {
    element,
    update(download) {
      now = download;
      const settled = isSettled(download);
      const failed = download.state === "failed" || download.state === "cancelled";
      const shown = {
        pause: !settled && download.state !== "paused",
        resume: download.state === "paused",
        retry: failed || (download.state === "done" && download.files_failed > 0),
        cancel: !settled,
        forget: settled,
      };
      const focused = Object.values(all).find((each) => each === document.activeElement);
      for (const [verb, each] of Object.entries(all)) {
        show(each, shown[verb]);
        if (bare) setAttribute(each, "aria-label", `${each.title}: ${download.title}`);
      }
      // The button that was pressed has gone: what stands in its place takes the focus.
      if (focused?.hidden) Object.values(all).find((each) => !each.hidden)?.focus();
    },
  };
}

/** The row. */
export function downloadRow({ trouble, changed, gone }) {
  const symbol = icon("download");
  const tile = h("span", { class: "tile" }, symbol);
  const state = h("span", { class: "sr-only" });
  const title = h("a", { class: "name", dataset: { main: "" } });
  const progress = bar("");
  const line = h("p", { class: "line muted num" });
  const buttons = actions({ bare: true, trouble, changed, gone });
  const element = h("article", { class: "hit download" },
    tile,
    h("div", { class: "hit-text" }, h("div", { class: "title-line" }, title, state), progress.element, line),
    buttons.element);
  return {
    element,
    update(download) {
      setIcon(symbol, STATES[download.state]?.[0] ?? "file");
      const kind = `tile state-${download.state}`;
      if (tile.className !== kind) tile.className = kind;
      element.dataset.state = download.state;
      element.dataset.id = download.id;
      setText(title, download.title);
      setAttribute(title, "href", `#/downloads/${download.id}`);
      setAttribute(title, "title", download.title);
      setText(state, stateName(download));
      setAttribute(progress.element, "aria-label", `Progress of ${download.title}`);
      progress.set(download.bytes_done, download.bytes, download.state);
      show(progress.element, !["done", "cancelled"].includes(download.state));
      setText(line, statusLine(download).filter(Boolean).join(" · "));
      line.classList.toggle("bad", download.state === "failed");
      buttons.update(download);
    },
  };
}
