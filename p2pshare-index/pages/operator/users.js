// All accounts: looking for some, disabling and enabling them.

import { call, query } from "./api.js";
import { $, bytes, confirmed, el, empty, number, table, tell, visible, when } from "./dom.js";

let ask = 0;
let next;
let rows;
let shown = 0;
let me;
let failed;

export const users = {
  start(context) {
    ({ me, failed } = context);
    let typing;
    $("prefix").oninput = () => {
      clearTimeout(typing);
      typing = setTimeout(() => fetchPage(true), 200);
    };
    $("users-search").onsubmit = (event) => {
      event.preventDefault();
      fetchPage(true);
    };
    $("users-more").onclick = () => fetchPage(false);
  },
  open: () => fetchPage(true),
};

async function fetchPage(anew) {
  const mine = ++ask;
  const prefix = $("prefix").value.trim();
  try {
    const page = await call("GET", query("v1/operator/users", { prefix, after: anew ? undefined : next }));
    // Somebody has typed on meanwhile.
    if (mine !== ask) return;
    if (anew) begin(page.users.length > 0, prefix);
    for (const user of page.users) rows?.body.append(rows.row(user, user.disabled ? "off" : undefined));
    shown += page.users.length;
    next = page.next;
    $("users-more").hidden = !next;
    $("users-status").textContent = next ? `the first ${number(shown)}` : shown === 1 ? "1 user" : `${number(shown)} users`;
  } catch (problem) {
    if (mine !== ask) return;
    if (problem.status === 400) {
      begin(false, prefix);
      $("users-more").hidden = true;
      $("users-status").textContent = "0 users";
    } else failed(problem);
  }
}

function begin(any, prefix) {
  shown = 0;
  rows = any ? table("Users", columns) : undefined;
  const nobody = prefix === "" ? "There are no accounts yet." : `No name begins with “${visible(prefix)}”.`;
  $("users").replaceChildren(any ? rows.whole : empty(nobody));
}

const columns = [
  ["Name", (user) => [visible(user.username), " ", badge(user)]],
  ["Made", (user) => when(user.created_at)],
  ["Last seen", (user) => user.online > 0 ? el("span", { class: "chip good" }, "online")
    : user.last_seen === undefined ? "–" : when(user.last_seen)],
  ["Peers", (user) => number(user.peers), "number"],
  ["Files", (user) => number(user.files), "number"],
  ["Size", (user) => bytes(user.bytes), "number"],
  ["Sessions", (user) => number(user.sessions), "number"],
  ["", (user) => action(user), "actions"],
];

function badge(user) {
  if (user.disabled) return el("span", { class: "chip bad" }, "disabled");
  return user.operator ? el("span", { class: "chip accent" }, "operator") : "";
}

function action(user) {
  if (user.username === me) return [];
  const what = user.disabled ? "Enable" : "Disable";
  return el("button", { class: "small", type: "button", "aria-label": `${what} ${user.username}`, onclick: (event) => change(event.target, user) }, what);
}

async function change(button, user) {
  const disabled = !user.disabled;
  const sure = !disabled || await confirmed(`Disable ${visible(user.username)}?`,
    "Their sessions end at once and their peers go offline. What they share is no longer found; when the account is enabled again and they log in, their peers publish it again. Permission to fetch that they have been given lasts up to ten minutes more.",
    "Disable");
  if (!sure) return;
  button.disabled = true;
  try {
    const changed = await call("PATCH", `v1/operator/users/${encodeURIComponent(user.username)}`, { disabled });
    const row = rows.row(changed, changed.disabled ? "off" : undefined);
    button.closest("tr").replaceWith(row);
    row.querySelector("button")?.focus();
    tell(`${user.username} is ${disabled ? "disabled" : "enabled"}`);
  } catch (problem) {
    button.disabled = false;
    failed(problem);
  }
}
