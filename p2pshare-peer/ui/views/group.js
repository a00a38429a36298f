// One group: its members, and what its owner and members can do.

import { api } from "../api.js";
import { confirm, formDialog } from "../dialog.js";
import { fill, h, icon } from "../dom.js";
import { ownerLink } from "../hit.js";
import { live } from "../live.js";
import { act, badge, button, field, heading, loading, nameInput, problemBox, select, tell, troublePlace } from "../parts.js";
import { go } from "../router.js";
import { count, day } from "../text.js";

export default function group({ parts, signal }) {
  const name = parts[0];
  const place = h("div", {}, loading());
  const fetchAll = async (adding = false) => {
    try {
      const [all, { members }] = await Promise.all([
        api.get("/api/groups", { signal }),
        api.get(`${path(name)}/members`, { signal }),
      ]);
      const found = all.groups.find((each) => each.name === name);
      if (!found) throw Object.assign(new Error("There is no such group, or you are not a member of it."), { title: "Not found", status: 404 });
      show(place, found, members, fetchAll);
      if (adding) place.querySelector("[name=user]")?.focus();
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, heading(name), problemBox(problem, problem.status === 404 ? null : () => fetchAll()));
    }
  };
  fetchAll();
  return {
    title: name,
    element: h("div", {},
      h("nav", { class: "crumbs", "aria-label": "Way back" }, h("a", { href: "#/groups" }, icon("back"), "Groups")), place),
  };
}

const path = (name) => `/api/groups/${encodeURIComponent(name)}`;

function show(place, { name, owner, created_at: since }, members, again) {
  const own = live.last.state.account.username;
  const isOwner = owner === own;
  const trouble = troublePlace();
  const head = heading(name, {
    lead: `${count(members.length, "member")}, since ${day(since)}`,
    actions: isOwner
      ? [transferButton(name, members.filter((each) => each !== own), again), deleteButton(name)]
      : [leaveButton(name)],
  });
  const rows = members.map((member) => h("li", { class: "hit" },
    h("span", { class: "tile" }, icon("user")),
    h("span", { class: "hit-text" }, h("span", { class: "name" }, ownerLink(member))),
    member === owner && badge("Owner", "good"),
    isOwner && member !== own && removeButton(name, member, again)));
  const hadFocus = place.contains(document.activeElement) || document.activeElement?.tagName === "H1";
  fill(place, head, trouble.element, isOwner && addForm(name, again),
    h("ul", { class: "card plain rows", "aria-label": "Members" }, rows));
  if (hadFocus) head.querySelector("h1").focus({ preventScroll: true });
}

function addForm(name, again) {
  const trouble = troublePlace();
  const user = nameInput({ name: "user" });
  const submit = button({ label: "Add", icon: "plus", kind: "primary", type: "submit" });
  const form = h("form", { class: "card" }, field("Add a user", user, { after: submit }), trouble.element);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const member = user.value.trim().toLowerCase();
    const added = await act(submit, trouble, () => api.put(`${path(name)}/members/${encodeURIComponent(member)}`));
    if (added === undefined) return;
    tell(`${member} is a member now`);
    // Most add more than one.
    again(true);
  });
  return form;
}

function removeButton(name, member, again) {
  return button({
    label: `Remove ${member}`, icon: "close", bare: true, kind: "quiet",
    click: async () => {
      const done = await confirm({
        title: `Remove ${member}?`,
        text: `Nothing of ${name} exists for them any more, and what they shared with it is withdrawn.`,
        action: "Remove",
        work: () => api.delete(`${path(name)}/members/${encodeURIComponent(member)}`),
      });
      if (done) again();
    },
  });
}

function transferButton(name, others, again) {
  return button({
    label: "Give to another", icon: "send",
    click: async () => {
      const to = select(others.map((each) => [each, each]), { required: true });
      const hint = others.length ? "You stay a member." : "Add a member first.";
      const done = await formDialog({
        title: `Give ${name} to another`,
        action: "Give",
        fields: [field("New owner", to, { hint })],
        send: () => api.post(`${path(name)}/transfer`, { user: to.value }),
      });
      if (done) again();
    },
  });
}

function deleteButton(name) {
  return button({
    label: "Delete", icon: "trash", kind: "danger",
    click: async () => {
      const done = await confirm({
        title: `Delete ${name}?`,
        text: "What its members shared with it is withdrawn. This cannot be undone.",
        action: "Delete group",
        work: () => api.delete(path(name)),
      });
      if (done) go("#/groups");
    },
  });
}

function leaveButton(name) {
  return button({
    label: "Leave", icon: "logout",
    click: async () => {
      const done = await confirm({
        title: `Leave ${name}?`,
        text: "What you shared with it is withdrawn. Only its owner can add you again.",
        action: "Leave group",
        work: () => api.post(`${path(name)}/leave`),
      });
      if (done) go("#/groups");
    },
  });
}
