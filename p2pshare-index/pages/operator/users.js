// All accounts: looking for some, disabling and enabling them.

import { call, query } from "./api.js";
import { $, bytes, confirmed, el, number, tell, visible, when } from "./dom.js";
import { listing } from "./listing.js";

const prefix = () => $("prefix").value.trim();

const list = listing({
  place: "users",
  more: "users-more",
  label: "Users",
  columns: [
    ["Name", (user) => [visible(user.username), " ", badge(user)]],
    ["Made", (user) => when(user.created_at)],
    ["Last seen", (user) => user.online > 0 ? el("span", { class: "chip good" }, "online")
      : user.last_seen === undefined ? "–" : when(user.last_seen)],
    ["Peers", (user) => number(user.peers), "number"],
    ["Files", (user) => number(user.files), "number"],
    ["Size", (user) => bytes(user.bytes), "number"],
    ["Sessions", (user) => number(user.sessions), "number"],
    ["", (user) => action(user), "actions"],
  ],
  async fetchPage(after) {
    try {
      const page = await call("GET", query("v1/operator/users", { prefix: prefix(), after }));
      return [page.users, page.next];
    } catch (problem) {
      // Nobody can be called so.
      if (problem.status === 400 && after === undefined) return [[], undefined];
      throw problem;
    }
  },
  none: () => prefix() === "" ? "There are no accounts yet." : `No name begins with “${visible(prefix())}”.`,
  style: (user) => user.disabled ? "off" : undefined,
  counted(shown, more) {
    const text = more ? `the first ${number(shown)}` : shown === 1 ? "1 user" : `${number(shown)} users`;
    // What is set is told to those who hear the page, though it be the same.
    if ($("users-status").textContent !== text) $("users-status").textContent = text;
  },
});

let me;
let attempt;

export const users = {
  every: list.every,
  start(context) {
    ({ me, attempt } = context);
    let typing;
    $("prefix").oninput = () => {
      clearTimeout(typing);
      typing = setTimeout(() => attempt(list.anew), 200);
    };
    $("users-search").onsubmit = (event) => {
      event.preventDefault();
      attempt(list.anew);
    };
    $("users-more").onclick = () => attempt(list.more);
  },
  refresh: list.refresh,
  close: list.close,
};

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
  const is = await attempt(async () => {
    list.put(button, await call("PATCH", `v1/operator/users/${encodeURIComponent(user.username)}`, { disabled }));
    tell(`${user.username} is ${disabled ? "disabled" : "enabled"}`);
  });
  if (!is) button.disabled = false;
}
