// Keys for everything, and the dialog that tells them.

import { byId, element } from "./dom.js";

const STORED = "analyzer-agent.keys";
const KEYS = [
  ["k", "Play or pause; the list of notes follows"],
  ["← →", "Back or on by 5 seconds"],
  [", .", "Previous or next frame"],
  ["j l", "Previous or next note of the list"],
  ["[ ]", "Previous or next citation"],
  ["/", "Search; Escape ends it"],
  ["1 2 3", "Answers, notes, what was looked at"],
  ["+ − 0", "Zoom the timeline in, out, to the whole"],
  ["v", "Next video"],
  ["t", "Colours: as the system, dark, light"],
  ["?", "This help"],
];
const LISTS = "In the list of notes: ↑ ↓ Page Home End move, ← → go from word to word. Ctrl and the wheel zoom the timeline.";

/** Listen to keys; `actions` maps each to what it does. */
export function listen(actions) {
  let single = stored() !== "off";
  const dialog = byId("keys");
  const box = element("input", { type: "checkbox", checked: single, onchange: () => store((single = box.checked) ? "on" : "off") });
  dialog.append(
    element("h2", { id: "keys-title" }, "Keyboard"),
    element(
      "dl",
      {},
      KEYS.flatMap(([keys, what]) => [
        element(
          "dt",
          {},
          keys.split(" ").map((key) => element("kbd", {}, key)),
        ),
        element("dd", {}, what),
      ]),
    ),
    element("p", {}, LISTS),
    element("label", {}, box, " Use these single keys"),
    element("form", { method: "dialog" }, element("button", { type: "submit", class: "button" }, "Close")),
  );
  byId("help").addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open || event.defaultPrevented) return;
    if (target.matches("input:not([type=checkbox]), select, textarea")) {
      if (event.key === "Escape") actions.Escape?.();
      return;
    }
    if (event.key === "?") dialog.showModal();
    else if (!single || !actions[event.key] || (target.id === "player" && event.key.startsWith("Arrow"))) return;
    else actions[event.key]();
    event.preventDefault();
  });
}

function stored() {
  try {
    return localStorage.getItem(STORED);
  } catch {
    return null; // a browser may refuse storage to files
  }
}

function store(value) {
  try {
    localStorage.setItem(STORED, value);
  } catch {
    // the choice then lasts as long as the page
  }
}
