// Pushes that come to their end, told wherever one is on the page.

import { live } from "./live.js";
import { tell } from "./parts.js";
import { fileName } from "./text.js";

/** What each push's state was when it was last told. */
const states = new Map();

/** Begins to watch for them. */
export function startPushes() {
  live.on("pushes", new AbortController().signal, ({ items }) => {
    for (const { id, state, path, user } of items) {
      const before = states.get(id);
      states.set(id, state);
      if (before !== "running") continue;
      if (state === "done") tell(`${fileName(path)} has arrived at ${user}`);
      if (state === "failed") tell(`${fileName(path)} did not arrive at ${user}`, "error", ["#/push", "Show"]);
    }
  });
}
