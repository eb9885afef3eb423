// The list of notes: filtered by lanes and words, with words that can be clicked.

import { byId, element, marked } from "./dom.js";
import { VirtualList } from "./list.js";
import { clock, counted, places, span } from "./text.js";

const LEFT_ALONE_MS = 5000;

export class NoteList {
  constructor(state) {
    this.state = state;
    this.filters = element("div", { class: "filters", role: "group", "aria-label": "Notes of these lanes" });
    this.elsewhere = element("p", { class: "elsewhere", hidden: true });
    this.none = element("p", { class: "none", hidden: true });
    this.box = element("div", { class: "list", role: "listbox", "aria-label": "Notes", tabIndex: 0 });
    byId("notes").append(this.filters, this.elsewhere, this.none, this.box);
    this.list = new VirtualList(this.box, (note, index) => this.#row(note, index));
    this.box.addEventListener("click", (event) => this.#click(event));
    this.box.addEventListener("keydown", (event) => this.#key(event));
    state.on("video data", () => this.build());
    state.on("search filter", () => this.#show());
    state.on("select", () => this.#select());
    state.on("current", () => this.#follow());
    for (const name of ["wheel", "touchmove", "keydown"])
      this.box.addEventListener(name, () => (this.touched = performance.now()), { passive: true });
    this.build();
  }

  build() {
    const { state } = this;
    const toggles = state.video.lanes.map((_, number) =>
      element(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-pressed": state.hidden.has(number) ? "false" : "true",
          onclick: (event) => this.#toggle(event, number),
        },
        element("i", { class: `swatch lane-${number % 8}` }),
        state.video.laneName(number),
      ),
    );
    this.filters.replaceChildren(...toggles);
    this.filters.hidden = toggles.length < 2;
    this.#show();
  }

  /** Move to the next (1) or previous (-1) note of the list. */
  move(by) {
    const { found } = this.state;
    if (!found.length) return;
    const here = found.indexOf(this.state.note);
    this.#go(here >= 0 ? here + by : this.#after(by));
  }

  #go(index) {
    const { found } = this.state;
    if (found.length) this.state.select(found[Math.max(0, Math.min(found.length - 1, index))]);
  }

  /** Mark the note that plays, and keep it in view unless somebody has just moved the list. */
  #follow() {
    for (const row of this.box.querySelectorAll(".now")) row.classList.remove("now");
    const index = this.state.current ? this.state.found.indexOf(this.state.current) : -1;
    if (index >= 0 && performance.now() - (this.touched ?? -Infinity) > LEFT_ALONE_MS) this.list.reveal(index);
    this.list.row(index)?.classList.add("now");
  }

  /** Return the index of the first note after the time, or the last before it. */
  #after(by) {
    const index = this.state.found.findIndex((note) => note.start >= this.state.at);
    if (by > 0) return index < 0 ? this.state.found.length - 1 : index;
    return (index < 0 ? this.state.found.length : index) - 1;
  }

  #toggle(event, number) {
    this.state.toggle(number);
    event.currentTarget.setAttribute("aria-pressed", this.state.hidden.has(number) ? "false" : "true");
  }

  #show() {
    const { found, video, words, source } = this.state;
    this.list.show(found);
    this.box.hidden = !found.length;
    this.none.hidden = found.length > 0;
    this.none.textContent = video.notes.length
      ? "No note matches."
      : "There are no notes on this video yet. “Looked at” tells what was examined.";
    const others = words.length ? source.videos.filter((other) => other !== video).map((other) => [other, other.search(words).length]) : [];
    const links = others
      .filter(([, count]) => count)
      .map(([other, count]) =>
        element("button", { type: "button", class: "link", onclick: () => this.state.open(other.id) }, `${other.name} (${count})`),
      );
    this.elsewhere.replaceChildren("Also in: ", ...links);
    this.elsewhere.hidden = !links.length;
    this.#select();
  }

  #row(note, index) {
    const { state } = this;
    const chosen = note === state.note;
    const head = element(
      "div",
      { class: "about" },
      element("time", {}, clock(note.start)),
      element(
        "span",
        { class: `kind lane-${note.lane % 8}` },
        element("i", { class: `swatch lane-${note.lane % 8}` }),
        state.video.laneName(note.lane),
      ),
      note.uncertain ? element("span", { class: "doubt" }, "uncertain") : null,
      element("span", { class: "id" }, `#${note.id}`),
    );
    const text = element(
      "div",
      { class: "text", dir: "auto" },
      ...(note.words ? worded(note, state.words) : marked(note.text, places(note.text, state.words))),
    );
    return element(
      "div",
      {
        class: note === state.current ? "row now" : "row",
        role: "option",
        id: `note-${note.id}`,
        "aria-selected": chosen ? "true" : "false",
        "data-index": String(index),
        title: `${span(note.start, note.end)}, ${note.engine}`,
      },
      head,
      text,
    );
  }

  #click(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    const note = this.state.found[Number(row.dataset.index)];
    const word = event.target.closest("[data-at]");
    this.state.select(note, word ? Number(word.dataset.at) : note.start);
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / 60));
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page }[event.key];
    if (by) this.move(by);
    else if (event.key === "Home") this.#go(0);
    else if (event.key === "End") this.#go(this.state.found.length - 1);
    else if (event.key === "Enter" && this.state.note) this.state.select(this.state.note);
    else if ((event.key === "ArrowRight" || event.key === "ArrowLeft") && this.state.note?.words)
      this.#word(event.key === "ArrowRight" ? 1 : -1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Move to the next or previous word of the note. */
  #word(by) {
    const { note, at } = this.state;
    const here = note.words.findLastIndex((word) => word[1] <= at);
    const word = note.words[Math.max(0, Math.min(note.words.length - 1, here + by))];
    this.state.select(note, word[1]);
  }

  #select() {
    const { note, found } = this.state;
    for (const row of this.box.querySelectorAll("[aria-selected=true]")) row.setAttribute("aria-selected", "false");
    const index = note ? found.indexOf(note) : -1;
    this.list.reveal(index);
    this.list.row(index)?.setAttribute("aria-selected", "true");
    if (index >= 0) this.box.setAttribute("aria-activedescendant", `note-${note.id}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  /** Scroll to the marked note, once the list is in view. */
  shown() {
    this.#select();
  }

  count() {
    const { found, video } = this.state;
    return found.length === video.notes.length
      ? counted(found.length, "note")
      : `${found.length.toLocaleString("en")} of ${counted(video.notes.length, "note")}`;
  }
}

/** Return the text of a note, with each word that has a time in an element of its own. */
function worded(note, searched) {
  const hits = places(note.text, searched);
  const parts = [];
  let at = 0;
  for (const [word, start] of note.words) {
    const from = note.text.indexOf(word, at);
    if (from < 0) continue;
    if (from > at) parts.push(note.text.slice(at, from));
    at = from + word.length;
    const inside = hits
      .filter(([begin, end]) => begin < at && end > from)
      .map(([begin, end]) => [Math.max(0, begin - from), Math.min(word.length, end - from)]);
    parts.push(element("span", { class: "word", "data-at": String(start) }, ...marked(word, inside)));
  }
  parts.push(note.text.slice(at));
  return parts.filter((part) => part !== "");
}
