// The conversation: questions and answers with their citations, cost and completeness.

import { byId, element, marked } from "./dom.js";
import { amount, clock, counted, day, folded, places, span } from "./text.js";

const MARK = /\[\s*#\d+(?:\s*[,;]?\s*#?\d+)*\s*\]/g;
const FINISHED = {
  answered: "",
  not_found: "not found",
  premise_false: "the premise is wrong",
  out_of_steps: "ran out of steps",
  out_of_budget: "ran out of budget",
  prompt_cut: "the prompt was cut off",
};
const CLAIMS = {
  all: "these are all",
  none: "there is none",
  count: "this is the number",
  first: "this is the first",
  last: "this is the last",
};

export class Answers {
  constructor(state) {
    this.state = state;
    this.box = byId("answers");
    this.marks = [];
    state.on("search data", () => this.draw());
    state.on("select seek", () => this.#current());
    this.draw();
  }

  count() {
    return this.shown === this.turns.length ? String(this.shown) : `${this.shown} of ${this.turns.length}`;
  }

  draw() {
    this.shown = 0;
    this.marks = [];
    const { sessions } = this.state.source;
    this.turns = sessions.flatMap((session) => session.turns);
    const parts = sessions.flatMap((session) => {
      const turns = session.turns.filter((turn) => this.#matches(turn)).map((turn) => this.#turn(turn));
      this.shown += turns.length;
      const title = element(
        "h2",
        {},
        "Session ",
        element("bdi", {}, session.name),
        " ",
        element("time", { dateTime: session.begun }, day(session.begun)),
      );
      return turns.length ? [element("section", {}, title, turns)] : [];
    });
    const none = this.turns.length ? "No answer matches." : "No question was asked about this video yet.";
    this.box.replaceChildren(...(parts.length ? parts : [element("p", { class: "none" }, none)]));
    this.#current();
  }

  /** Go to the next (1) or previous (-1) citation. */
  move(by) {
    const buttons = [...this.box.querySelectorAll("button.cite")];
    if (!buttons.length) return;
    const here = buttons.findIndex((button) => button.getAttribute("aria-current") === "true");
    const next = buttons[(here + by + buttons.length + (here < 0 && by < 0 ? 1 : 0)) % buttons.length];
    next.click();
    next.scrollIntoView({ block: "nearest" });
  }

  #matches(turn) {
    const { words } = this.state;
    const text = folded([turn.question, turn.answer?.text ?? "", ...(turn.answer?.citations ?? []).map((one) => one.text)].join("\n"));
    return words.every((word) => text.includes(word));
  }

  #turn(turn) {
    const { answer } = turn;
    const question = element("h3", { dir: "auto" }, ...this.#marked(turn.question));
    if (!answer)
      return element("article", {}, question, element("p", { class: "none" }, "This question was interrupted before it was answered."));
    const several = new Set(answer.citations.map((one) => one.name)).size > 1 || this.state.source.videos.length > 1;
    return element(
      "article",
      {},
      question,
      element("p", { class: "answer", dir: "auto" }, ...this.#answer(answer)),
      answer.choice ? element("p", { class: "choice" }, "Choice: ", element("b", {}, String(answer.choice))) : null,
      element("ul", { class: "badges", "aria-label": "About this answer" }, badges(answer)),
      answer.citations.length
        ? element(
            "ul",
            { class: "citations", "aria-label": "Citations" },
            answer.citations.map((one) => this.#citation(one, several)),
          )
        : null,
      doubts(answer).map((line) => element("p", { class: "doubt", dir: "auto" }, line)),
      completeness(answer.complete),
      unexamined(answer.not_examined),
      steps(answer),
    );
  }

  #marked(text) {
    return marked(text, places(text, this.state.words));
  }

  /** Return the text of an answer, whose marks such as [#12] are buttons. */
  #answer(answer) {
    const parts = [];
    let at = 0;
    for (const found of answer.text.matchAll(MARK)) {
      parts.push(...this.#marked(answer.text.slice(at, found.index)));
      at = found.index + found[0].length;
      const marks = [...found[0].matchAll(/\d+/g)].map(([number]) => {
        const citation = answer.citations.find((one) => one.note === Number(number));
        return citation ? this.#cite(citation, "mark", `#${number}`) : `[#${number}]`;
      });
      const stop = /^[.,;:!?)]+/.exec(answer.text.slice(at))?.[0] ?? "";
      at += stop.length;
      parts.push(element("span", { class: "joined" }, marks, stop));
    }
    parts.push(...this.#marked(answer.text.slice(at)));
    return parts;
  }

  #cite(citation, kind, ...content) {
    const where = `${citation.kind} at ${clock(citation.at)}`;
    const button = element(
      "button",
      {
        type: "button",
        class: kind === "mark" ? "mark" : "cite",
        disabled: !citation.video,
        "aria-label": kind === "mark" ? `Note ${citation.note}: ${where}` : null,
        title: citation.video ? `Show ${where}` : `${citation.name} is not part of this page`,
        onclick: () => this.state.cite(citation),
      },
      ...content,
    );
    this.marks.push([button, citation]);
    return button;
  }

  #citation(citation, several) {
    const still = this.state.source.still(citation.video, citation.at);
    const about = [citation.kind, citation.engine, citation.speaker, citation.uncertain ? "uncertain" : ""].filter(Boolean).join(", ");
    const lane = this.#lane(citation);
    return element(
      "li",
      {},
      this.#cite(
        citation,
        "cite",
        still
          ? element("img", { src: still, alt: `Frame at ${clock(citation.at)}`, loading: "lazy" })
          : element("span", { class: "no-still" }, citation.kind),
        element(
          "span",
          { class: "told" },
          element(
            "span",
            { class: "about" },
            element("span", { class: "id" }, `#${citation.note}`),
            element("time", {}, span(citation.start, citation.end)),
            citation.whole ? `of ${span(...citation.whole)}` : null,
            element("span", { class: `kind ${lane}` }, about),
          ),
          several ? element("bdi", { class: "name" }, citation.name) : null,
          element("q", { dir: "auto" }, ...this.#marked(citation.text)),
        ),
      ),
    );
  }

  #lane(citation) {
    const note = this.state.source.video(citation.video)?.byId.get(citation.row);
    return note ? `lane-${note.lane % 8}` : "";
  }

  /** Mark the citations of the note that is shown. */
  #current() {
    const { note, video } = this.state;
    for (const [button, citation] of this.marks) {
      button.setAttribute("aria-current", note && citation.video === video.id && citation.row === note.id ? "true" : "false");
    }
  }
}

function badges(answer) {
  const finished = FINISHED[answer.finished] ?? String(answer.finished ?? "");
  return [finished, answer.confidence ? `confidence ${answer.confidence}` : ""].filter(Boolean).map((text) => element("li", {}, text));
}

function doubts(answer) {
  const lines = answer.unsupported.map((claim) => `Without evidence: ${claim}`);
  if (answer.missing) lines.push(`Not proved: ${answer.missing}`);
  if (answer.left_open) lines.push(`Left open: ${answer.left_open}`);
  return lines;
}

/** Return what an answer claims of the whole video, and whether everything that this rests on was looked at. */
function completeness(complete) {
  if (!complete || typeof complete !== "object" || !CLAIMS[complete.claim]) return null;
  const head = complete.holds ? "✓ Complete" : "◐ Not complete";
  const lists = [
    ["Looked at", complete.over],
    ["Not looked at", complete.holds ? [] : complete.lacking],
  ].filter(([, parts]) => Array.isArray(parts) && parts.length);
  const several = new Set(lists.flatMap(([, parts]) => parts.map((part) => part.video))).size > 1;
  const rows = lists.map(([name, parts]) => element("li", {}, `${name}: ${parts.map((part) => examined(part, several)).join("; ")}`));
  return element(
    "div",
    { class: `complete ${complete.holds ? "whole" : "part"}` },
    element("p", {}, element("b", {}, head), `: the answer says that ${CLAIMS[complete.claim]}.`),
    element("ul", {}, rows),
  );
}

function examined(part, several) {
  const of = several && part.video ? ` of ${part.video}` : "";
  return `${part.analyzer}, ${span(part.start * 1000, part.end * 1000)}${of}${part.step ? `, every ${amount(part.step * 1000)}` : ""}`;
}

function unexamined(gaps) {
  if (!gaps.length) return null;
  const groups = new Map();
  for (const gap of gaps) {
    const name = `${gap.analyzer}: ${String(gap.reason).replaceAll("_", " ")}${gap.detail ? ` (${gap.detail})` : ""}`;
    groups.set(name, [...(groups.get(name) ?? []), span(gap.start, gap.end)]);
  }
  const lines = [...groups].map(([name, spans]) =>
    element("li", {}, `${name}, ${spans.slice(0, 6).join(", ")}${spans.length > 6 ? ` and ${spans.length - 6} more parts` : ""}`),
  );
  return element("details", {}, element("summary", {}, `Not examined: ${counted(gaps.length, "part")}`), element("ul", {}, lines));
}

function steps(answer) {
  const rows = answer.steps.map((step) =>
    element(
      "tr",
      {},
      element("td", {}, element("code", {}, step.tool), step.refused ? element("p", { class: "doubt" }, `Refused: ${step.refused}`) : null),
      element("td", {}, element("code", {}, JSON.stringify(step.args ?? {}))),
      element("td", { class: "number" }, `${step.analyzed_seconds ?? 0} s`),
      element("td", { class: "number" }, `${step.reused_seconds ?? 0} s`),
      element("td", { class: "number" }, `${step.wall_seconds ?? 0} s`),
      element("td", { class: "number" }, String((step.notes ?? []).length)),
    ),
  );
  const head = ["step", "arguments", "new", "reused", "took", "notes"].map((name) => element("th", { scope: "col" }, name));
  const table = element(
    "div",
    { class: "wide", tabIndex: 0, role: "region", "aria-label": "Steps" },
    element("table", {}, element("thead", {}, element("tr", {}, head)), element("tbody", {}, rows)),
  );
  const by = [answer.model || answer.manager, answer.mode && answer.mode !== "manager" ? answer.mode : ""].filter(Boolean).join(", ");
  return element(
    "details",
    { class: "cost" },
    element("summary", {}, cost(answer)),
    by ? element("p", {}, `By ${by}.`) : null,
    rows.length ? table : null,
  );
}

/** Return what an answer cost on one line, as the command line tells it. */
function cost(answer) {
  return [`Cost: ${counted(answer.steps.length, "step")}`, ...costs(answer.usage ?? {})].join(", ");
}

/** Return what was used, in parts. */
export function costs(usage) {
  const { llm_calls: calls = 0, vision_calls: looks = 0, cached_input_tokens: cached, cost_usd: usd } = usage;
  const from = cached ? `, ${cached.toLocaleString("en")} of all from a cache` : "";
  const parts = [];
  if (calls)
    parts.push(`${counted(calls, "model call")} (${counted((usage.input_tokens ?? 0) + (usage.output_tokens ?? 0), "token")}${from})`);
  if (looks) parts.push(`${counted(looks, "vision call")} (${counted(usage.vision_tokens ?? 0, "token")})`);
  if (usage.tokens_estimated) parts.push("tokens estimated");
  if (calls + looks && usd !== undefined) parts.push(usd === null ? "price not known" : dollars(usd));
  parts.push(`${usage.media_seconds_analyzed ?? 0} s analyzed, ${usage.media_seconds_reused ?? 0} s reused`);
  return usage.wall_seconds ? [...parts, amount(usage.wall_seconds * 1000)] : parts;
}

function dollars(usd) {
  if (usd >= 1 || !usd) return `$${usd.toFixed(2)}`;
  return `$${Number(usd.toPrecision(2)).toFixed(Math.max(2, 1 - Math.floor(Math.log10(usd))))}`;
}
