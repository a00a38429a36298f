// Who did what from where, as it happens.

import { call, query } from "./api.js";
import { $, el, empty, table, visible, when } from "./dom.js";

const EVERY = 3000;
/** Rows that stay: who wants older ones asks for them. */
const MOST = 1000;

let rows;
let process;
let newest = 0;
let next;
let attempt;

export const audit = {
  every: EVERY,
  start(context) {
    ({ attempt } = context);
    $("audit-more").onclick = () => attempt(older);
  },
  close: begin,
  /** Fetches what has happened since. */
  async refresh() {
    const page = await call("GET", query("v1/operator/audit", { after: newest || undefined }));
    if (process !== undefined && page.process !== process) {
      begin();
      return;
    }
    const first = process === undefined;
    process = page.process;
    if (first) next = page.next;
    else if (page.next !== undefined && page.events.length > 0 && page.next > newest + 1) {
      // More happened than is told at once: begin anew with the newest.
      begin();
      return;
    }
    newest = page.events[0]?.number ?? newest;
    show(page.events, (row) => rows.body.prepend(row), first ? undefined : "new");
    if (!rows) $("audit").replaceChildren(empty("Nothing has happened since this process started."));
    $("audit-more").hidden = next === undefined;
  },
};

function begin() {
  rows = process = next = undefined;
  newest = 0;
  $("audit-more").hidden = true;
  $("audit").replaceChildren();
}

async function older() {
  const page = await call("GET", query("v1/operator/audit", { before: next }));
  if (page.process !== process) return begin();
  next = page.next;
  show([...page.events].reverse(), (row) => rows.body.append(row));
  $("audit-more").hidden = next === undefined;
  return undefined;
}

/** Adds events, each at the place where `put` puts it: those given last go there first. */
function show(events, put, style) {
  if (events.length === 0) return;
  if (!rows) {
    rows = table("Audit events", columns);
    $("audit").replaceChildren(rows.whole);
  }
  for (const event of [...events].reverse()) put(rows.row(event, style));
  while (rows.body.rows.length > MOST) {
    rows.body.lastElementChild.remove();
  }
}

const columns = [
  ["Event", (event) => visible(event.event)],
  ["When", (event) => when(event.time)],
  ["User", (event) => event.subject === undefined ? visible(event.user) : `${visible(event.user)} → ${visible(event.subject)}`, "wide"],
  ["Outcome", outcome],
  ["From", (event) => el("code", {}, visible(event.client))],
  ["Request", (event) => el("code", { title: event.request }, visible(event.request.slice(0, 8)))],
];

function outcome(event) {
  if (event.outcome === "done") return el("span", { class: "chip good" }, "done");
  const why = event.outcome === "left-out" ? `${event.count} left out` : `refused: ${event.reason}`;
  return el("span", { class: "chip bad" }, visible(why));
}
