// Whose peer this was, and where: what somebody typed or was stays in the fields for the next login, in this tab.

const KEY = "p2pshare-whom";

/** What is remembered: `username` and `index`, if anything is. */
export function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

/** Remembers these too. */
export function rememberWhom(some) {
  sessionStorage.setItem(KEY, JSON.stringify({ ...remembered(), ...some }));
}
