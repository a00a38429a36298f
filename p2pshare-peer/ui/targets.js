// What somebody may type or paste into the search box that is no search: a link, a content id, a path of a user.

const LINK = /^p2pshare:https?:/i;
const CONTENT = /^[0-9a-f]{64}$/i;
const USER_PATH = /^([a-z0-9][a-z0-9._-]{0,31}):\/(.*)$/i;

/**
 * Reads it. Gives `null` if it is a search; otherwise `what` a download takes, the file's `name`, and for a path of a user
 * the `parts` of its address.
 */
export function readTarget(text) {
  const typed = text.trim();
  if (LINK.test(typed)) return { kind: "link", what: typed, name: nameOfLink(typed), index: indexOfLink(typed) };
  if (CONTENT.test(typed)) return { kind: "content", what: typed.toLowerCase(), name: typed.toLowerCase() };
  const path = USER_PATH.exec(typed);
  if (!path) return null;
  const parts = path[2].split("/").filter(Boolean);
  return { kind: "path", what: typed, name: parts.at(-1) ?? path[1], parts: [path[1].toLowerCase(), ...parts] };
}

function nameOfLink(link) {
  const name = link.replace(/#.*$/, "").split("/").pop();
  try {
    return decodeURIComponent(name) || "a file";
  } catch {
    return name;
  }
}

function indexOfLink(link) {
  try {
    return new URL(link.slice("p2pshare:".length)).host;
  } catch {
    return "";
  }
}
