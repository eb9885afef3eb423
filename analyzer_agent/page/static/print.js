// On paper, the list of notes is written out.

import { byId, element } from "./dom.js";
import { clock, counted } from "./text.js";

const MOST = 2000;

export function printable(state, redraw) {
  let sheet = null;
  let theme = "";
  window.addEventListener("beforeprint", () => {
    const notes = state.found.slice(0, MOST);
    const rows = notes.map((note) =>
      element(
        "tr",
        {},
        element("td", {}, `#${note.id}`),
        element("td", {}, clock(note.start)),
        element("td", {}, state.video.laneName(note.lane)),
        element("td", { dir: "auto" }, note.text),
      ),
    );
    const left = state.found.length - notes.length;
    sheet = element(
      "section",
      { class: "sheet" },
      element("h2", {}, `Notes on ${state.video.name}`),
      element("table", {}, element("tbody", {}, rows)),
      left ? element("p", {}, `${counted(left, "note")} more are not printed; search, or filter by lanes, to print those.`) : null,
    );
    byId("panel").after(sheet);
    for (const details of document.querySelectorAll("details")) details.open = true;
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    redraw();
  });
  window.addEventListener("afterprint", () => {
    sheet?.remove();
    document.documentElement.dataset.theme = theme;
    redraw();
  });
}
