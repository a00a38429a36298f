// Invites of everybody: making, looking, revoking.

import { call, query } from "./api.js";
import { $, confirmed, el, number, tell, visible, when } from "./dom.js";
import { listing } from "./listing.js";

const list = listing({
  place: "invites",
  more: "invites-more",
  label: "Invites",
  columns: [
    ["Made by", (invite) => visible(invite.created_by)],
    ["Group", (invite) => invite.group === undefined ? "–" : visible(invite.group)],
    ["Uses left", (invite) => number(invite.uses_left), "number"],
    ["Made", (invite) => when(invite.created_at)],
    ["Ends", (invite) => when(invite.expires_at)],
    ["Id", (invite) => el("code", { title: invite.id }, invite.id.slice(0, 8))],
    ["", (invite) => el("button", { class: "small", type: "button", "aria-label": `Revoke the invite ${invite.id.slice(0, 8)} of ${invite.created_by}`, onclick: (event) => revoke(event.target, invite) }, "Revoke"), "actions"],
  ],
  async fetchPage(cursor) {
    const page = await call("GET", query("v1/operator/invites", { cursor }));
    return [page.invites, page.next];
  },
  none: () => "No invite is good now. Make one above, and pass its code on.",
});

let attempt;

export const invites = {
  every: list.every,
  start(context) {
    ({ attempt } = context);
    $("invite-form").onsubmit = (event) => {
      event.preventDefault();
      attempt(make);
    };
    $("invites-more").onclick = () => attempt(list.more);
  },
  refresh: list.refresh,
  close: list.close,
  /** Who is logged out leaves no code behind. */
  end: () => $("new-invite").replaceChildren(),
};

async function make() {
  const uses = $("uses").valueAsNumber;
  const valid_seconds = $("days").valueAsNumber * 86400;
  const made = await call("POST", "v1/invites", { uses, valid_seconds });
  $("new-invite").replaceChildren(el("div", { class: "secret" },
    el("p", {}, "Pass this code on. It is shown this once; the index keeps only a hash of it."),
    el("code", {}, made.code)));
  await list.anew();
}

async function revoke(button, invite) {
  const sure = await confirmed("Revoke this invite?",
    `Nobody can register with it any more. ${visible(invite.created_by)} made it; it has ${number(invite.uses_left)} uses left.`, "Revoke");
  if (!sure) return;
  button.disabled = true;
  const is = await attempt(async () => {
    await call("DELETE", `v1/invites/${encodeURIComponent(invite.id)}`);
    tell("The invite is revoked");
    await list.anew();
    $("panel-invites").focus();
  });
  if (!is) button.disabled = false;
}
