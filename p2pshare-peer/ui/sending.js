// Files on their way to the peer. They belong to the page: whoever leaves a view finds them going on when they come back.

import { sendDropped } from "./api.js";
import { tell } from "./parts.js";
import { count } from "./text.js";

/** So many files that could not be sent are told of. */
const TOLD = 3;

class Sending extends EventTarget {
  /** What has been sent, what is being sent, and what waits, in this order. */
  #files = [];
  #at = 0;
  #loaded = 0;
  #bytes = { before: 0, total: 0 };
  #failed = [];
  #stop = null;

  /** Calls a listener with how it is now, and whenever that changes: see [`now`](Sending.now). */
  follow(signal, listener) {
    this.addEventListener("change", () => listener(this.now), { signal });
    listener(this.now);
  }

  /** How it is: the file that goes, which one of how many it is, bytes of it and of all, and what failed. */
  get now() {
    const current = this.#stop ? this.#files[this.#at] : null;
    return {
      current, number: this.#at + 1, files: this.#files.length,
      loaded: this.#loaded, done: this.#bytes.before + this.#loaded, total: this.#bytes.total,
      failed: this.#failed.slice(0, TOLD), more: Math.max(0, this.#failed.length - TOLD),
    };
  }

  /** Sends these files, each with its `name`, after those that are being sent. */
  add(files) {
    if (files.length === 0) return;
    if (!this.#stop) {
      this.#files = [];
      this.#failed = [];
      this.#bytes = { before: 0, total: 0 };
    }
    this.#files.push(...files);
    this.#bytes.total += files.reduce((sum, { file }) => sum + file.size, 0);
    if (this.#stop) this.#changed();
    else this.#run();
  }

  /** Sends no more. What has been sent stays. */
  stop() {
    this.#stop?.abort();
  }

  async #run() {
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    addEventListener("beforeunload", warn);
    let done = 0;
    for (this.#at = 0; this.#at < this.#files.length && !signal.aborted; this.#at += 1) {
      const { file, name } = this.#files[this.#at];
      this.#progress(0);
      try {
        await sendDropped(file, name, (loaded) => this.#progress(loaded), signal);
        done += 1;
      } catch (problem) {
        if (problem.name === "AbortError") break;
        this.#failed.push([name, problem]);
        // Nobody is there to take the others.
        if (problem.status === 0) {
          for (const each of this.#files.slice(this.#at + 1)) this.#failed.push([each.name, problem]);
          break;
        }
      }
      this.#bytes.before += file.size;
    }
    removeEventListener("beforeunload", warn);
    this.#stop = null;
    this.#changed();
    if (done > 0) tell(`${count(done, "file")} taken in: shared as soon as hashed`);
    if (this.#failed.length > 0) tell(`${count(this.#failed.length, "file")} could not be sent`, "error", ["#/shares", "Show"]);
  }

  #progress(loaded) {
    this.#loaded = loaded;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** Has the browser ask whether the page is to be left. */
function warn(event) {
  event.preventDefault();
}

export const sending = new Sending();
