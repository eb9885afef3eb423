// The legend of the patterns in the lanes, drawn as the lanes draw them.

import { byId, element } from "./dom.js";
import { colours, drawState, penOf } from "./patterns.js";
import { stateName } from "./text.js";

const STATES = ["note", "found", "empty", "failed", "unread", "never"];

export function drawLegend() {
  const palette = colours();
  const rows = STATES.map((state) => {
    const canvas = element("canvas", { "aria-hidden": "true" });
    return [state, canvas, element("li", {}, canvas, state === "note" ? "a note" : stateName(state))];
  });
  byId("legend").replaceChildren(...rows.map(([, , item]) => item));
  for (const [state, canvas] of rows) {
    const { pen, width, height } = penOf(canvas);
    drawState(pen, state === "note" ? "found" : state, 0, 0, 0, width, height, palette.lane(0), palette, 1);
    if (state !== "note") continue;
    pen.fillStyle = palette.lane(0);
    pen.fillRect(width / 4, 2, width / 2, height - 4);
  }
}
