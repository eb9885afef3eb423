// The video, or where it cannot be played, its stills.

import { byId, element } from "./dom.js";
import { clock } from "./text.js";

// A note begins at the first whole ms at which its frame is shown; this little more outweighs what fractions lose.
const INTO_FRAME_S = 0.00001;
const STEP_MS = 40;
// Chromium, rarely, keeps an earlier frame up after a seek. Where none is drawn within this time, it is sought again, so often.
const DRAWN_WITHIN_MS = 300;
const TRIES = 5;

export class Player {
  constructor(state) {
    this.state = state;
    this.video = byId("player");
    this.video.addEventListener("timeupdate", () => this.#reached());
    this.video.addEventListener("seeked", () => this.#reached());
    this.video.addEventListener("error", () => this.#refused());
    this.video.addEventListener("loadedmetadata", () => this.#loaded());
    this.video.addEventListener("loadeddata", () => this.video.currentTime > 0 && this.#go(this.pending ?? this.video.currentTime));
    this.video.addEventListener("play", () => this.#follow());
    // On a narrow screen the video stays in view, and what is read takes the rest.
    const stage = byId("stage");
    new ResizeObserver(() => document.documentElement.style.setProperty("--stage", `${stage.offsetHeight}px`)).observe(stage);
    state.on("seek", () => this.#seek());
    state.on("video", () => this.load());
    state.on("data", () => {
      this.#bare();
      this.#captions();
    });
    state.on("seek time select current", () => this.#now());
  }

  async load() {
    const { video } = this.state;
    this.playable = false;
    this.#tell("");
    this.video.removeAttribute("src");
    this.video.hidden = false;
    this.video.setAttribute("aria-label", video.name);
    this.#bare();
    const address = await this.state.source.address(video);
    if (address) this.video.src = address;
    else this.#refused();
    this.#captions();
    this.#now();
  }

  /** Take no room where there is nothing to see: sound, or a file that is not here. */
  #bare() {
    byId("stage").classList.toggle("bare", !this.state.video.thumbnails.length);
  }

  /** Offer what is said, or else the subtitles, as captions of the player. */
  #captions() {
    this.track ??= this.video.addTextTrack("captions", "What is said");
    for (const cue of [...(this.track.cues ?? [])]) this.track.removeCue(cue);
    const { notes } = this.state.video;
    const spoken = notes.filter((note) => note.kind === "speech");
    for (const note of spoken.length ? spoken : notes.filter((one) => one.kind === "subtitle")) {
      const text = note.text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      this.track.addCue(new VTTCue(note.start / 1000, note.end / 1000, text));
    }
    this.track.mode = "hidden";
  }

  toggle() {
    if (this.playable) this.video.paused ? this.video.play() : this.video.pause();
  }

  /** Show the next (1) or the previous (-1) frame. */
  step(direction) {
    this.video.pause();
    const rate = this.state.video.rate;
    const frame = rate ? 1000 / rate : STEP_MS;
    this.state.seek(this.state.at + direction * frame);
  }

  #seek() {
    this.pending = this.state.at / 1000 + INTO_FRAME_S;
    if (this.playable) this.#go(this.pending);
    else this.#picture();
  }

  #loaded() {
    this.playable = true;
    this.#tell("");
    byId("picture").hidden = true;
    if (this.pending !== undefined) this.#go(this.pending);
  }

  /** Go to a time, again until a frame is drawn. */
  #go(time, tries = TRIES) {
    this.video.currentTime = time;
    if (!this.video.requestVideoFrameCallback) return;
    const sought = (this.sought = { drawn: false });
    this.video.requestVideoFrameCallback(() => (sought.drawn = true));
    this.video.addEventListener(
      "seeked",
      () =>
        setTimeout(() => {
          if (sought === this.sought && !sought.drawn && this.video.paused && tries > 1) this.#go(this.video.currentTime, tries - 1);
        }, DRAWN_WITHIN_MS),
      { once: true },
    );
  }

  #reached() {
    if (!this.playable || this.video.seeking) return;
    const { currentTime } = this.video;
    if (this.pending !== undefined) {
      // What was sought is the time, to the ms, until playing changes it.
      this.stands = Math.abs(currentTime - this.pending) < 0.001 ? currentTime : undefined;
      this.pending = undefined;
    }
    if (currentTime !== this.stands) this.state.reached(Math.round(currentTime * 1000), !this.video.paused);
  }

  #follow() {
    const frame = () => {
      if (this.video.paused || this.video.ended) return;
      this.#reached();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  #refused() {
    if (this.video.hidden) return;
    this.playable = false;
    this.video.hidden = true;
    if (this.state.video.image) {
      this.#picture();
      return;
    }
    const why = this.state.video.url ? "This browser cannot play the file, or it has moved." : "The file is not here.";
    const input = element("input", {
      type: "file",
      accept: "video/*,audio/*",
      class: "hidden",
      onchange: () => this.#take(input.files[0]),
    });
    const label = element("label", { class: "button" }, "Choose the file", input);
    const { thumbnails } = this.state.video;
    this.#tell(`${why} Its ${thumbnails.length ? "pictures and " : ""}notes are shown.`, label);
    this.#picture();
  }

  #take(file) {
    if (!file) return;
    this.video.hidden = false;
    this.video.src = URL.createObjectURL(file);
  }

  #tell(text, ...more) {
    const trouble = byId("trouble");
    trouble.replaceChildren(text, ...more);
    trouble.hidden = !text;
  }

  /** Show the still or thumbnail nearest to the time. */
  #picture() {
    const { video, at, source } = this.state;
    const picture = byId("picture");
    const url = source.still(video.id, at) ?? nearest(video.thumbnails, at)?.[1];
    picture.hidden = !url;
    if (url) picture.src = url;
    picture.alt = url ? `Frame near ${clock(at, true)}` : "";
  }

  #now() {
    const { at } = this.state;
    const note = this.state.current ?? this.state.note;
    byId("clock").textContent = clock(at);
    byId("current").replaceChildren(...(note ? [element("b", {}, `#${note.id} ${note.kind}`), " ", element("bdi", {}, note.text)] : []));
  }
}

/** Return the [instant, url] nearest to a time. */
export function nearest(thumbnails, at) {
  let best;
  for (const one of thumbnails) if (!best || Math.abs(one[0] - at) < Math.abs(best[0] - at)) best = one;
  return best;
}
