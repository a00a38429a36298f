// Watches for pushes that come to their end, wherever one is on the page.

import { live } from "./live.js";
import { tell } from "./parts.js";
import { fileName } from "./text.js";

/** Pushes that ran when they were last told. */
let running = new Set();

/** Begins to watch. */
export function startPushes() {
  live.on("pushes", new AbortController().signal, ({ items }) => {
    for (const { id, state, path, user, error } of items) {
      if (!running.has(id)) continue;
      const link = ["#/push", "Show"];
      if (state === "done") tell(`${fileName(path)} has arrived at ${user}`, "info", link);
      if (state === "failed") tell(`${fileName(path)} was not sent to ${user}: ${error}`, "error", link);
    }
    running = new Set(items.filter((each) => each.state === "running").map((each) => each.id));
  });
}
