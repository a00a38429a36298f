// Which view is shown: the part of the address after `#`, such as `#/browse/alice/Music?x=1`.

/** The address of a view: path parts, and what is set of the query. */
export function route(parts, values = {}) {
  const path = parts.map(encodeURIComponent).join("/");
  const set = Object.entries(values).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return `#/${path}${set.length ? `?${new URLSearchParams(set)}` : ""}`;
}

/** The address whose view is shown: that of the page is another one while the next view is fetched. */
let shown = null;

/** What the address says now. */
export function here() {
  const address = location.hash;
  const [path, search] = address.replace(/^#\/?/, "").split("?");
  return { address, parts: path.split("/").filter(Boolean).map(decode), query: new URLSearchParams(search ?? "") };
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

/** The view of this address takes the place of the one before. */
export function arrived(address) {
  shown = address;
}

/** Changes the address without a new view: what a person would want to come back to. */
export function remember(address) {
  // A view that is left may not take the next one's address away.
  if (address === shown || location.hash !== shown) return;
  history.replaceState(history.state, "", address);
  shown = location.hash;
}
