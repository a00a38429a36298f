// Which view is shown: the part of the address after `#`, such as `#/browse/alice/Music?x=1`.

/** The address of a view: path parts, and what is set of the query. */
export function route(parts, values = {}) {
  const path = parts.map(encodeURIComponent).join("/");
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#/${path}${set.length ? `?${new URLSearchParams(set)}` : ""}`;
}

/** What the address says now. */
export function here() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(search ?? "") };
}

function decode(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Goes to a view. */
export function go(address) {
  location.hash = address;
}

/** Changes the address without a new view: what a person would want to come back to. */
export function remember(address) {
  if (address !== location.hash) history.replaceState(history.state, "", address);
}
