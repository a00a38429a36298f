// Begins: asks how the peer is, then shows the view that the address names.

import { api } from "./api.js";
import { closeDialogs } from "./dialog.js";
import { fill, h, loadIcons, setAttribute } from "./dom.js";
import { startDownloads } from "./downloads.js";
import { live } from "./live.js";
import { loading, problemBox, tell } from "./parts.js";
import { startPushes } from "./pushes.js";
import { arrived, here, route } from "./router.js";
import { followScroll, restoreScroll } from "./scroll.js";
import { buildShell } from "./shell.js";

/** Views by the first part of their address. Each is a module whose default export makes it. */
const VIEWS = {
  search: () => import("./views/search.js"),
  browse: () => import("./views/browse.js"),
  downloads: (parts) => (parts.length > 1 ? import("./views/download.js") : import("./views/downloads.js")),
  shares: () => import("./views/shares.js"),
  push: () => import("./views/push.js"),
  uploads: () => import("./views/uploads.js"),
  groups: (parts) => (parts.length > 1 ? import("./views/group.js") : import("./views/groups.js")),
  settings: () => import("./views/settings.js"),
  more: () => import("./views/more.js"),
};
const LOGIN = () => import("./views/login.js");

const shell = buildShell();
let leave = new AbortController();
let account;
/** Who was logged in before. */
let lastUser;
let first = true;
/** How often a view was asked for: one that comes after a later one was asked for is not shown any more. */
let turns = 0;

/** Shows the view of the address; to those who are not logged in, the one where they can. */
async function showView() {
  turns += 1;
  const turn = turns;
  setAttribute(shell.main, "aria-busy", "true");
  const { address, parts, query } = here();
  const known = Object.hasOwn(VIEWS, parts[0] ?? "");
  // In place of this address, or the way back would lead to it and here again.
  if (account && !known) return location.replace(route(["search"]));

  const load = account ? () => VIEWS[parts[0]](parts) : LOGIN;
  shell.loggedIn(Boolean(account));
  shell.at(account ? parts[0] : "login");
  // A part of the page that cannot be fetched: most likely the peer is gone.
  const module = await load().catch((error) => ({ default: () => failed(error) }));
  if (turn !== turns) return undefined;

  // The view before was seen until now, and has worked until now.
  leave.abort();
  closeDialogs();
  leave = new AbortController();
  const { signal } = leave;
  arrived(address);
  let view;
  try {
    view = module.default({ parts: parts.slice(1), query, signal, lastUser });
  } catch (error) {
    view = failed(error);
  }
  // What had the focus goes with its view.
  if (shell.main.contains(document.activeElement)) document.activeElement.blur();
  document.title = `${view.title} · p2pshare`;
  fill(shell.main, h("div", { class: `view ${view.className ?? ""}`.trim() }, view.element));
  setAttribute(shell.main, "aria-busy", null);
  restoreScroll(shell.main, signal);
  // Those who listen hear where they are. At the beginning the browser tells the title.
  if (!first) shell.main.querySelector("[data-first], h1")?.focus({ preventScroll: true });
  else shell.main.querySelector("[data-first]")?.focus();
  // From here on one can read, type and press: how long it took, the browser's tools show.
  if (first) performance.mark("ready");
  first = false;
  return undefined;
}

function failed(error) {
  const problem = { title: "This part of the page could not be loaded", message: error.message };
  return { title: "Not loaded", element: problemBox(problem, () => location.reload()) };
}

async function start() {
  fill(shell.main, loading());
  // Whether they can be had or not, the page can be used.
  loadIcons().catch(() => {});
  try {
    live.tell("state", await api.get("/api/state"));
  } catch (problem) {
    const hint = problem.status === 401 ? "Run p2pshare-peer ui, and open the link that it prints." : problem.hint;
    const box = { title: problem.title, message: problem.message, hint };
    fill(shell.main, problemBox(box, () => location.reload()));
    shell.loggedIn(false);
    return;
  }
  account = live.last.state.account?.username;
  live.on("state", leaveNever, (state) => {
    const now = state.account?.username;
    if (now === account) return;
    // Of a session that was ended elsewhere the view tells why.
    if (!now && !state.ended) tell("You are logged out.");
    lastUser = account ?? lastUser;
    account = now;
    showView();
  });
  addEventListener("hashchange", showView);
  startDownloads();
  startPushes();
  followScroll();
  live.start();
  await showView();
}

const leaveNever = new AbortController().signal;

start();
