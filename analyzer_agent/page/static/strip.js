// The strip: a ruler, frames and lanes over the length of the video, which can be zoomed and moved.

import { byId, oncePerFrame } from "./dom.js";
import { LaneRows } from "./lanes.js";
import { colours, penOf } from "./patterns.js";
import { nearest } from "./player.js";
import { clock } from "./text.js";

const TICKS_MS = [100, 200, 500, 1000, 2000, 5000, 10000, 15000, 30000, 60000, 120000, 300000, 600000, 900000, 1800000, 3600000, 7200000];
const TICK_PX = 70;
const ZOOM = 2;
const SHORTEST_MS = 1000;
const KEY_MS = 5000;

export class Strip {
  constructor(state) {
    this.state = state;
    this.scrub = byId("scrub");
    this.draw = oncePerFrame(() => this.drawNow());
    this.rows = new LaneRows(state, this);
    this.pictures = new Map();
    state.on("video", () => this.reset());
    state.on("data", () => {
      this.rows.build();
      this.draw();
    });
    state.on("seek time select", () => this.#moved());
    state.on("select search filter", () => this.draw());
    this.scrub.addEventListener("pointerdown", (event) => this.#drag(event));
    this.scrub.addEventListener(
      "pointermove",
      (event) => event.buttons && this.scrub.hasPointerCapture(event.pointerId) && this.#to(event),
    );
    this.scrub.addEventListener("keydown", (event) => this.#key(event));
    byId("strip").addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    byId("zoom-in").addEventListener("click", () => this.zoom(1 / ZOOM));
    byId("zoom-out").addEventListener("click", () => this.zoom(ZOOM));
    new ResizeObserver(this.draw).observe(byId("strip"));
    this.reset();
  }

  reset() {
    this.start = 0;
    this.end = this.state.video.duration;
    this.pictures.clear();
    this.rows.build();
    this.scrub.setAttribute("aria-valuemax", Math.round(this.state.video.duration / 1000));
    this.#moved();
    this.draw();
  }

  x(at, width) {
    return ((at - this.start) / (this.end - this.start)) * width;
  }

  /** Return the time under a pointer on a canvas. */
  timeAt(event, box = this.scrub.getBoundingClientRect()) {
    const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
    return this.start + share * (this.end - this.start);
  }

  /** Show `factor` times as much, around a time. */
  zoom(factor, around = this.state.at) {
    const { duration } = this.state.video;
    const length = Math.max(Math.min(SHORTEST_MS, duration), Math.min(duration, (this.end - this.start) * factor));
    const share = (Math.max(this.start, Math.min(this.end, around)) - this.start) / (this.end - this.start);
    this.#show(around - share * length, length);
  }

  #show(start, length = this.end - this.start) {
    this.start = Math.max(0, Math.min(start, this.state.video.duration - length));
    this.end = this.start + length;
    this.#moved(false);
    this.draw();
  }

  #drag(event) {
    if (event.button) return;
    this.scrub.setPointerCapture(event.pointerId);
    this.#to(event);
  }

  #to(event) {
    this.state.seek(Math.round(this.timeAt(event)));
  }

  #wheel(event) {
    if (event.ctrlKey || event.metaKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(event));
    else if (event.deltaX && this.end - this.start < this.state.video.duration) {
      this.#show(this.start + (event.deltaX / this.scrub.clientWidth) * (this.end - this.start));
    } else return;
    event.preventDefault();
  }

  #key(event) {
    const by = { ArrowLeft: -KEY_MS, ArrowRight: KEY_MS, ArrowDown: -KEY_MS, ArrowUp: KEY_MS, PageDown: -60000, PageUp: 60000 }[event.key];
    if (by) this.state.seek(this.state.at + by);
    else if (event.key === "Home") this.state.seek(0);
    else if (event.key === "End") this.state.seek(this.state.video.duration);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #moved(follow = true) {
    const { at } = this.state;
    if (follow && (at < this.start || at > this.end)) this.#show(at - (this.end - this.start) * 0.1);
    const share = (at - this.start) / (this.end - this.start);
    byId("playhead").hidden = share < 0 || share > 1;
    byId("playhead").style.setProperty("--share", share);
    this.scrub.setAttribute("aria-valuenow", Math.round(at / 1000));
    this.scrub.setAttribute("aria-valuetext", clock(at, true));
  }

  /** Draw at once what `draw` draws before the next frame. */
  drawNow() {
    const palette = colours();
    this.#ruler(palette);
    this.#film(palette);
    this.rows.draw(palette);
    byId("zoom-out").disabled = this.end - this.start >= this.state.video.duration;
  }

  #ruler(palette) {
    const { pen, width, height } = penOf(byId("ruler"));
    const per = (this.end - this.start) / Math.max(1, width);
    const tick = TICKS_MS.find((ms) => ms / per >= TICK_PX) ?? TICKS_MS.at(-1);
    pen.fillStyle = palette.soft;
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "middle";
    for (let at = Math.ceil(this.start / tick) * tick; at <= this.end; at += tick) {
      const x = this.x(at, width);
      pen.fillRect(x, height - 4, 1, 4);
      const label = clock(at);
      if (x + pen.measureText(label).width < width) pen.fillText(label, x + 3, height / 2);
    }
  }

  #film(palette) {
    const canvas = byId("film");
    const { thumbnails, size } = this.state.video;
    canvas.hidden = !thumbnails.length;
    if (canvas.hidden) return;
    const { pen, width, height } = penOf(canvas);
    const each = Math.max(24, height * ((size[0] || 16) / (size[1] || 9)));
    pen.fillStyle = palette.line;
    pen.fillRect(0, 0, width, height);
    for (let x = 0; x < width; x += each) {
      const at = this.start + ((x + Math.min(each, width - x) / 2) / width) * (this.end - this.start);
      const picture = this.#picture(nearest(thumbnails, at)[1]);
      if (picture.complete && picture.naturalWidth) pen.drawImage(picture, x, 0, each - 1, height);
    }
  }

  #picture(url) {
    if (!this.pictures.has(url)) {
      const picture = new Image();
      picture.onload = this.draw;
      picture.src = url;
      this.pictures.set(url, picture);
    }
    return this.pictures.get(url);
  }
}
