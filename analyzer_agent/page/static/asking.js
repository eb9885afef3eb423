// Asking: the form, and the question that is being answered, with its steps, the answer so far, and its cost.

import { costs } from "./answers.js";
import { byId, element } from "./dom.js";
import { ask, openPage } from "./service.js";
import { counted } from "./text.js";

const REFRESH_MS = 3000;

export class Asking {
  constructor({ state, tabs, answers }, session) {
    this.state = state;
    this.tabs = tabs;
    this.answers = answers;
    this.session = session;
    this.#build();
    this.#offer();
    state.on("video", () => this.#offer());
  }

  /** Follow the question of this session that is being answered, if there is one. */
  async rejoin() {
    if (!this.session) return;
    const { jobs } = await ask(`/api/jobs?${new URLSearchParams({ session: this.session })}`);
    const open = jobs.find((job) => job.state === "waiting" || job.state === "running");
    if (open) this.#follow(open);
  }

  #build() {
    this.field = element("textarea", {
      id: "question",
      rows: 1,
      required: true,
      maxLength: 4000,
      placeholder: "Ask about what is seen or said",
      "aria-label": "Question",
      onkeydown: (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.form.requestSubmit();
      },
      oninput: () => this.#fit(),
    });
    this.button = element("button", { type: "submit", class: "button" }, "Ask");
    this.further = element("button", { type: "button", class: "button quiet", hidden: true, onclick: () => this.#further() }, "Look further");
    this.trouble = element("p", { class: "doubt", role: "alert", hidden: true });
    this.form = element("form", { id: "ask", "aria-label": "Ask a question" }, this.trouble, this.field, this.button, this.further);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#start(this.field.value, {});
    });
    this.status = element("p", { class: "status", role: "status" });
    this.asked = element("h2", { dir: "auto" });
    this.steps = element("ol", { class: "steps" });
    this.partial = element("p", { class: "answer", dir: "auto", hidden: true });
    this.cost = element("p", { class: "soft" });
    this.stop = element("button", { type: "button", class: "button", onclick: () => this.#stop() }, "Stop");
    const foot = element("div", { class: "foot" }, this.cost, this.stop);
    const read = element("div", { class: "read", tabIndex: 0, role: "region", "aria-label": "Steps" }, this.asked, this.steps, this.partial);
    this.live = element("section", { id: "live", "aria-label": "The question that is being answered", hidden: true }, this.status, read, foot);
    this.read = read;
    byId("panel").append(this.live, this.form);
  }

  #fit() {
    this.field.rows = Math.min(6, Math.max(1, this.field.value.split("\n").length));
  }

  #tell(text) {
    this.trouble.textContent = text;
    this.trouble.hidden = !text;
  }

  async #start(question, more) {
    if (this.job || !question.trim()) return;
    this.#tell("");
    this.button.disabled = true;
    const about = this.session ? { session: this.session } : { videos: this.state.source.names };
    try {
      const job = await ask("/api/ask", { question, ...about, ...more });
      this.field.value = "";
      this.#fit();
      this.session = job.session;
      this.#follow(job);
    } catch (error) {
      this.#tell(error.message);
      if (error.status === 429) this.rejoin().catch((other) => this.#tell(other.message)); // somebody else asks in this session
    } finally {
      this.button.disabled = Boolean(this.job);
    }
  }

  /** Ask the last question again, and spend more on it. */
  #further() {
    const turn = this.#last();
    if (turn) this.#start(turn.question, { effort: "deep" });
  }

  #last() {
    return this.state.source.sessions.find((one) => one.name === this.session)?.turns.at(-1);
  }

  /** Offer to look further where the last answer leaves something open. */
  #offer() {
    const turn = this.#last();
    const answer = turn?.answer;
    const open = answer && (answer.not_examined.length || answer.missing || answer.left_open || answer.finished !== "answered");
    this.further.hidden = Boolean(this.job) || !turn || !(open || !answer || (answer.complete && !answer.complete.holds));
  }

  async #stop() {
    this.stop.disabled = true;
    try {
      await ask(`/api/jobs/${this.job}/cancel`, {});
    } catch (error) {
      this.#tell(error.message);
    }
  }

  #follow(job) {
    this.job = job.id;
    this.calls = new Map();
    this.button.disabled = true;
    this.stop.disabled = false;
    this.steps.replaceChildren();
    this.partial.textContent = "";
    this.partial.hidden = true;
    this.cost.textContent = "";
    this.asked.textContent = job.question;
    this.status.textContent = "Starting";
    this.live.hidden = false;
    this.live.scrollIntoView({ block: "nearest" }); // on a phone it may be below what is seen
    this.#offer();
    history.replaceState(null, "", `/watch?${new URLSearchParams({ session: job.session })}${location.hash}`);
    byId("new").hidden = false;
    const events = new EventSource(`/api/jobs/${job.id}/events`);
    events.addEventListener("message", (event) => this.#take(JSON.parse(event.data)));
    events.addEventListener("state", (event) => {
      const { state } = JSON.parse(event.data);
      if (state === "waiting") this.status.textContent = "Waiting: other questions come first";
      if (state === "running") this.status.textContent = "Starting";
    });
    events.addEventListener("end", (event) => {
      events.close();
      this.#end(JSON.parse(event.data));
    });
    events.addEventListener("error", () => {
      if (events.readyState === EventSource.CLOSED) this.#end({ state: "failed", error: "The server has lost this question." });
      else this.status.textContent = "The connection is interrupted; trying again";
    });
  }

  #take(given) {
    this.cost.textContent = `So far: ${costs(given.usage).join(", ")}`;
    if (given.event === "TextDelta") {
      this.partial.append(given.delta);
      this.partial.hidden = false;
    } else if (given.event === "Thinking" || given.event === "SentBack") {
      this.partial.textContent = "";
      this.partial.hidden = true;
    }
    if (given.event === "ToolStarted") this.#step(given.call, "running", given.text, given.new_ms ? [0, given.new_ms] : null);
    else if (given.event === "Progress") this.#step(given.call, "running", null, [given.done_ms, given.total_ms]);
    else if (given.event === "ToolFinished") {
      this.#step(given.call, given.refused ? "refused" : "done", given.text);
      this.#refresh();
    } else if (given.event === "SentBack" || given.event === "Warned") this.#step(`note ${given.number}`, "refused", given.text);
    else if (given.event !== "TextDelta" && given.event !== "Answered") this.status.textContent = sentence(given.text);
    this.read.scrollTop = this.read.scrollHeight;
  }

  #step(call, kind, text, progress) {
    let item = this.calls.get(call);
    if (!item) {
      item = element("li", {}, element("span", { dir: "auto" }), element("progress", { hidden: true, "aria-label": "Progress" }));
      this.calls.set(call, item);
      this.steps.append(item);
    }
    const [line, bar] = item.children;
    item.className = kind;
    if (text) line.textContent = text;
    bar.hidden = !progress;
    if (progress) [bar.value, bar.max] = progress;
    if (kind === "running") this.status.textContent = "Looking and listening";
  }

  /** Show new notes in the lanes while the question goes on, but not too often. */
  #refresh() {
    this.due ??= setTimeout(async () => {
      this.due = undefined;
      if (this.job) await this.#reload().catch((error) => this.#tell(error.message));
    }, REFRESH_MS);
  }

  async #reload() {
    const { source } = this.state;
    this.state.refresh(await openPage(source.names, this.session, source));
  }

  async #end(job) {
    clearTimeout(this.due);
    this.due = undefined;
    this.job = null;
    this.button.disabled = false;
    if (job.error) this.#tell([job.error, job.hint].filter(Boolean).join(" "));
    else if (job.state === "stopped") this.#tell("Stopped. What was found so far is kept.");
    try {
      await this.#reload();
    } catch (error) {
      this.#tell(error.message);
    }
    this.live.hidden = true;
    this.#offer();
    if (job.state !== "answered") return;
    this.tabs.open("answers");
    byId("answers").querySelector("section:first-child article:last-of-type")?.scrollIntoView({ block: "start" });
    this.field.focus({ preventScroll: true });
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Return how many videos a page is about, for its title. */
export function titleOf(source) {
  const [first] = source.names;
  return source.names.length === 1 ? first : `${first} and ${counted(source.names.length - 1, "other video")}`;
}
