// The lanes of the strip: one for each analyzer or voice, and one for what was never looked at.

import { byId, element } from "./dom.js";
import { drawState, penOf } from "./patterns.js";
import { amount, clock, counted, span, stateName, stepName } from "./text.js";

const WHAT = { any: "by any analyzer", picture: "picture", audio: "sound", subtitles: "subtitles" };
const NARROWEST = 1.5;
const NEAR_PX = 4;

export class LaneRows {
  constructor(state, strip) {
    this.state = state;
    this.strip = strip;
    this.rows = [];
    state.on("select", () => this.#mark());
  }

  build() {
    const { video } = this.state;
    const lanes = video.lanes.map((lane, number) => this.#lane(number));
    const rest = video.unlooked.filter((row) => row.spans.length).map((row) => this.#unlooked(row));
    const whole = video.unlooked.filter((row) => row.what !== "any" && !row.spans.length).map(unlookedName);
    this.rows = [...lanes, ...rest];
    const head = element(
      "li",
      { class: "head" },
      element("b", {}, "Never looked at"),
      whole.length ? ` (all of ${whole.join(" and ")} was looked at)` : "",
    );
    byId("lanes").replaceChildren(...lanes.map((row) => row.item), head, ...rest.map((row) => row.item));
    this.#mark();
  }

  draw(palette) {
    for (const row of this.rows) row.draw(palette);
  }

  #lane(number) {
    const { video } = this.state;
    const name = video.laneName(number);
    const notes = video.byLane[number];
    const about = `${name}: ${counted(notes.length, "note")}, ${looked(video, number)}`;
    const label = element(
      "button",
      {
        type: "button",
        class: "label",
        title: `Next note of ${name}`,
        "aria-label": `${about}. Go to the next note`,
        onclick: () => this.#next(number),
      },
      element("i", { class: `swatch lane-${number % 8}` }),
      element("span", {}, video.lanes[number].speaker || name),
      element("small", {}, notes.length.toLocaleString("en")),
    );
    const canvas = element("canvas", { "aria-hidden": "true" });
    canvas.addEventListener("click", (event) => this.#click(event, number, canvas));
    canvas.addEventListener("pointermove", (event) => this.#tip(event, number, canvas));
    canvas.addEventListener("pointerleave", () => (byId("tip").hidden = true));
    const item = element("li", { class: "lane" }, label, canvas);
    return { item, number, draw: (palette) => this.#drawLane(number, canvas, palette) };
  }

  #unlooked(row) {
    const { video } = this.state;
    const length = row.spans.reduce((sum, [start, end]) => sum + end - start, 0);
    const name = unlookedName(row);
    const told = `${amount(length)} of ${amount(video.duration)} never looked at`;
    const canvas = element("canvas", { role: "img", "aria-label": `${name}: ${told}` });
    canvas.addEventListener("click", (event) => this.state.seek(Math.round(this.strip.timeAt(event, canvas.getBoundingClientRect()))));
    const share = `${Math.max(1, Math.round((100 * length) / video.duration))}%`;
    const item = element(
      "li",
      { class: "unlooked" },
      element("span", { class: "label" }, element("span", {}, name), element("small", {}, share)),
      canvas,
    );
    return { item, draw: (palette) => this.#drawUnlooked(row, canvas, palette) };
  }

  #drawLane(number, canvas, palette) {
    const { video, note, words } = this.state;
    const { pen, width, height } = penOf(canvas);
    const { strip } = this;
    const colour = palette.lane(number);
    const density = width / (strip.end - strip.start);
    const paint = (state, step, start, end) => {
      const [from, to] = [Math.max(0, strip.x(start, width)), Math.min(width, strip.x(end, width))];
      if (to > from) drawState(pen, state, step, from, 0, Math.max(1, to - from), height, colour, palette, density);
    };
    let before = 0;
    for (const [start, end, state, step] of video.lanes[number].coverage) {
      if (start > before) paint("never", 0, before, start);
      paint(state, step, start, end);
      before = Math.max(before, end);
    }
    if (before < video.duration) paint("never", 0, before, video.duration);
    const matching = words.length ? new Set(this.state.found) : null;
    const shown = video.byLane[number].filter((one) => one.end >= strip.start && one.start <= strip.end);
    pen.fillStyle = colour;
    const bars = (alpha, chosen) => {
      pen.globalAlpha = alpha;
      let edge = -1;
      for (const one of shown.filter(chosen)) {
        const [from, to] = [Math.max(edge, strip.x(one.start, width)), strip.x(one.end, width)];
        if (to <= edge) continue; // behind what is drawn already
        edge = from + Math.max(NARROWEST, to - from - 0.5);
        pen.fillRect(from, 3, edge - from, height - 6);
      }
      pen.globalAlpha = 1;
    };
    const matches = (one) => !matching || matching.has(one);
    bars(0.2, (one) => !matches(one));
    bars(0.6, (one) => matches(one) && one.uncertain);
    bars(1, (one) => matches(one) && !one.uncertain);
    if (note?.lane === number) {
      const [from, to] = [strip.x(note.start, width), strip.x(note.end, width)];
      pen.strokeStyle = palette.text;
      pen.lineWidth = 2;
      pen.strokeRect(from, 1, Math.max(4, to - from), height - 2);
    }
  }

  #drawUnlooked(row, canvas, palette) {
    const { pen, width, height } = penOf(canvas);
    for (const [start, end] of row.spans) {
      const [from, to] = [Math.max(0, this.strip.x(start, width)), Math.min(width, this.strip.x(end, width))];
      if (to > from) drawState(pen, "never", 0, from, 0, Math.max(1.5, to - from), height, palette.never, palette, 1);
    }
    pen.strokeStyle = palette.line;
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
  }

  #click(event, number, canvas) {
    const at = this.strip.timeAt(event, canvas.getBoundingClientRect());
    const note = this.#near(number, at, canvas);
    if (note) this.state.select(note);
    else this.state.seek(Math.round(at));
  }

  /** Return the note under the pointer, or one so close that it was meant. */
  #near(number, at, canvas) {
    const reach = (NEAR_PX / canvas.clientWidth) * (this.strip.end - this.strip.start);
    return this.state.video.noteAt(number, at) ?? this.state.video.byLane[number].find((note) => Math.abs(note.start - at) <= reach);
  }

  #next(number) {
    const notes = this.state.video.byLane[number];
    const { note, at } = this.state;
    const next =
      note?.lane === number && note.start <= at && at < note.end ? notes[notes.indexOf(note) + 1] : notes.find((one) => one.end > at);
    if (next ?? notes[0]) this.state.select(next ?? notes[0]);
  }

  #mark() {
    for (const row of this.rows) {
      row.item.classList.toggle("marked", row.number !== undefined && row.number === this.state.lane);
      row.item.querySelector("button")?.setAttribute("aria-current", row.number === this.state.lane ? "true" : "false");
    }
  }

  #tip(event, number, canvas) {
    const tip = byId("tip");
    const at = this.strip.timeAt(event, canvas.getBoundingClientRect());
    const note = this.#near(number, at, canvas);
    const [start, end, state, step, why] = this.state.video.stateAt(number, at);
    const looks = `${stateName(state)}${state === "found" || state === "empty" ? `, ${stepName(step)}` : ""}${why ? `: ${why}` : ""}`;
    const lines = note
      ? [element("b", {}, span(note.start, note.end)), " ", element("bdi", {}, note.text)]
      : [element("b", {}, clock(at, true)), ` ${looks}`];
    tip.replaceChildren(...lines);
    tip.title = end > start ? span(start, end) : "";
    tip.hidden = false;
    const box = byId("strip").getBoundingClientRect();
    tip.style.left = `${Math.max(0, Math.min(event.clientX - box.left - 20, box.width - tip.offsetWidth))}px`;
    tip.style.top = `${canvas.getBoundingClientRect().top - box.top - tip.offsetHeight - 4}px`;
  }
}

function unlookedName(row) {
  return WHAT[row.what] + (row.step ? ` ${stepName(row.step)}` : "");
}

/** Return how much of the video a lane's analyzer looked at, as words. */
export function looked(video, number) {
  const parts = video.lanes[number].coverage.filter((part) => part[2] === "found" || part[2] === "empty");
  const length = parts.reduce((sum, part) => sum + part[1] - part[0], 0);
  return length >= video.duration ? "all looked at" : `${amount(length)} of ${amount(video.duration)} looked at`;
}
