// The data of the page, which come from the document inside it; `service.js` gets them from a server.

import { folded } from "./text.js";

/** Return the source of this page's data. */
export async function openSource() {
  return new PageSource(JSON.parse(document.getElementById("document").textContent));
}

export class PageSource {
  constructor(given) {
    this.sessions = given.sessions;
    this.videos = given.videos.map((video) => new VideoData(video, given.fields));
    this.stills = given.stills;
  }

  video(id) {
    return this.videos.find((video) => video.id === id);
  }

  /** Return the picture of a cited frame as a URL, or undefined. */
  still(video, at) {
    return this.stills[video]?.[at];
  }

  /** Return an address from which the video plays, "" if there is none. */
  async address(video) {
    if (video.image) return ""; // the page has its picture
    return video.embedded ? embeddedAddress(video) : video.url;
  }
}

class VideoData {
  constructor(given, fields) {
    Object.assign(this, given);
    this.notes = given.notes.map((row, index) => {
      const note = { index };
      for (let n = 0; n < fields.length; n += 1) note[fields[n]] = row[n];
      return note;
    });
    this.byId = new Map(this.notes.map((note) => [note.id, note]));
    this.byLane = this.lanes.map(() => []);
    for (const note of this.notes) this.byLane[note.lane].push(note);
  }

  laneName(number) {
    const lane = this.lanes[number];
    return lane.speaker ? `${lane.analyzer}: ${lane.speaker}` : lane.analyzer;
  }

  /** Return the notes that contain all the folded words, in time order. */
  search(words) {
    if (!words.length) return this.notes;
    this.flat ??= this.notes.map((note) => folded(note.text));
    return this.notes.filter((note) => words.every((word) => this.flat[note.index].includes(word)));
  }

  /** Return the last note of a lane that has begun at `at` and has not ended, or undefined. */
  noteAt(lane, at) {
    const notes = this.byLane[lane];
    let [low, high] = [0, notes.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (notes[middle].start <= at) low = middle + 1;
      else high = middle;
    }
    for (let n = low - 1; n >= Math.max(0, low - 50); n -= 1) if (notes[n].end > at) return notes[n];
    return undefined;
  }

  /** Return the state of a lane at `at`: [start, end, state, step, why], where nothing covers it `never`. */
  stateAt(lane, at) {
    return this.lanes[lane].coverage.find((part) => part[0] <= at && at < part[1]) ?? [at, at, "never", 0, ""];
  }
}

const addresses = new Map();

/** Return an address of the file that the page contains. */
function embeddedAddress(video) {
  if (!addresses.has(video.id)) {
    const pieces = [...document.querySelectorAll("script.embedded")].filter((piece) => piece.dataset.video === video.id);
    const parts = pieces.map((piece) => {
      const text = atob(piece.textContent);
      piece.remove();
      const bytes = new Uint8Array(text.length);
      for (let n = 0; n < text.length; n += 1) bytes[n] = text.charCodeAt(n);
      return bytes;
    });
    addresses.set(video.id, URL.createObjectURL(new Blob(parts)));
  }
  return addresses.get(video.id);
}
