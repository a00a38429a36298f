// Log in, or make an account.

import { api } from "../api.js";
import { fill, h, icon, show } from "../dom.js";
import { live } from "../live.js";
import { act, button, field, nameInput, passwordField, problemBox, toggle, troublePlace } from "../parts.js";
import { here } from "../router.js";
import { themeButton } from "../shell.js";

/** What was typed stays when one goes between logging in and making an account. */
const typed = { index: null, username: "" };

export default function login({ signal, lastUser }) {
  const registering = here().parts[0] === "register";
  const state = live.last.state;
  const title = registering ? "Make an account" : "Log in";
  const trouble = troublePlace();

  const index = h("input", {
    name: "index", type: "url", required: true, autocomplete: "url", autocapitalize: "off", spellcheck: "false",
    value: typed.index ?? state?.default_index ?? "", placeholder: "https://index.example.org:7400",
  });
  const username = nameInput({
    name: "username", autocomplete: "username", value: typed.username || (lastUser ?? ""), dataset: { first: "" },
  });
  const password = passwordField("Password", {
    name: "password",
    autocomplete: registering ? "new-password" : "current-password",
    hint: registering && "At least 8 characters. A few words are best.",
    minlength: 8,
  });
  const invite = h("input", { name: "invite", autocomplete: "off", autocapitalize: "off", spellcheck: "false" });
  for (const input of [index, username]) {
    input.addEventListener("input", () => { typed[input.name] = input.value; });
  }
  const newKey = toggle("I know why, accept the new key", {
    hint: "Only if whoever runs the index has told you that it was set up anew.",
  });
  show(newKey.element, false);

  const submit = button({ label: title, kind: "primary wide", type: "submit" });
  const form = h(
    "form",
    { class: "stack", novalidate: false },
    field("Index", index, { hint: "The server of your community, as it was told to you." }),
    field("User name", username, { hint: registering && "Letters, digits, dots, dashes: what others see." }),
    password.element,
    registering && field("Invite code", invite, { hint: "If your index asks for one." }),
    newKey.element,
    trouble.element,
    submit,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const body = { index: index.value.trim(), username: username.value.trim().toLowerCase(), password: password.input.value };
    if (registering && invite.value.trim()) body.invite = invite.value.trim();
    if (newKey.input.checked) body.accept_new_key = true;
    await act(submit, trouble, async () => {
      try {
        live.tell("state", await api.post(registering ? "/api/register" : "/api/login", body));
      } catch (problem) {
        show(newKey.element, problem.kind === "index-key-changed");
        // Where an account can be made is said below, whatever was wrong.
        if (problem.kind === "wrong-credentials") problem.hint = "Check the spelling of both.";
        throw problem;
      }
    });
  });

  const why = h("div");
  live.follow("state", signal, ({ ended: reason }) =>
    fill(why, reason && problemBox({ title: "You are not logged in any more", message: `${reason[0].toUpperCase()}${reason.slice(1)}.` })));
  const element = h(
    "div",
    { class: "card door" },
    h("div", { class: "door-brand" }, icon("logo"), h("span", {}, "p2pshare")),
    h("h1", { tabindex: "-1" }, title),
    h("p", { class: "muted" }, registering
      ? "With an account you find what others share, and they find what you share."
      : "Files go straight between you and the others of your community."),
    why,
    form,
    h("p", { class: "door-other" }, registering ? "You have an account? " : "No account yet? ",
      h("a", { href: registering ? "#/search" : "#/register" }, registering ? "Log in" : "Make one")),
  );
  return { title, className: "door-view", element: h("div", { class: "door-place" }, element, fill(h("div"), themeButton())) };
}
