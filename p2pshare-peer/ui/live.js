// What the peer tells by itself: one stream of events, kept up with back-off, and the last of each kind.

import { api, query } from "./api.js";

const KINDS = ["state", "downloads", "shares", "uploads", "pushes", "inbox", "notice"];

/** Longest wait before the stream is tried again, in milliseconds. */
const LONGEST_WAIT = 15_000;
/** A hidden page gives its connection back after so many milliseconds: a browser has only six for one peer. */
const HIDDEN_FOR = 2_000;

class Live extends EventTarget {
  /** The last of each kind that was told, by its name. */
  last = {};
  /** `connecting`, `open`, `waiting` (`retryAt` says until when) or `shut-out`, until this browser has a new key. */
  connection = "connecting";
  retryAt = 0;

  #source = null;
  /** How far the peer's notices were heard: it names the run of the peer, and the last notice. */
  #heard = "";
  #wait = 0;
  #timer = null;
  #hidden = null;

  /** Which run of the peer tells: empty before the first word of it. */
  get run() {
    return this.#heard.split("-")[0];
  }

  /** Begins to listen to the peer. */
  start() {
    document.addEventListener("visibilitychange", () => this.#visibility());
    for (const event of ["online", "focus"]) addEventListener(event, () => this.retry());
    this.#visibility();
  }

  /** Calls a listener with what was told last of this kind, if anything was, and whenever it is told anew. */
  follow(kind, signal, listener) {
    this.addEventListener(kind, (event) => listener(event.detail), { signal });
    if (this.last[kind] !== undefined) listener(this.last[kind]);
  }

  /** Calls a listener with what is told from now on. */
  on(kind, signal, listener) {
    this.addEventListener(kind, (event) => listener(event.detail), { signal });
  }

  /** Takes what was asked for as if the peer had told it. */
  tell(kind, detail) {
    this.last[kind] = detail;
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  /** Asks for what is told of a kind, and takes the answer unless something newer was told meanwhile. */
  async ask(kind, options) {
    const before = this.last[kind];
    const answer = await api.get(`/api/${kind}`, options);
    if (this.last[kind] === before) this.tell(kind, answer);
  }

  /** Tries again at once, unless it is being tried: whoever is impatient would only begin anew each time. */
  retry() {
    if (!this.#source && (this.connection === "waiting" || this.connection === "shut-out")) this.#again();
  }

  #open() {
    clearTimeout(this.#timer);
    this.#source?.close();
    if (this.connection === "open") this.#become("connecting");
    // A notice is told once. Whoever was away hears those of that time; whoever begins hears none of before.
    const source = new EventSource(`/api/events${query({ after: this.#heard })}`);
    this.#source = source;
    source.addEventListener("open", () => {
      this.#wait = 0;
      this.#become("open");
    });
    source.addEventListener("error", () => this.#lost());
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        this.#heard = event.lastEventId;
        this.tell(kind, JSON.parse(event.data));
      });
    }
  }

  async #lost() {
    this.#source?.close();
    this.#source = null;
    clearTimeout(this.#timer);
    this.#wait = Math.min(LONGEST_WAIT, this.#wait ? this.#wait * 2 : 500);
    // With a little of its own, so that many pages do not come back at once.
    const wait = this.#wait * (0.75 + Math.random() / 2);
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.#again(), wait);
    const wasShutOut = this.connection === "shut-out";
    if (!wasShutOut) this.#become("waiting");
    try {
      this.tell("state", await api.get("/api/state"));
    } catch (problem) {
      if (problem.shutOut) {
        // Only a new key helps, which another page of this browser gets: then whoever looks at this one tries again.
        clearTimeout(this.#timer);
        if (!wasShutOut) this.#become("shut-out");
      } else if (wasShutOut) this.#become("waiting");
    }
  }

  /** Tries again, unless nobody looks: then once somebody does. */
  #again() {
    if (!document.hidden) this.#open();
  }

  #visibility() {
    clearTimeout(this.#hidden);
    if (document.hidden) {
      this.#hidden = setTimeout(() => {
        this.#source?.close();
        this.#source = null;
      }, HIDDEN_FOR);
    } else if (!this.#source) this.#open();
  }

  #become(connection) {
    this.connection = connection;
    this.dispatchEvent(new CustomEvent("connection", { detail: connection }));
  }
}

export const live = new Live();
