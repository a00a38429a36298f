// The groups that somebody is in, and the invites that they made.

import { api } from "../api.js";
import { confirm, formDialog, openDialog } from "../dialog.js";
import { fill, h, icon } from "../dom.js";
import { live } from "../live.js";
import { badge, button, copyButton, emptyState, field, heading, loading, nameInput, problemBox, select, tell } from "../parts.js";
import { go, route } from "../router.js";
import { count, day, until } from "../text.js";

const LASTS = [["24", "1 day"], ["168", "7 days"], ["720", "30 days"], ["2160", "90 days"]];

export default function groups({ signal }) {
  const place = h("div", {}, loading());
  const invites = h("div", {}, loading());
  let known = [];
  const own = live.last.state.account.username;

  const showGroups = async () => {
    try {
      known = (await api.get("/api/groups", { signal })).groups;
      fill(place, known.length === 0
        ? emptyState("users", "You are in no group", "What is shared with a group does not exist for anybody else.")
        : h("ul", { class: "card plain rows", "aria-label": "Groups" }, known.map((group) => h("li", {},
          h("a", { class: "hit", href: route(["groups", group.name]) },
            h("span", { class: "tile group" }, icon("users")),
            h("span", { class: "hit-text" }, h("span", { class: "name" }, group.name),
              h("span", { class: "line muted" }, `since ${day(group.created_at)}`)),
            group.owner === own ? badge("Yours", "good") : badge(`of ${group.owner}`),
            icon("next", "faint"))))));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(place, problemBox(problem, showGroups));
    }
  };
  const showInvites = async () => {
    try {
      const list = (await api.get("/api/invites", { signal })).invites;
      fill(invites, list.length === 0
        ? emptyState("ticket", "No invites", "With an invite code somebody can make an account, and join a group of yours at once.")
        : h("ul", { class: "card plain rows", "aria-label": "Invites" }, list.map((invite) => inviteRow(invite, showInvites))));
    } catch (problem) {
      if (problem.name !== "AbortError") fill(invites, problemBox(problem, showInvites));
    }
  };
  showGroups();
  showInvites();

  const create = button({ label: "New group", icon: "plus", kind: "primary", click: () => newGroup() });
  const invite = button({
    label: "New invite", icon: "plus", kind: "small",
    click: async () => {
      const made = await newInvite(known.filter((group) => group.owner === own));
      if (!made) return;
      showInvites();
      showCode(made);
    },
  });
  return {
    title: "Groups",
    element: h("div", {},
      heading("Groups", { lead: "Share with some instead of with all.", actions: [create] }),
      place,
      h("section", { "aria-labelledby": "invites" },
        h("div", { class: "section-head" }, h("h2", { id: "invites" }, "Invites"), invite), invites)),
  };
}

async function newGroup() {
  const name = nameInput({ name: "name" });
  const made = await formDialog({
    title: "New group",
    action: "Create",
    fields: [field("Name", name, { hint: "Letters, digits, dots, dashes. You are its owner and choose its members." })],
    send: () => api.post("/api/groups", { name: name.value.trim().toLowerCase() }),
  });
  if (made) go(route(["groups", made.name ?? name.value.trim().toLowerCase()]));
}

function newInvite(owned) {
  const uses = h("input", { type: "number", min: 1, max: 1000, value: "1", required: true, inputmode: "numeric" });
  const hours = select(LASTS, { value: "168" });
  const group = select([["", "No group"], ...owned.map(({ name }) => [name, name])]);
  return formDialog({
    title: "New invite",
    action: "Make the code",
    fields: [
      field("Accounts that can be made with it", uses),
      field("Good for", hours),
      field("Joins", group, { hint: owned.length ? "The new user is a member of it at once." : "Of groups that are yours. There is none yet." }),
    ],
    send: () => api.post("/api/invites", {
      uses: Number(uses.value), hours: Number(hours.value), ...(group.value ? { group: group.value } : {}),
    }),
  });
}

/** Shows the code, which can be seen only now. */
function showCode({ code, invite }) {
  const box = h("input", { class: "mono", value: code, readonly: true });
  const { element } = openDialog({
    title: "Your invite code",
    body: h("div", { class: "stack" },
      h("p", {}, `Pass it on by other means. It makes ${count(invite.uses_left, "account")} and ends ${until(invite.expires_at)}.`),
      field("Code", box, { after: copyButton({ label: "Copy code", text: code, bare: true }) }),
      h("p", { class: "muted" }, "It is shown only now: the index keeps no copy.")),
  });
  element.querySelector("input").select();
}

function inviteRow(invite, changed) {
  const revoke = button({
    label: "Revoke", icon: "trash", kind: "small",
    "aria-label": `Revoke the invite of ${day(invite.created_at)}`,
    click: async () => {
      const done = await confirm({
        title: "Revoke this invite?",
        text: "Nobody can make an account with its code any more. Accounts that were made stay.",
        action: "Revoke",
        work: () => api.delete(`/api/invites/${encodeURIComponent(invite.id)}`),
      });
      if (!done) return;
      tell("The invite is revoked");
      changed();
      document.querySelector("h1")?.focus();
    },
  });
  return h("li", { class: "hit" },
    h("span", { class: "tile group" }, icon("ticket")),
    h("div", { class: "hit-text" },
      h("p", { class: "name" }, invite.group ? `Joins ${invite.group}` : "Joins no group"),
      h("p", { class: "line muted num" }, `${count(invite.uses_left, "account")} left · made ${day(invite.created_at)} · ends ${until(invite.expires_at)}`)),
    revoke);
}
