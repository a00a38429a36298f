// Light or dark, set before anything is drawn. No module, so that it runs at once.

(() => {
  const KEY = "p2pshare-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");

  const chosen = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const apply = () => {
    const theme = chosen() ?? (system.matches ? "dark" : "light");
    if (document.documentElement.dataset.theme === theme) return;
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new Event("theme"));
  };

  /** Turns light to dark and back. What the system says holds again once both say the same. */
  globalThis.toggleTheme = () => {
    const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try {
      if (next === (system.matches ? "dark" : "light")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
    } catch {
      // It holds for this page alone then.
    }
    document.documentElement.dataset.theme = next;
    dispatchEvent(new Event("theme"));
  };

  system.addEventListener("change", apply);
  apply();
})();
