// What is shown now. Parts of the page change it through these methods and listen to its events.

import { wordsOf } from "./text.js";

export class PageState extends EventTarget {
  constructor(source) {
    super();
    this.source = source;
    this.video = source.videos[0];
    this.at = 0;
    this.note = null; // the marked one
    this.current = null; // the one that plays
    this.lane = null;
    this.words = [];
    this.found = this.video.notes;
    this.hidden = new Set();
  }

  tell(name, detail = {}) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(names, listener) {
    for (const name of names.split(" ")) this.addEventListener(name, (event) => listener(event.detail));
  }

  /** Show another video. */
  open(id) {
    const video = this.source.video(id);
    if (!video || video === this.video) return;
    this.video = video;
    this.at = 0;
    this.note = null;
    this.current = null;
    this.lane = null;
    this.hidden.clear();
    this.#find();
    this.tell("video");
  }

  /** Take over newer data on the same videos; what is shown and marked stays. */
  refresh(source) {
    const lanes = (video) => video.lanes.map((lane) => `${lane.analyzer}\n${lane.speaker}`).join("\n");
    const before = this.video;
    this.source = source;
    this.video = source.video(before.id) ?? source.videos[0];
    this.note = (this.note && this.video.byId.get(this.note.id)) ?? null;
    this.current = null;
    if (lanes(before) !== lanes(this.video)) {
      this.hidden.clear(); // they name lanes by their numbers
      this.lane = this.note?.lane ?? null;
    }
    this.#find();
    this.tell("data");
  }

  /** Show the video at a time in ms. */
  seek(at) {
    this.at = Math.max(0, Math.min(at, this.video.duration));
    this.tell("seek");
  }

  /** Take over the time that the player has reached; `playing` follows the notes. */
  reached(at, playing) {
    this.at = at;
    this.tell("time");
    const current = playing ? (this.found[this.indexAt(at)] ?? null) : this.current;
    if (current === this.current) return;
    this.current = current;
    this.tell("current");
  }

  /** Return the index of the last shown note that has begun at `at`, -1 before the first. */
  indexAt(at) {
    let [low, high] = [0, this.found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.found[middle].start <= at) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  /** Mark a note and its lane, and show the video at its start or at `at`. */
  select(note, at = note.start) {
    this.note = note;
    this.current = null;
    this.lane = note.lane;
    this.tell("select");
    this.seek(at);
  }

  /** Show the place of a citation, in its own video. */
  cite(citation) {
    if (!citation.video) return;
    this.open(citation.video);
    const note = this.video.byId.get(citation.row);
    if (note) {
      this.select(note, citation.at);
      return;
    }
    this.note = null; // a citation of what was not found, or of a note that has been replaced since
    const lane = this.video.lanes.findIndex((one) => one.analyzer === citation.analyzer);
    this.lane = lane < 0 ? null : lane;
    this.tell("select");
    this.seek(citation.at);
  }

  search(query) {
    this.words = wordsOf(query);
    this.#find();
    this.tell("search");
  }

  /** Show or hide the notes of a lane in the list. */
  toggle(lane) {
    if (!this.hidden.delete(lane)) this.hidden.add(lane);
    this.#find();
    this.tell("filter");
  }

  #find() {
    this.found = this.video.search(this.words).filter((note) => !this.hidden.has(note.lane));
  }
}
