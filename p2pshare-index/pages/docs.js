// Filters the calls as one types. `/` goes to the field, Escape empties it.

const form = document.querySelector(".filter");
const field = document.getElementById("filter");
const found = document.getElementById("found");
const contents = document.querySelector(".contents");
const calls = [...document.querySelectorAll("article.call")].map((article) => ({
  words: article.dataset.words,
  parts: [article, document.querySelector(`[data-call="${article.id}"]`)],
}));
const groups = [...document.querySelectorAll("[data-group]")];

function filter() {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const call of calls) {
    const matches = words.every((word) => call.words.includes(word));
    shown += matches;
    for (const part of call.parts) part.hidden = !matches;
  }
  for (const group of groups) {
    group.hidden = !group.querySelector("article.call:not([hidden]), li:not([hidden])");
  }
  contents.classList.toggle("filtered", words.length > 0);
  found.textContent = words.length === 0 ? "" : shown === 1 ? "1 call" : `${shown} calls`;
}

form.hidden = false;
field.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("keydown", (event) => {
  if (event.key === "/" && document.activeElement !== field) {
    event.preventDefault();
    field.focus();
  } else if (event.key === "Escape" && document.activeElement === field) {
    field.value = "";
    filter();
  }
});
// A link to a call that is filtered away shows it.
addEventListener("hashchange", () => {
  if (document.getElementById(location.hash.slice(1))?.closest("[hidden]")) {
    field.value = "";
    filter();
    document.getElementById(location.hash.slice(1)).scrollIntoView();
  }
});
filter();
