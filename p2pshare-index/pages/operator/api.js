// The index's API. The token of the session is kept for this tab alone and is gone with it.

const KEY = "p2pshare-operator";

export const session = {
  get token() {
    return sessionStorage.getItem(KEY);
  },
  set token(token) {
    if (token) sessionStorage.setItem(KEY, token);
    else sessionStorage.removeItem(KEY);
  },
};

/** What the index answered instead of what was asked for. */
export class Problem extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail ?? `The index answered with ${status}`);
    this.status = status;
    this.kind = String(problem.type ?? "").replace("urn:p2pshare:problem:", "");
    this.hint = problem.hint;
    /** Seconds to wait before it is worth asking again. */
    this.retryAfter = retryAfter;
  }

  /** The whole of it, for people. */
  get text() {
    const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);
    const wait = this.retryAfter ? ` It may be tried again in ${this.retryAfter} s.` : "";
    const hint = this.hint && !this.retryAfter ? ` ${sentence(this.hint)}.` : "";
    return `${sentence(this.message)}.${hint}${wait}`;
  }
}

/** Makes a call; gives its JSON, or null if it has none. Throws a Problem. */
export async function call(method, path, body) {
  const headers = {};
  if (session.token) headers.authorization = `Bearer ${session.token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
    });
  } catch {
    throw new Problem(0, { detail: "the index does not answer", hint: "see whether it runs" });
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Problem(answer.status, problem, Number(answer.headers.get("retry-after")) || undefined);
}

/** The path with a query; what is missing is left out. */
export function query(path, values) {
  const given = Object.entries(values).filter(([, value]) => value !== undefined && value !== "");
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}

/**
 * Does `work` now and then again some milliseconds after it is done, while the page is seen, until the function that it
 * gives is called. When it fails it waits longer each time, or as long as the index says.
 */
export function repeat(work, every, failed) {
  let timer;
  let over = false;
  let failures = 0;
  const turn = async () => {
    let wait = every;
    if (!document.hidden) {
      try {
        await work();
        if (failures > 0) failed(null);
        failures = 0;
      } catch (problem) {
        if (over) return;
        failures += 1;
        wait = Math.max(Math.min(every * 2 ** failures, 30_000), (problem.retryAfter ?? 0) * 1000);
        failed(problem, wait);
      }
    }
    if (!over) timer = setTimeout(turn, wait);
  };
  turn();
  return () => {
    over = true;
    clearTimeout(timer);
  };
}
