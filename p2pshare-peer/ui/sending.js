// Files on their way from the browser to the peer. They go on whatever view is shown.

import { sendDropped } from "./api.js";
import { tell } from "./parts.js";
import { count } from "./text.js";

const warn = (event) => event.preventDefault();

/** Sends files one after the other. Tells a `change` whenever what it says of itself is another. */
class Sending extends EventTarget {
  /** The name of the file that is being sent; `null`: none is. */
  name = null;
  /** Files of which each is sent by now, or failed. */
  done = 0;
  files = 0;
  sent = 0;
  bytes = 0;
  /** Pairs of a name and why it could not be sent. */
  failed = [];

  #waiting = [];
  #stop = null;

  /** Sends these too: objects with the `file` and its `name`, which may have folders. */
  add(files) {
    if (files.length === 0) return;
    this.#waiting.push(...files);
    this.files += files.length;
    this.bytes += files.reduce((sum, { file }) => sum + file.size, 0);
    if (this.#stop) this.#tell();
    else this.#run();
  }

  /** Sends none of those any more that have not arrived. */
  stop() {
    this.#waiting = [];
    this.#stop?.abort();
  }

  /** Forgets what failed. */
  forget() {
    this.failed = [];
    this.#tell();
  }

  async #run() {
    this.#stop = new AbortController();
    this.failed = [];
    addEventListener("beforeunload", warn);
    let arrived = 0;
    while (this.#waiting.length > 0) {
      const { file, name } = this.#waiting.shift();
      const before = this.sent;
      this.name = name;
      this.#tell();
      try {
        await sendDropped(file, name, (loaded) => {
          this.sent = before + Math.min(loaded, file.size);
          this.#tell();
        }, this.#stop.signal);
        arrived += 1;
      } catch (problem) {
        if (problem.name === "AbortError") break;
        this.failed.push([name, problem]);
        // Nor would the others arrive.
        if (problem.status === 0 || problem.shutOut) {
          this.failed.push(...this.#waiting.map((each) => [each.name, problem]));
          break;
        }
      }
      this.sent = before + file.size;
      this.done += 1;
    }
    this.#waiting = [];
    this.#stop = null;
    removeEventListener("beforeunload", warn);
    this.name = null;
    this.done = this.files = this.sent = this.bytes = 0;
    this.#tell();
    if (arrived > 0) tell(`${count(arrived, "file")} taken in: shared as soon as hashed`, "info", ["#/shares", "Show"]);
    if (this.failed.length > 0) tell(`${count(this.failed.length, "file")} could not be sent to the peer`, "error", ["#/shares", "Show"]);
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

export const sending = new Sending();
