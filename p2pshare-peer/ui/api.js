// Calls of the peer's local API.

/** An error that the peer told, or that there is no peer to tell one. */
export class Problem extends Error {
  constructor({ title, detail, hint, status, type }) {
    super(detail || title);
    this.title = title;
    this.detail = detail;
    this.hint = hint;
    this.status = status;
    this.kind = (type ?? "").split(":").pop();
  }

  /** Whether this page may not ask the peer any more. */
  get shutOut() {
    return this.status === 401 && this.kind === "no-access";
  }
}

const GONE = {
  title: "The peer does not answer",
  detail: "p2pshare-peer is not running, or this page has lost it.",
  hint: "Start it again with p2pshare-peer serve, and open the link that it prints.",
  status: 0,
};

/** Asks for something; gives the answer's JSON, or `null` if it has none. Throws a [`Problem`]. */
async function request(method, path, { body, signal } = {}) {
  const options = { method, signal, credentials: "same-origin", cache: "no-store" };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(GONE);
  }
  if (!response.ok) throw await problemOf(response);
  if (response.status === 204) return null;
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

async function problemOf(response) {
  const text = await response.text().catch(() => "");
  return readProblem(response.status, text);
}

/** The problem that an answer with this status and body tells. */
export function readProblem(status, text) {
  let told = {};
  try {
    told = JSON.parse(text);
  } catch {
    // It is no problem document: the status must do.
  }
  return new Problem({ title: `The peer answered with status ${status}`, ...told, status });
}

/** A query string of what is set. */
export function query(values) {
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return set.length ? `?${new URLSearchParams(set)}` : "";
}

const part = encodeURIComponent;

export const api = {
  get: (path, options) => request("GET", path, options),
  post: (path, body, options) => request("POST", path, { ...options, body }),
  put: (path, body) => request("PUT", path, { body }),
  patch: (path, body) => request("PATCH", path, { body }),
  delete: (path) => request("DELETE", path),
  download: (what, folder) => request("POST", "/api/downloads", { body: folder ? { what, folder } : { what } }),
  link: (content, name) => request("GET", `/api/links/${part(content)}${query({ name })}`),
};

/** The path under which the peer streams a content while it fetches it. */
export function gateway(content, name) {
  return `/content/${part(content)}/${part(name)}`;
}

/**
 * Sends a file's bytes, to be kept and shared under a name that may have folders. Calls `progress` with how many bytes
 * have gone.
 */
export function sendDropped(file, name, progress, signal) {
  return new Promise((resolve, reject) => {
    const call = new XMLHttpRequest();
    call.open("PUT", `/api/dropped${query({ name })}`);
    call.setRequestHeader("content-type", "application/octet-stream");
    call.upload.addEventListener("progress", (event) => progress(event.loaded));
    call.addEventListener("load", () => {
      if (call.status < 300) resolve(JSON.parse(call.responseText || "null"));
      else reject(readProblem(call.status, call.responseText));
    });
    call.addEventListener("error", () => reject(new Problem(GONE)));
    call.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
    signal?.addEventListener("abort", () => call.abort());
    call.send(file);
  });
}
