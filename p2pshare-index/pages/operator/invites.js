// Invites of everybody: making, looking, revoking.

import { call, query } from "./api.js";
import { $, confirmed, el, empty, number, table, tell, visible, when } from "./dom.js";

let next;
let rows;
let failed;

export const invites = {
  start(context) {
    ({ failed } = context);
    $("invite-form").onsubmit = (event) => {
      event.preventDefault();
      make();
    };
    $("invites-more").onclick = () => fetchPage(false);
  },
  open: () => fetchPage(true),
  close: () => $("new-invite").replaceChildren(),
};

async function fetchPage(anew) {
  try {
    const page = await call("GET", query("v1/operator/invites", { cursor: anew ? undefined : next }));
    if (anew) {
      rows = page.invites.length > 0 ? table("Invites", columns) : undefined;
      $("invites").replaceChildren(rows?.whole ?? empty("No invite is good now. Make one above, and pass its code on."));
    }
    for (const invite of page.invites) rows?.body.append(rows.row(invite));
    next = page.next;
    $("invites-more").hidden = !next;
  } catch (problem) {
    failed(problem);
  }
}

const columns = [
  ["Made by", (invite) => visible(invite.created_by)],
  ["Group", (invite) => invite.group === undefined ? "–" : visible(invite.group)],
  ["Uses left", (invite) => number(invite.uses_left), "number"],
  ["Made", (invite) => when(invite.created_at)],
  ["Ends", (invite) => when(invite.expires_at)],
  ["Id", (invite) => el("code", { title: invite.id }, invite.id.slice(0, 8))],
  ["", (invite) => el("button", { class: "small", type: "button", "aria-label": `Revoke the invite ${invite.id.slice(0, 8)} of ${invite.created_by}`, onclick: (event) => revoke(event.target, invite) }, "Revoke"), "actions"],
];

async function make() {
  const uses = $("uses").valueAsNumber;
  const valid_seconds = $("days").valueAsNumber * 86400;
  try {
    const made = await call("POST", "v1/invites", { uses, valid_seconds });
    $("new-invite").replaceChildren(el("div", { class: "secret" },
      el("p", {}, "Pass this code on. It is shown this once; the index keeps only a hash of it."),
      el("code", {}, made.code)));
    await fetchPage(true);
  } catch (problem) {
    failed(problem);
  }
}

async function revoke(button, invite) {
  const sure = await confirmed("Revoke this invite?",
    `Nobody can register with it any more. ${visible(invite.created_by)} made it; it has ${number(invite.uses_left)} uses left.`, "Revoke");
  if (!sure) return;
  button.disabled = true;
  try {
    await call("DELETE", `v1/invites/${encodeURIComponent(invite.id)}`);
    tell("The invite is revoked");
    await fetchPage(true);
    $("panel-invites").focus();
  } catch (problem) {
    button.disabled = false;
    failed(problem);
  }
}
