// What is around every view: navigation, the account, and how the peer is.

import { api } from "./api.js";
import { confirm } from "./dialog.js";
import { fill, h, icon, setAttribute, setText, show } from "./dom.js";
import { live } from "./live.js";
import { button, tell, toastPlace } from "./parts.js";
import { rate } from "./text.js";

/** Views in the navigation: the first part of their address, their icon and their name. */
const PLACES = [
  ["search", "search", "Search"],
  ["downloads", "download", "Downloads"],
  ["shares", "folder", "Shares"],
  ["push", "send", "Push"],
  ["uploads", "upload", "Uploads"],
  ["groups", "users", "Groups"],
  ["settings", "gear", "Settings"],
];
/** Those that have no room in the bar of a phone, and are listed under More. */
const LESS_USED = ["uploads", "groups", "settings"];

const badges = new Map();

/** Builds it. Gives the element that views are put into, and `at`, which marks where one is. */
export function buildShell() {
  const main = h("main", { id: "main", tabindex: "-1" });
  const items = PLACES.map(([place, name, label]) => navItem(place, name, label));
  const more = navItem("more", "more", "More", "only-phone");
  const account = accountBox();
  const banner = connectionBanner();
  const app = h(
    "div",
    { class: "app" },
    h(
      "header",
      { class: "side" },
      h("a", { class: "brand", href: "#/search" }, icon("logo"), h("span", {}, "p2pshare")),
      h("nav", { "aria-label": "Main" }, h("ul", {}, items, more)),
      account,
    ),
    h("div", { class: "content" }, banner, main),
  );
  const skip = h("a", { class: "skip", href: "#main", on: { click: skipTo(main) } }, "Skip to content");
  document.body.prepend(skip, app);
  document.body.append(toastPlace());
  followCounts();

  const at = (place) => {
    for (const link of app.querySelectorAll("nav a")) {
      const own = link.dataset.place;
      const here = own === place || (own === "more" && LESS_USED.includes(place));
      setAttribute(link, "aria-current", here ? (own === place ? "page" : "true") : null);
    }
  };
  const loggedIn = (is) => app.classList.toggle("alone", !is);
  return { main, at, loggedIn };
}

function skipTo(main) {
  return (event) => {
    event.preventDefault();
    main.focus();
  };
}

function navItem(place, name, label, className = "") {
  const badge = h("span", { class: "count", hidden: true });
  badges.set(place, badge);
  const small = LESS_USED.includes(place) ? "not-phone" : className;
  return h(
    "li",
    { class: small },
    h("a", { href: `#/${place}`, dataset: { place } }, icon(name), h("span", {}, label), badge),
  );
}

/** The places that a phone's bar has no room for, for the view that lists them. */
export function lessUsed() {
  return PLACES.filter(([place]) => LESS_USED.includes(place));
}

/** The button between light and dark. */
export function themeButton() {
  const dark = () => document.documentElement.dataset.theme === "dark";
  const made = button({ label: "Dark colours", icon: "moon", bare: true, kind: "quiet", click: () => toggleTheme() });
  const update = () => {
    made.setAttribute("aria-pressed", String(dark()));
  };
  addEventListener("theme", update);
  update();
  return made;
}

/** Asks whether to log out, and does. */
export async function logOut() {
  await confirm({
    title: "Log out?",
    text: "What you share is not there for others, and downloads wait, until somebody logs in again.",
    action: "Log out",
    kind: "primary",
    work: async () => live.tell("state", await api.post("/api/logout", {})),
  });
}

function accountBox() {
  const name = h("p", { class: "who" });
  const where = h("p", { class: "where" });
  const dot = h("span", { class: "dot", "aria-hidden": "true" });
  const draw = () => {
    const { account, online } = live.last.state ?? {};
    const isGone = live.connection === "waiting" || live.connection === "shut-out";
    setText(name, account?.username ?? "");
    setText(where, account ? (isGone ? "No answer" : online ? "Online" : "Not online") : "");
    dot.className = `dot ${online && !isGone ? "on" : "off"}`;
  };
  live.follow("state", new AbortController().signal, draw);
  live.addEventListener("connection", draw);
  return h(
    "div",
    { class: "account" },
    h("div", { class: "account-text" }, name, h("div", { class: "row tight" }, dot, where)),
    themeButton(),
    button({ label: "Log out", icon: "logout", bare: true, kind: "quiet", click: logOut }),
  );
}

function followCounts() {
  const signal = new AbortController().signal;
  const set = (place, number, what) => {
    const badge = badges.get(place);
    show(badge, number > 0);
    fill(badge, number > 999 ? "999+" : number, h("span", { class: "sr-only" }, ` ${what}`));
  };
  live.follow("downloads", signal, ({ totals }) => {
    set("downloads", totals.active + totals.queued, totals.rate > 0 ? `active, ${rate(totals.rate)}` : "active");
  });
  live.follow("uploads", signal, ({ running }) => set("uploads", running.length, "running"));
}

/** A line above the view when the peer is gone, when this page may not ask it any more, or when the peer has trouble. */
function connectionBanner() {
  const element = h("div", { class: "banners", role: "status" });
  let gone = null;
  let trouble = null;
  let slow = null;
  const draw = () => fill(element, gone, trouble);
  const again = () => button({ label: "Try now", kind: "small", click: () => live.retry() });
  live.addEventListener("connection", ({ detail }) => {
    if (detail === "connecting") return;
    if (detail === "waiting") {
      // A peer that is started again in a second is not worth a word. Each try that fails comes here again.
      slow ??= setTimeout(() => {
        gone = banner("The peer does not answer: it does not run, or it is starting. After a new start, open the link that it prints.", [again()]);
        draw();
      }, 1_500);
      return;
    }
    clearTimeout(slow);
    slow = null;
    gone = detail === "shut-out"
      ? banner("The peer was started anew, and this page has no key to it. Run p2pshare-peer ui, and open the link that it prints in this browser: then this page goes on too.", [again()])
      : null;
    draw();
  });
  live.follow("state", new AbortController().signal, (state) => {
    trouble = state.account && state.trouble ? banner(state.trouble, [], "warning") : null;
    draw();
  });
  live.addEventListener("notice", ({ detail }) => tell(detail.text, detail.level));
  return element;
}

function banner(text, actions, kind = "danger") {
  return h("div", { class: `banner ${kind}` }, icon("alert"), h("p", {}, text), actions);
}
