// What was looked at, as a table: for each analyzer how much, at which step, and what failed or was never looked at.

import { byId, element } from "./dom.js";
import { drawSamples, sample } from "./legend.js";
import { amount, clock, span, stateName, stepName } from "./text.js";

const STATES = ["found", "empty", "failed", "unread", "never"];
const SHOWN = 12;

export class Coverage {
  constructor(state) {
    this.state = state;
    state.on("video data", () => this.draw());
    this.draw();
  }

  draw() {
    const { video } = this.state;
    const lanes = new Map(video.lanes.map((lane, number) => [lane.analyzer, number]));
    const head = ["", "step", "how much", "where"].map((name) =>
      element("th", { scope: "col", class: name === "how much" ? "number" : undefined }, name || element("span", { class: "hidden" }, "state")),
    );
    const table = element(
      "table",
      {},
      element("caption", { class: "hidden" }, `What was looked at in ${video.name}`),
      element("thead", {}, element("tr", {}, head)),
      [...lanes.values()].map((number) => this.#analyzer(number)),
    );
    const tables = lanes.size ? [element("div", { class: "wide", role: "region", tabIndex: 0, "aria-label": "By analyzer" }, table)] : [];
    const never = video.never_ran.length
      ? element("p", {}, element("b", {}, "Never ran on this video: "), video.never_ran.join(", "), ".")
      : null;
    const about = element(
      "p",
      {},
      "Found nothing and never looked at are not the same: where nobody looked, anything may be. A sampling analyzer looks at one frame in each step; what happens in between, it does not see.",
    );
    byId("coverage").replaceChildren(about, never ?? "", ...tables);
    drawSamples();
  }

  #analyzer(number) {
    const lane = this.state.video.lanes[number];
    const rows = [];
    for (const state of STATES) {
      const parts = state === "never" ? rest(lane.coverage, this.state.video.duration) : lane.coverage.filter((part) => part[2] === state);
      for (const [step, some] of grouped(parts)) rows.push(this.#row(state, step, some, number));
    }
    return element("tbody", {}, element("tr", {}, element("th", { scope: "rowgroup", colspan: "4", class: "group" }, lane.analyzer)), rows);
  }

  #row(state, step, parts, number) {
    const length = parts.reduce((sum, part) => sum + part[1] - part[0], 0);
    const share = Math.round((100 * length) / this.state.video.duration);
    const links = parts
      .slice(0, SHOWN)
      .map((part) =>
        element(
          "button",
          { type: "button", class: "link", onclick: () => this.state.seek(part[0]), title: part[4] || `Show ${clock(part[0])}` },
          span(part[0], part[1]),
        ),
      );
    const whys = [...new Set(parts.map((part) => part[4]).filter(Boolean))].slice(0, 3);
    return element(
      "tr",
      {},
      element("th", { scope: "row" }, sample(state, number), stateName(state)),
      element("td", {}, state === "found" || state === "empty" ? stepName(step) : ""),
      element("td", { class: "number" }, `${amount(length)} (${share}%)`),
      element(
        "td",
        {},
        links.flatMap((link) => [link, " "]),
        parts.length > SHOWN ? `and ${parts.length - SHOWN} more` : "",
        whys.map((why) => element("p", { class: "doubt" }, why)),
      ),
    );
  }
}

function grouped(parts) {
  const groups = new Map();
  for (const part of parts) groups.set(part[3], [...(groups.get(part[3]) ?? []), part]);
  return [...groups].sort((a, b) => a[0] - b[0]);
}

/** Return the parts that nothing covers, in the form of coverage. */
function rest(coverage, duration) {
  const found = [];
  let at = 0;
  for (const [start, end] of coverage) {
    if (start > at) found.push([at, start, "never", 0, ""]);
    at = Math.max(at, end);
  }
  if (at < duration) found.push([at, duration, "never", 0, ""]);
  return found;
}
