// What the index has to do: figures, and lines of how they went while the page was open.

import { call } from "./api.js";
import { $, bytes, distance, el, number, span } from "./dom.js";

const EVERY = 2000;
/** Points of a line: two minutes. */
const POINTS = 60;
const SVG = "http://www.w3.org/2000/svg";

/** The answer before: what happens in a second is the difference. */
let before;
let process;
const lines = new Map();

export const load = {
  every: EVERY,
  async refresh() {
    const now = await call("GET", "v1/operator/load");
    if (now.process !== process) {
      // Another process, or the same index started again: its counters begin anew.
      process = now.process;
      before = undefined;
      lines.clear();
      $("load").replaceChildren();
    }
    show(now, before);
    before = now;
  },
  reset() {
    process = before = undefined;
  },
};

function show(now, before) {
  $("load-process").textContent =
    `Of process ${now.process}, started ${distance(now.started_at - now.time)}. Store: ${now.store.kind}.`;
  const seconds = before ? (now.time - before.time) / 1000 : 0;
  // This page's own requests are among them.
  const requests = before ? now.requests - before.requests : 0;
  const rate = seconds > 0 ? requests / seconds : undefined;
  const mean = requests > 0 ? (now.request_micros - before.request_micros) / requests : undefined;
  tile("requests", "Requests a second", rate?.toFixed(1), `${number(now.requests)} in all, ${number(now.failed)} failed`, rate);
  tile("mean", "Mean time of a request", mean && span(mean), `${number(now.in_flight)} in flight`, mean);
  const store = now.store.answer_micros;
  tile("store", "Store answers in", store === undefined ? "no answer" : span(store), now.store.kind, store ?? 0);
  tile("connections", "Connections", number(now.connections), `${number(now.connections_refused)} refused`, now.connections);
  const counts = now.counts;
  tile("online", "Peers online", counts && number(counts.online), counts && `of ${number(counts.peers)} known`, counts?.online);
  tile("users", "Users", counts && number(counts.users), counts && `${number(counts.sessions)} sessions`, counts?.users);
  tile("files", "Files", counts && number(counts.files), counts && bytes(counts.bytes), counts?.files);
  const beats = before && seconds > 0 ? (now.heartbeats - before.heartbeats) / seconds : undefined;
  tile("heartbeats", "Heartbeats a second", beats?.toFixed(1), `${number(now.heartbeats)} in all`, beats);
}

/** Sets a tile; makes it the first time. With a value it has a line. */
function tile(key, title, figure, more, value) {
  let tile = $(`tile-${key}`);
  if (!tile) {
    tile = el("div", { class: "tile", id: `tile-${key}` },
      el("h3", {}, title), el("p", { class: "figure" }), el("p", { class: "more" }));
    $("load").append(tile);
  }
  tile.querySelector(".figure").textContent = figure ?? "–";
  tile.querySelector(".more").textContent = more ?? "";
  if (value === undefined) return;
  const values = lines.get(key) ?? [];
  values.push(value);
  if (values.length > POINTS) values.shift();
  lines.set(key, values);
  tile.querySelector("svg")?.remove();
  tile.append(line(title, values));
}

/** A small line, the newest value at the right. */
function line(title, values) {
  const most = Math.max(...values, 1e-9);
  const step = 100 / (POINTS - 1);
  const from = 100 - (values.length - 1) * step;
  const points = values.map((value, at) =>
    `${(from + at * step).toFixed(2)},${(39 - (value / most) * 38).toFixed(2)}`);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  // The figure above says the same to those who do not see it.
  svg.setAttribute("aria-hidden", "true");
  const shape = (name, points) => {
    const shape = document.createElementNS(SVG, name);
    shape.setAttribute("points", points.join(" "));
    svg.append(shape);
  };
  shape("polygon", [`${from.toFixed(2)},40`, ...points, "100,40"]);
  shape("polyline", points);
  return svg;
}
