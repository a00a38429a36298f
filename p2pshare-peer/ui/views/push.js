// Files sent to others, and files that others have sent.

import { api } from "../api.js";
import { fill, h, keyed, setAttribute, setText, show } from "../dom.js";
import { kindTile, ownerLink } from "../hit.js";
import { live } from "../live.js";
import {
  act, badge, bar, button, copyButton, emptyState, field, heading, linkButton, loading, nameInput, problemBox,
  troublePlace,
} from "../parts.js";
import { pathField } from "../picker.js";
import { ago, bytes, fileName, moment, percent } from "../text.js";

const STATES = { running: ["", ""], done: ["Arrived", "good"], failed: ["Failed", "bad"] };

export default function push({ signal }) {
  const sent = h("div");
  const received = h("div", {}, loading());
  const list = h("ul", { class: "card plain rows", "aria-label": "Pushes" });
  const trouble = troublePlace();
  const setRows = keyed(list, (each) => each.id, () => pushRow(trouble));
  const drawSent = ({ items }) => {
    if (items.length === 0) {
      fill(sent, h("p", { class: "muted" }, "What you push is listed here until the peer is stopped."));
      return;
    }
    if (!list.isConnected) fill(sent, list);
    setRows(items);
  };
  const drawReceived = (inbox) => fill(received, inboxOf(inbox));
  ask("pushes", sent, drawSent, signal);
  ask("inbox", received, drawReceived, signal);

  return {
    title: "Push",
    element: h("div", {},
      heading("Push", { lead: "Send a file straight to somebody whose peer is running." }),
      sendForm(signal),
      h("section", { "aria-labelledby": "sent" }, h("h2", { id: "sent" }, "Sent by you"), trouble.element, sent),
      h("section", { "aria-labelledby": "received" }, h("h2", { id: "received" }, "Sent to you"), received)),
  };
}

/** Fetches something once, and follows what is told of it. */
async function ask(kind, place, draw, signal) {
  live.on(kind, signal, draw);
  try {
    await live.ask(kind, { signal });
  } catch (problem) {
    if (problem.name !== "AbortError") fill(place, problemBox(problem));
  }
}

function sendForm(signal) {
  const trouble = troublePlace();
  const user = nameInput({ name: "user" });
  const path = pathField("File", { name: "path", want: "file", title: "Pick a file to push", required: true, signal });
  const submit = button({ label: "Push", icon: "send", kind: "primary", type: "submit" });
  const form = h("form", { class: "card push-form" }, field("To user", user), path.element, submit, trouble.element);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { path: path.input.value.trim(), user: user.value.trim().toLowerCase() };
    const begun = await act(submit, trouble, () => api.post("/api/pushes", body));
    if (begun === undefined) return;
    waited = begun.id;
    await live.ask("pushes");
  });
  // What was typed stays until it has arrived: it may have to be pushed again.
  let waited = null;
  live.on("pushes", signal, ({ items }) => {
    const now = items.find((each) => each.id === waited);
    if (!now || now.state === "running") return;
    waited = null;
    if (now.state === "done" && path.input.value.trim() === now.path) path.input.value = "";
  });
  return form;
}

function pushRow(trouble) {
  const tile = h("span");
  const name = h("p", { class: "name" });
  const line = h("p", { class: "line muted num" });
  const progress = bar("");
  const state = badge("");
  let now;
  const again = button({
    label: "Push again", icon: "retry", bare: true, kind: "quiet",
    click: () => act(again, trouble, async () => {
      await api.post("/api/pushes", { path: now.path, user: now.user });
      await api.delete(`/api/pushes/${now.id}`);
      await live.ask("pushes");
    }),
  });
  const stop = button({
    label: "Cancel", icon: "close", bare: true, kind: "quiet",
    click: () => act(stop, trouble, () => api.delete(`/api/pushes/${now.id}`)),
  });
  const forget = button({
    label: "Remove from list", icon: "trash", bare: true, kind: "quiet",
    click: () => act(forget, trouble, () => api.delete(`/api/pushes/${now.id}`)),
  });
  const element = h("li", { class: "hit" }, tile,
    h("div", { class: "hit-text" }, name, line, progress.element), state, h("div", { class: "row tight" }, again, stop, forget));
  return {
    element,
    update(each) {
      now = each;
      const file = fileName(each.path);
      for (const control of [again, stop, forget]) setAttribute(control, "aria-label", `${control.title}: ${file} to ${each.user}`);
      show(again, each.state === "failed");
      show(forget, each.state !== "running");
      show(stop, each.state === "running");
      if (!tile.firstChild) tile.append(kindTile(file));
      setText(name, file);
      setAttribute(name, "title", each.path);
      setAttribute(progress.element, "aria-label", `Progress of ${file} to ${each.user}`);
      progress.set(each.bytes_done, each.bytes, each.state);
      show(progress.element, each.state === "running");
      setText(line, [`to ${each.user}`, each.error ?? soFar(each)].join(" · "));
      setAttribute(line, "title", each.error);
      line.classList.toggle("bad", each.state === "failed");
      const [text, kind] = STATES[each.state] ?? [each.state, ""];
      setText(state, text);
      state.className = `badge ${kind}`;
      show(state, Boolean(text));
    },
  };
}

/** How far a push is, of which nothing else is told. */
function soFar(each) {
  if (each.state !== "running") return bytes(each.bytes);
  return each.bytes_done > 0 ? `${percent(each.bytes_done, each.bytes)}% of ${bytes(each.bytes)}` : `looking for a peer of ${each.user}`;
}

function inboxOf({ folder, items }) {
  if (!folder) {
    return emptyState("inbox", "Your inbox is closed", "Nobody can push to you until you choose a folder for what they send.",
      linkButton({ label: "Choose a folder", icon: "gear", href: "#/settings" }));
  }
  const where = h("p", { class: "muted with-button wrap" }, "Kept in ", h("code", { class: "wrap" }, folder),
    copyButton({ label: "Copy folder", text: folder, bare: true, kind: "quiet small" }));
  if (items.length === 0) return [where, emptyState("inbox", "Nothing has come yet", "What others push to you is listed here.")];
  return [where, h("ul", { class: "card plain rows", "aria-label": "Received files" }, items.map((item) => h("li", { class: "hit" },
    kindTile(item.name),
    h("div", { class: "hit-text" },
      h("p", { class: "name", title: item.path }, item.name),
      h("p", { class: "line muted num" }, h("span", {}, "from ", ownerLink(item.user)), h("span", {}, bytes(item.size)),
        h("span", { title: moment(item.received_at) }, ago(item.received_at)))),
    copyButton({ label: `Copy path of ${item.name}`, text: item.path, bare: true, kind: "quiet" }))))];
}
