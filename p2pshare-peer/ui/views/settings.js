// How the peer works, and the account.

import { api } from "../api.js";
import { confirm } from "../dialog.js";
import { fill, h, setAttribute } from "../dom.js";
import { live } from "../live.js";
import { act, button, copyButton, field, heading, loading, passwordField, problemBox, tell, toggle, troublePlace } from "../parts.js";
import { pathField } from "../picker.js";
import { parseBytes, typedBytes } from "../text.js";

const FIXED = "Set on the command line, by the environment or in the configuration file.";

export default function settings({ signal }) {
  const place = h("div", {}, loading());
  const fetchAll = async () => {
    try {
      const show = (settings) => fill(place, form(settings, signal, show));
      show(await api.get("/api/settings", { signal }));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem, fetchAll));
    }
  };
  fetchAll();
  return {
    title: "Settings",
    element: h("div", { class: "settings" }, heading("Settings"), place, accountCard(), aboutCard(signal)),
  };
}

/** A card of settings. */
function card(id, title, ...children) {
  return h("section", { class: "card stack", "aria-labelledby": id }, h("h2", { id }, title), children);
}

/** The form. `saved` is called with the settings as they are then. */
function form(now, signal, saved) {
  const fixed = new Set(now.fixed);
  const trouble = troublePlace();
  const hintFor = (name, hint) => (fixed.has(name) ? FIXED : hint);
  const lock = (name, ...controls) => {
    for (const control of controls) if (fixed.has(name)) setAttribute(control, "disabled", true);
  };
  const rateInput = (name) => {
    const input = h("input", {
      name, value: now[name] === null ? "" : typedBytes(now[name]), placeholder: "No limit", autocomplete: "off",
    });
    lock(name, input);
    return input;
  };
  const numberInput = (name, max) => {
    const input = h("input", { name, type: "number", min: 1, max, value: String(now[name]), required: true, inputmode: "numeric" });
    lock(name, input);
    return input;
  };
  const folder = (name, label, hint, required) => {
    const made = pathField(label, {
      name, want: "folder", title: label, hint: hintFor(name, hint), value: now[name] ?? "", required, signal,
    });
    lock(name, made.input, made.pick);
    return made;
  };
  const down = rateInput("download_limit");
  const up = rateInput("upload_limit");
  const slots = numberInput("upload_slots", 1024);
  const atOnce = numberInput("downloads_at_once", 64);
  const downloads = folder("download_folder", "Downloads", "Where downloads go.", true);
  const drop = folder("drop_folder", "Dropped files", "Where files go that are dropped on the page. Unless you name another: the folder Shared where downloads go.", true);
  const inbox = folder("inbox", "Inbox", "Where files go that others push to you. Empty: nobody can.", false);
  const lan = toggle("Find peers nearby", {
    checked: now.lan, hint: hintFor("lan", "Peers on the same network find each other's addresses and prefer them."),
  });
  lock("lan", lan.input);
  const save = button({ label: "Save", kind: "primary", type: "submit" });

  const element = h("form", { class: "stack wide-gap" },
    card("limits", "Transfers",
      h("div", { class: "two" },
        field("Download limit", down, { hint: hintFor("download_limit", "In a second, such as 5 MB. Empty: none.") }),
        field("Upload limit", up, { hint: hintFor("upload_limit", "In a second, such as 1.5 MB. Empty: none.") }),
        field("Downloads at once", atOnce, { hint: hintFor("downloads_at_once", "The others wait.") }),
        field("Uploads at once", slots, { hint: hintFor("upload_slots", "The others wait in a queue that is fair by user.") }))),
    card("folders", "Folders", downloads.element, drop.element, inbox.element),
    card("network", "Network", lan.element),
    trouble.element,
    h("div", { class: "row" }, save));
  element.addEventListener("submit", (event) => {
    event.preventDefault();
    act(save, trouble, async () => {
      const wanted = {
        download_limit: limit(down, "The download limit"), upload_limit: limit(up, "The upload limit"),
        upload_slots: Number(slots.value), downloads_at_once: Number(atOnce.value),
        download_folder: downloads.input.value.trim(), drop_folder: drop.input.value.trim(),
        inbox: inbox.input.value.trim() || null, lan: lan.input.checked,
      };
      // What was not changed here may have been changed elsewhere.
      const changed = Object.fromEntries(Object.entries(wanted).filter(([name, value]) => !fixed.has(name) && value !== now[name]));
      const after = await api.put("/api/settings", changed);
      saved(after);
      if (!("drop_folder" in changed) && after.drop_folder !== now.drop_folder) {
        tell(`Saved. Files that are dropped go to ${after.drop_folder} now.`, "warning");
      } else tell("Saved");
    });
  });
  return element;
}

/** A limit that was typed; `null` if there is to be none. */
function limit(input, what) {
  const text = input.value.trim();
  if (!text) return null;
  const value = parseBytes(text);
  if (value) return value;
  input.focus();
  throw Object.assign(new Error("Write it like 700KB, 5MB or 1.5 MiB."), { title: `${what} is no size`, status: 400 });
}

function accountCard() {
  const { account } = live.last.state;
  const trouble = troublePlace();
  const user = h("input", { type: "text", name: "username", autocomplete: "username", value: account.username, hidden: true });
  const old = passwordField("Password until now", { name: "old", autocomplete: "current-password", minlength: 8 });
  const fresh = passwordField("New password", { name: "new", autocomplete: "new-password", minlength: 8, hint: "At least 8 characters. All other sessions end." });
  const change = button({ label: "Change password", type: "submit" });
  const everywhere = button({
    label: "Log out everywhere", icon: "logout",
    click: () => confirm({
      title: "Log out everywhere?",
      text: "Every session of your account ends, on all machines.",
      action: "Log out everywhere",
      work: async () => live.tell("state", await api.post("/api/logout", { everywhere: true })),
    }),
  });
  const form = h("form", { class: "stack" }, user, h("div", { class: "two" }, old.element, fresh.element), trouble.element,
    h("div", { class: "row" }, change, everywhere));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { old: old.input.value, new: fresh.input.value };
    if ((await act(change, trouble, () => api.put("/api/password", body))) === undefined) return;
    form.reset();
    tell("The password is changed");
  });
  return card("account", "Account",
    h("dl", { class: "facts" },
      fact("User", account.username + (account.operator ? " (operator)" : "")),
      fact("Index", account.index.join(", "))),
    form);
}

function aboutCard(signal) {
  const facts = h("dl", { class: "facts" });
  live.follow("state", signal, (state) => fill(facts,
    fact("Version", state.version),
    fact("Listens on", state.listen ?? "nothing"),
    fact("Reachable at", state.addresses.length ? state.addresses.join(", ") : "no address is known"),
    h("div", { class: "whole" }, h("dt", {}, "Peer id"), h("dd", { class: "with-button" }, h("code", { class: "id" }, state.peer),
      copyButton({ label: "Copy peer id", text: state.peer, bare: true, kind: "quiet small" })))));
  return card("about", "This peer", facts);
}

function fact(name, value) {
  return h("div", {}, h("dt", {}, name), h("dd", { class: "wrap" }, value));
}
