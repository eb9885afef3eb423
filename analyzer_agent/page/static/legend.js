// The legend of the patterns in the lanes, drawn as the lanes draw them.

import { byId, element } from "./dom.js";
import { colours, drawState, penOf } from "./patterns.js";
import { stateName } from "./text.js";

const [WIDTH, HEIGHT] = [28, 12];
const STATES = ["note", "found", "empty", "failed", "unread", "never"];

/** Return a sample of a pattern, which `drawSamples` draws. */
export function sample(state, lane = 0) {
  return element("canvas", { class: "sample", "aria-hidden": "true", "data-state": state, "data-lane": String(lane) });
}

export function buildLegend() {
  byId("legend").replaceChildren(
    ...STATES.map((state) => element("li", {}, sample(state), state === "note" ? "a note" : stateName(state))),
  );
}

/** Draw all samples, in view or not, in the colours of the page as it is now. */
export function drawSamples() {
  const palette = colours();
  for (const canvas of document.querySelectorAll("canvas.sample")) {
    const { state, lane } = canvas.dataset;
    const { pen, width, height } = penOf(canvas, WIDTH, HEIGHT);
    drawState(pen, state === "note" ? "found" : state, 0, 0, 0, width, height, palette.lane(Number(lane)), palette, 1);
    if (state !== "note") continue;
    pen.fillStyle = palette.lane(0);
    pen.fillRect(width / 4, 2, width / 2, height - 4);
  }
}
