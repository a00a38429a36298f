// What has no room in the bar of a phone.

import { h, icon } from "../dom.js";
import { live } from "../live.js";
import { button, heading } from "../parts.js";
import { lessUsed, logOut, themeButton } from "../shell.js";

export default function more() {
  const { account } = live.last.state;
  const links = lessUsed().map(([place, name, label]) =>
    h("li", {}, h("a", { class: "more-link", href: `#/${place}` }, icon(name), h("span", {}, label), icon("next", "faint"))),
  );
  return {
    title: "More",
    element: h(
      "div",
      {},
      heading("More", { lead: `Logged in as ${account.username}` }),
      h("ul", { class: "card plain" }, links),
      h("div", { class: "row spread" },
        button({ label: "Log out", icon: "logout", click: logOut }),
        themeButton()),
    ),
  };
}
