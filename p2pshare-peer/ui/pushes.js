// Pushes that come to their end, told wherever one is on the page.

import { live } from "./live.js";
import { tell } from "./parts.js";
import { fileName } from "./text.js";

/** Begins to watch for them. */
export function startPushes() {
  /** What each push's state was when it was last told; none before the first list, whose ends are not news. */
  let states = null;
  let run = "";
  live.on("pushes", new AbortController().signal, ({ items }) => {
    // A peer that was started anew numbers them anew.
    if (run && run !== live.run) states?.clear();
    run = live.run;
    for (const { id, state, path, user } of states ? items : []) {
      // One that was never seen running began and ended between two lists: so is one that cannot even begin.
      if ((states.get(id) ?? "running") !== "running") continue;
      if (state === "done") tell(`${fileName(path)} has arrived at ${user}`);
      if (state === "failed") tell(`${fileName(path)} did not arrive at ${user}`, "error", ["#/push", "Show"]);
    }
    states = new Map(items.map(({ id, state }) => [id, state]));
  });
}
