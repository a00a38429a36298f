// Files sent to others, and files that others have sent.

import { api } from "../api.js";
import { fill, h, keyed, setAttribute, setText, show } from "../dom.js";
import { kindTile, ownerLink } from "../hit.js";
import { live } from "../live.js";
import {
  act, badge, bar, button, copyButton, emptyState, field, heading, linkButton, loading, problemBox, troublePlace,
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
  const user = h("input", { name: "user", required: true, autocomplete: "off", autocapitalize: "none", spellcheck: "false" });
  const path = pathField("File", { name: "path", want: "file", title: "Pick a file to push", required: true, signal });
  const submit = button({ label: "Push", icon: "send", kind: "primary", type: "submit" });
  const form = h("form", { class: "card push-form" }, field("To user", user), path.element, submit, trouble.element);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { path: path.input.value.trim(), user: user.value.trim().toLowerCase() };
    const begun = await act(submit, trouble, () => api.post("/api/pushes", body));
    if (begun === undefined) return;
    // How it goes is listed below, and told when it is over.
    path.input.value = "";
    await live.ask("pushes");
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
  const change = (label, name, work) => {
    const made = button({ label, icon: name, bare: true, kind: "quiet", click: () => act(made, trouble, work) });
    return made;
  };
  const again = change("Try again", "retry", () => api.post("/api/pushes", { path: now.path, user: now.user }));
  const remove = change("Stop", "close", () => api.delete(`/api/pushes/${now.id}`));
  const element = h("li", { class: "hit" }, tile,
    h("div", { class: "hit-text" }, name, line, progress.element), state, h("div", { class: "row tight" }, again, remove));
  return {
    element,
    update(each) {
      now = each;
      const file = fileName(each.path);
      if (!tile.firstChild) tile.append(kindTile(file));
      setText(name, file);
      setAttribute(name, "title", each.path);
      setAttribute(progress.element, "aria-label", `Progress of ${file} to ${each.user}`);
      progress.set(each.bytes_done, each.bytes, each.state);
      show(progress.element, each.state === "running");
      const so = each.state === "running" ? `${percent(each.bytes_done, each.bytes)}% of ${bytes(each.bytes)}` : bytes(each.bytes);
      setText(line, [`to ${each.user}`, each.error ?? so].join(" · "));
      line.classList.toggle("bad", each.state === "failed");
      const [text, kind] = STATES[each.state] ?? [each.state, ""];
      setText(state, text);
      state.className = `badge ${kind}`;
      show(state, Boolean(text));
      show(again, each.state === "failed");
      const verb = each.state === "running" ? "Stop" : "Remove from list";
      for (const [control, label] of [[again, "Try again"], [remove, verb]]) {
        setAttribute(control, "title", label);
        setAttribute(control, "aria-label", `${label}: ${file} to ${each.user}`);
      }
    },
  };
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
