// Tabs, of which one is shown, as the ARIA practices have them.

import { byId } from "./dom.js";

export class Tabs {
  constructor(names, shown) {
    this.names = names;
    this.shown = shown;
    for (const name of names) {
      const tab = byId(`tab-${name}`);
      tab.addEventListener("click", () => this.open(name));
      tab.addEventListener("keydown", (event) => this.#key(event, name));
    }
  }

  open(name, focus = false) {
    this.current = name;
    for (const one of this.names) {
      const tab = byId(`tab-${one}`);
      tab.setAttribute("aria-selected", one === name ? "true" : "false");
      tab.tabIndex = one === name ? 0 : -1;
      byId(one).hidden = one !== name;
    }
    if (focus) byId(`tab-${name}`).focus();
    this.shown(name);
  }

  label(name, text) {
    byId(`tab-${name}`).textContent = text;
  }

  #key(event, name) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!by) return;
    const { length } = this.names;
    this.open(this.names[(this.names.indexOf(name) + by + length) % length], true);
    event.preventDefault();
    event.stopPropagation();
  }
}
