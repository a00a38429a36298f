// The downloads that this page knows, kept up to date, newest first.

import { api, query } from "./api.js";
import { throttle } from "./dom.js";
import { live } from "./live.js";
import { tell } from "./parts.js";

const PAGE = 200;
/** Downloads that are asked for at once when all that is known is fetched anew. */
const ALL_PAGE = 1_000;
const SETTLED = new Set(["done", "failed", "cancelled"]);

/** Whether nothing happens to a download any more by itself. */
export function isSettled(download) {
  return SETTLED.has(download.state);
}

/** What each download's state was when it was last told, to see which one has come to its end. */
const states = new Map();

/** Begins to watch for downloads that end, wherever one is on the page. */
export function startDownloads() {
  /** When the peer told of them last, by its own clock; `null` before the first list, in which no end is news. */
  let told = null;
  live.on("downloads", new AbortController().signal, ({ items, removed, reset, at }) => {
    const done = [];
    const failed = [];
    for (const item of items) {
      // A list of all has old ones too. One that is told for the first time is news if it has ended since the last word.
      const isNews = !reset || (told !== null && item.finished_at >= told);
      const before = states.get(item.id) ?? (isNews ? "new" : item.state);
      states.set(item.id, item.state);
      if (SETTLED.has(before)) continue;
      if (item.state === "done") done.push(item);
      if (item.state === "failed") failed.push(item);
    }
    for (const id of removed) states.delete(id);
    told = at;
    announce(done, "is complete", "downloads are complete", "info");
    announce(failed, "has failed", "downloads have failed", "error");
  });
}

function announce(items, one, many, level) {
  if (items.length === 0) return;
  const text = items.length === 1 ? `${items[0].title} ${one}` : `${items.length} ${many}`;
  tell(text, level, [items.length === 1 ? `#/downloads/${items[0].id}` : "#/downloads", "Show"]);
}

/**
 * A list of downloads: `active`, `settled` or `all`. `changed(items, complete, totals)` is called whenever it has changed,
 * `failed` when a page of it could not be fetched.
 */
export class DownloadList {
  #filter;
  #signal;
  #changed;
  #failed;
  #byId = new Map();
  #next = null;
  #complete = false;
  #asking = false;
  /** What was told while something is fetched: it is newer. */
  #meanwhile = null;
  #reload;
  #totals = live.last.downloads?.totals ?? null;

  constructor({ filter, signal, changed, failed }) {
    this.#filter = filter;
    this.#signal = signal;
    this.#changed = changed;
    this.#failed = failed;
    this.#reload = throttle(2_000, signal, () => this.#fetchAnew());
    live.on("downloads", signal, (news) => {
      // After a gap in the stream, or when much has changed at once, all that is known may be old.
      if (news.reset && this.#byId.size > 0) this.#reload();
      else this.#take(news);
    });
  }

  /** Fetches as much as is known once more, and shows it when it is there: whoever looks at it stays where they are. */
  async #fetchAnew() {
    if (this.#asking) return this.#reload();
    this.#asking = true;
    this.#meanwhile = [];
    try {
      const fresh = new Map();
      let page;
      do {
        const asked = query({ state: this.#filter, after: page?.next, limit: ALL_PAGE });
        page = await api.get(`/api/downloads${asked}`, { signal: this.#signal });
        for (const item of page.items) fresh.set(item.id, item);
      } while (page.next && fresh.size < this.#byId.size);
      const told = this.#meanwhile;
      this.#meanwhile = null;
      this.#byId = fresh;
      this.#next = page.next;
      this.#complete = !page.next;
      this.#totals = page.totals;
      this.#tell();
      for (const news of told) this.#take(news);
    } catch (problem) {
      if (problem.name !== "AbortError") this.#failed(problem);
    } finally {
      this.#meanwhile = null;
      this.#asking = false;
    }
    return undefined;
  }

  /** Fetches what follows. */
  async more() {
    if (this.#asking || this.#complete) return;
    this.#asking = true;
    this.#meanwhile = [];
    try {
      const asked = query({ state: this.#filter, after: this.#next, limit: PAGE });
      const page = await api.get(`/api/downloads${asked}`, { signal: this.#signal });
      const told = this.#meanwhile;
      this.#meanwhile = null;
      for (const item of page.items) this.#byId.set(item.id, item);
      this.#next = page.next;
      this.#complete = !page.next;
      this.#totals = page.totals;
      this.#tell();
      for (const news of told) this.#take(news);
    } catch (problem) {
      if (problem.name !== "AbortError") this.#failed(problem);
    } finally {
      this.#meanwhile = null;
      this.#asking = false;
    }
  }

  /** Takes one that an action gave. */
  put(download) {
    this.#take({ items: [download], removed: [], totals: this.#totals });
  }

  /** Takes one out that was forgotten. */
  remove(id) {
    this.#take({ items: [], removed: [id], totals: this.#totals });
  }

  #take(news) {
    this.#meanwhile?.push(news);
    const { items, removed, totals } = news;
    this.#totals = totals;
    for (const id of removed ?? []) this.#byId.delete(id);
    const oldest = this.#complete ? -1 : Math.min(...this.#byId.keys());
    for (const item of items) {
      if (!this.#fits(item)) this.#byId.delete(item.id);
      // One that is older than what has been fetched comes with its page.
      else if (this.#byId.has(item.id) || item.id > oldest) this.#byId.set(item.id, item);
    }
    this.#tell();
  }

  #fits(item) {
    if (this.#filter === "all") return true;
    return isSettled(item) === (this.#filter === "settled");
  }

  #tell() {
    const items = [...this.#byId.values()].sort((a, b) => b.id - a.id);
    this.#changed(items, this.#complete, this.#totals);
  }
}
