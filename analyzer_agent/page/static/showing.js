// Put the page together from its data.

import { Answers } from "./answers.js";
import { Coverage } from "./coverage.js";
import { byId, element } from "./dom.js";
import { listen } from "./keyboard.js";
import { NoteList } from "./notes.js";
import { buildLegend, drawSamples } from "./legend.js";
import { Player } from "./player.js";
import { printable } from "./print.js";
import { PageState } from "./state.js";
import { Strip } from "./strip.js";
import { Tabs } from "./tabs.js";
import { counted } from "./text.js";
import { Theme } from "./theme.js";

const WAIT_MS = 120;

/** Show a page with these data; return its parts, or undefined if there is no video. */
export function showPage(source) {
  if (!source.videos.length) return undefined;
  const state = new PageState(source);
  const player = new Player(state);
  const strip = new Strip(state);
  const theme = new Theme(() => redraw());
  const notes = new NoteList(state);
  const answers = new Answers(state);
  new Coverage(state);
  const tabs = new Tabs(["answers", "notes", "coverage"], (name) => name === "notes" && notes.shown());
  const redraw = () => {
    drawSamples();
    strip.drawNow();
  };
  buildLegend();
  redraw();
  chooser(state);
  search(state, tabs, answers, notes);
  printable(state, redraw);
  const label = () => {
    tabs.label("answers", `Answers (${answers.count()})`);
    tabs.label("notes", `Notes (${state.found.length.toLocaleString("en")})`);
  };
  state.on("search filter video data", label);
  label();
  const back = (ms) => () => state.seek(state.at + ms);
  listen({
    k: () => player.toggle(),
    ArrowLeft: back(-5000),
    ArrowRight: back(5000),
    ",": () => player.step(-1),
    ".": () => player.step(1),
    j: () => notes.move(-1),
    l: () => notes.move(1),
    "[": () => answers.move(-1),
    "]": () => answers.move(1),
    "/": () => byId("search").focus(),
    1: () => tabs.open("answers", true),
    2: () => {
      tabs.open("notes");
      notes.box.focus();
    },
    3: () => tabs.open("coverage", true),
    "+": () => strip.zoom(0.5),
    "-": () => strip.zoom(2),
    0: () => strip.zoom(Infinity),
    v: () => nextVideo(state),
    t: () => theme.next(),
    Escape: () => {
      byId("search").value = "";
      state.search("");
      byId("search").blur();
    },
  });
  tabs.open(answers.turns.length ? "answers" : state.video.notes.length ? "notes" : "coverage");
  player.load();
  fromAddress(state);
  window.addEventListener("hashchange", () => fromAddress(state));
  document.documentElement.dataset.ready = "";
  performance.mark("ready");
  return { state, tabs, answers, strip };
}

function nextVideo(state) {
  const { videos } = state.source;
  state.open(videos[(videos.indexOf(state.video) + 1) % videos.length].id);
}

function chooser(state) {
  const select = byId("videos");
  select.append(...state.source.videos.map((video) => element("option", { value: video.id }, video.name)));
  select.hidden = state.source.videos.length < 2;
  byId("title").classList.toggle("hidden", !select.hidden);
  select.addEventListener("change", () => state.open(select.value));
  state.on("video", () => (select.value = state.video.id));
}

function search(state, tabs, answers, notes) {
  let waiting = 0;
  byId("search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => state.search(event.target.value), WAIT_MS);
  });
  byId("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    clearTimeout(waiting);
    state.search(event.target.value);
    tabs.open(state.found.length || !answers.shown ? "notes" : "answers");
    if (!state.found.length) return;
    notes.box.focus();
    state.select(state.found[0]);
  });
  state.on("search video", () => {
    const { words, found } = state;
    byId("matches").textContent = words.length ? `${counted(found.length, "note")}, ${counted(answers.shown, "answer")}` : "";
  });
}

/** Show what the address names: `#note=12`, or `#t=64.2` with seconds. */
function fromAddress(state) {
  const named = new URLSearchParams(location.hash.slice(1));
  const number = Number(named.get("note"));
  for (const video of number ? state.source.videos : []) {
    if (!video.byId.has(number)) continue;
    state.open(video.id);
    state.select(video.byId.get(number));
    return;
  }
  if (named.has("t") && Number.isFinite(Number(named.get("t")))) state.seek(Number(named.get("t")) * 1000);
}
