// Dark, light, or as the system.

import { byId } from "./dom.js";

const STORED = "analyzer-agent.theme";
const THEMES = ["system", "dark", "light"];
const SIGNS = { system: "◐", dark: "☾", light: "☀" };
const NAMES = { system: "as the system", dark: "dark", light: "light" };

export class Theme {
  constructor(changed) {
    this.changed = changed;
    this.button = byId("theme");
    this.button.addEventListener("click", () => this.next());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
    let kept = null;
    try {
      kept = localStorage.getItem(STORED);
    } catch {
      // a browser may refuse storage to files
    }
    // As chosen here, or else as the client that shows the page in a frame has said.
    this.#set(THEMES.includes(kept) ? kept : (document.documentElement.dataset.theme ?? "system"));
  }

  next() {
    this.#set(THEMES[(THEMES.indexOf(this.theme) + 1) % THEMES.length]);
    try {
      localStorage.setItem(STORED, this.theme);
    } catch {
      // the choice then lasts as long as the page
    }
    this.changed();
  }

  #set(theme) {
    this.theme = theme;
    document.documentElement.dataset.theme = theme;
    this.button.textContent = SIGNS[theme];
    this.button.setAttribute("aria-label", `Colours: ${NAMES[theme]}`);
    this.button.title = this.button.getAttribute("aria-label");
  }
}
