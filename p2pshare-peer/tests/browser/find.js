// What can be seen, by its name. A dialog that is open is all that counts.

const top_ = () => [...document.querySelectorAll("dialog[open]")].at(-1) ?? document.body;
const isSeen = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest("[inert]");
const tidy = (text) => (text ?? "").replace(/\s+/g, " ").trim();
const nameOf = (element) => {
  const labels = [...(element.labels ?? [])].map((label) => tidy(label.innerText)).join(" ");
  return tidy(element.getAttribute("aria-label")) || labels || tidy(element.innerText);
};
const all = (selector) => [...top_().querySelectorAll(selector)].filter(isSeen);
const named = (selector, name) =>
  all(selector).find((each) => nameOf(each) === name) ??
  all(selector).find((each) => tidy(each.innerText) === name) ?? null;
// A place in the navigation may have a number behind its name, and a kind of file is chosen by its label.
const control = (name) =>
  named("button, a[href], [role=switch], label.chip", name) ??
  all("nav a").find((each) => tidy(each.innerText).startsWith(`${name} `)) ?? null;
const field = (name) => named("input:not([type=checkbox], [type=radio], [type=file])", name);
const sees = (text) => tidy(top_().innerText).includes(text);
const choose = (name, value) => {
  const list = named("select", name);
  if (!list || ![...list.options].some((option) => option.value === value)) return false;
  list.value = value;
  list.dispatchEvent(new Event("input", { bubbles: true }));
  list.dispatchEvent(new Event("change", { bubbles: true }));
  return true;
};
const isSettled = () =>
  Boolean(document.querySelector("main h1")) && !document.querySelector("main[aria-busy], main :is(.loading, .old)");
