// Who is fetching from this peer, and who waits.

import { fill, h, keyed, setText, show } from "../dom.js";
import { kindTile, ownerLink } from "../hit.js";
import { live } from "../live.js";
import { emptyState, heading, loading, problemBox } from "../parts.js";
import { ago, bytes, count, fileName, rate } from "../text.js";

/** Longer queues are told by their number. */
const SHOWN = 200;

export default function uploads({ signal }) {
  const lead = h("p", { class: "lead num" }, "\u00a0");
  const place = h("div", {}, loading());
  const running = h("ul", { class: "card plain rows", "aria-labelledby": "running" });
  const waiting = h("ol", { class: "card plain rows", "aria-labelledby": "waiting" });
  const setRunning = keyed(running, (each) => `${each.peer} ${each.content} ${each.since} ${each.pushed}`, runningRow);
  const setWaiting = keyed(waiting, (each) => `${each.user} ${each.content} ${each.position}`, waitingRow);
  const more = h("p", { class: "muted" });
  const queue = h("section", {}, h("h2", { id: "waiting" }, "Waiting"), waiting, more);
  const now = h("section", {}, h("h2", { id: "running" }, "Running"), running);
  const both = h("div", {}, now, queue);

  const draw = (state) => {
    const { running: taking, waiting: behind, slots } = state;
    const limit = state.limit ? ` of at most ${rate(state.limit)}` : "";
    const inSlots = taking.filter((each) => !each.pushed).length;
    setText(lead, `${inSlots} of ${count(slots, "slot")} in use · ${rate(state.rate)}${limit}${behind.length ? ` · ${behind.length.toLocaleString()} waiting` : ""}`);
    if (taking.length + behind.length === 0) {
      fill(place, emptyState("upload", "Nobody fetches anything", "Whoever downloads one of your files is shown here, with the rate and who waits."));
      return;
    }
    if (!both.isConnected) fill(place, both);
    show(now, taking.length > 0);
    show(queue, behind.length > 0);
    setRunning(taking);
    setWaiting(behind.slice(0, SHOWN));
    setText(more, behind.length > SHOWN ? `and ${(behind.length - SHOWN).toLocaleString()} more` : "");
  };
  live.on("uploads", signal, draw);
  const fetchAll = async () => {
    try {
      await live.ask("uploads", { signal });
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem, fetchAll));
    }
  };
  fetchAll();
  const head = heading("Uploads");
  head.querySelector(".head-text").append(lead);
  return { title: "Uploads", element: h("div", {}, head, place) };
}

function nameOf(each) {
  return each.name ? fileName(each.name) : each.content;
}

function runningRow(first) {
  const line = h("span", { class: "num" });
  const speed = h("span", { class: "num strong" });
  const element = h("li", { class: "hit" },
    kindTile(nameOf(first)),
    h("div", { class: "hit-text" },
      h("p", { class: "name", title: first.name ?? first.content }, nameOf(first)),
      h("p", { class: "line muted" }, h("span", {}, first.pushed ? "pushed to " : "to ", ownerLink(first.user)), line)),
    speed);
  return {
    element,
    update(each) {
      setText(line, `${bytes(each.bytes)} given, since ${ago(each.since)}`.replace("since just now", "just begun").replace(/since (.*) ago/, "for $1"));
      setText(speed, rate(each.rate));
    },
  };
}

function waitingRow(first) {
  const place = h("span", { class: "place num" });
  const element = h("li", { class: "hit" }, place,
    h("div", { class: "hit-text" },
      h("p", { class: "name", title: first.name ?? first.content }, nameOf(first)),
      h("p", { class: "line muted" }, h("span", {}, "for ", ownerLink(first.user)))));
  return {
    element,
    update(each) {
      setText(place, `${each.position}.`);
    },
  };
}
