// Logging in, the three tabs, and what is refreshed while the page is open.

import { call, repeat, session } from "./api.js";
import { audit } from "./audit.js";
import { $ } from "./dom.js";
import { invites } from "./invites.js";
import { load } from "./load.js";
import { users } from "./users.js";

const tabs = { users, invites, audit };
let running = [];
let stopTab = () => {};

/** Whether whoever is here has no business here any more. */
const isOver = (problem) => ["not-logged-in", "account-disabled", "forbidden"].includes(problem?.kind);

/** What went wrong, where everybody sees it; a session that is over leads back to the login. */
function failed(problem, wait) {
  if (isOver(problem)) {
    over(problem);
    return;
  }
  const again = wait ? ` Trying again in ${Math.round(wait / 1000)} s.` : "";
  $("trouble").hidden = !problem;
  $("trouble").textContent = problem ? (problem.text ?? String(problem)) + again : "";
}

/** Does what somebody asked for; what goes wrong is told until the next thing goes well. Gives whether it did. */
async function attempt(work) {
  try {
    await work();
    failed(null);
    return true;
  } catch (problem) {
    failed(problem);
    return false;
  }
}

function over(problem) {
  stop();
  session.token = null;
  showLogin(problem.status === 401 ? "Your session is over: log in again." : problem.text);
}

function showLogin(error) {
  $("desk").hidden = true;
  $("login").hidden = false;
  $("login-error").hidden = !error;
  $("login-error").textContent = error ?? "";
  $("password").value = "";
  ($("username").value ? $("password") : $("username")).focus();
}

async function logIn(event) {
  event.preventDefault();
  const button = event.submitter ?? $("login-form").querySelector("button");
  button.disabled = true;
  try {
    session.token = null;
    const opened = await call("POST", "v1/sessions", {
      username: $("username").value.trim(),
      password: $("password").value,
    });
    session.token = opened.token;
    if (!opened.account.operator) {
      await leave();
      showLogin(`${opened.account.username} is no operator of this index. An operator can be made on its own machine.`);
      return;
    }
    await begin();
  } catch (problem) {
    showLogin(problem.text ?? String(problem));
  } finally {
    button.disabled = false;
  }
}

/** Ends the session at the index; if that fails, it ends by itself some day. */
async function leave() {
  await call("DELETE", "v1/sessions/current").catch(() => {});
  session.token = null;
}

/** Shows the desk to who is logged in. */
async function begin() {
  const [account, index] = await Promise.all([call("GET", "v1/me"), call("GET", "v1/index")]);
  if (!account.operator) {
    over({ status: 403, text: `${account.username} is no operator of this index.` });
    return;
  }
  $("login").hidden = true;
  $("password").value = "";
  $("desk").hidden = false;
  $("me").textContent = account.username;
  $("index-name").textContent = index.name;
  document.title = `Operators · ${index.name}`;
  for (const tab of Object.values(tabs)) tab.start({ me: account.username, attempt });
  load.reset();
  running = [repeat(load.refresh, load.every, failed)];
  const wanted = location.hash.slice(1);
  select(Object.hasOwn(tabs, wanted) ? wanted : "users");
}

function stop() {
  for (const end of running) end();
  running = [];
  stopTab();
  stopTab = () => {};
  $("confirm").close("no");
  for (const tab of Object.values(tabs)) {
    tab.close();
    tab.end?.();
  }
  $("load").replaceChildren();
  failed(null);
}

function select(name, focus = false) {
  stopTab();
  for (const other of Object.keys(tabs)) {
    const is = other === name;
    $(`tab-${other}`).setAttribute("aria-selected", is);
    $(`tab-${other}`).tabIndex = is ? 0 : -1;
    $(`panel-${other}`).hidden = !is;
    if (!is) tabs[other].close();
  }
  history.replaceState(null, "", `#${name}`);
  if (focus) $(`tab-${name}`).focus();
  failed(null);
  stopTab = repeat(tabs[name].refresh, tabs[name].every, failed);
}

for (const name of Object.keys(tabs)) {
  $(`tab-${name}`).onclick = () => select(name);
  $(`tab-${name}`).onkeydown = (event) => {
    const names = Object.keys(tabs);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const to = { Home: 0, End: names.length - 1 }[event.key]
      ?? (step && (names.indexOf(name) + step + names.length) % names.length);
    if (to === undefined) return;
    event.preventDefault();
    select(names[to], true);
  };
}
$("login-form").onsubmit = logIn;
$("logout").onclick = async () => {
  stop();
  await leave();
  showLogin();
};

if (session.token) begin().catch((problem) => {
  if (isOver(problem)) over(problem);
  else showLogin(problem.text ?? String(problem));
});
else showLogin();
