// Times and texts as people read them.

/** Return ms as `m:ss` or `h:mm:ss`, with the fraction that is there unless `whole`. */
export function clock(ms, whole = false) {
  const total = whole ? Math.floor(ms / 1000) * 1000 : Math.round(ms);
  const seconds = Math.floor(total / 1000);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n) => String(n).padStart(2, "0");
  const rest = total % 1000 ? `.${String(total % 1000).padStart(3, "0")}`.replace(/0+$/, "") : "";
  return `${h ? `${h}:${two(m)}` : m}:${two(s)}${rest}`;
}

export function span(start, end) {
  return `${clock(start)}–${clock(end)}`;
}

/** Return a duration in ms as people say it. */
export function amount(ms) {
  if (ms < 60000) return `${Number((ms / 1000).toPrecision(3))} s`;
  return clock(Math.round(ms / 1000) * 1000);
}

export function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

/** Return text as it is compared: without case and accents. */
export function folded(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

export function wordsOf(query) {
  return folded(query).split(/\s+/).filter(Boolean);
}

/** Return [start, end] of every place in `text` where one of the folded words stands. */
export function places(text, words) {
  if (!words.length) return [];
  // Folding changes lengths, so each folded character remembers the one it came from.
  let flat = "";
  const from = [];
  let at = 0;
  for (const character of text) {
    const plain = folded(character);
    flat += plain;
    for (let n = 0; n < plain.length; n += 1) from.push(at);
    at += character.length;
  }
  from.push(text.length);
  const found = [];
  for (const word of words) {
    for (let n = flat.indexOf(word); n >= 0; n = flat.indexOf(word, n + word.length)) {
      const last = from[n + word.length - 1];
      found.push([from[n], last + (text.codePointAt(last) > 0xffff ? 2 : 1)]);
    }
  }
  found.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const apart = [];
  for (const place of found) {
    const before = apart[apart.length - 1];
    if (before && place[0] < before[1]) before[1] = Math.max(before[1], place[1]);
    else apart.push(place);
  }
  return apart;
}

const STATES = {
  found: "looked at",
  empty: "looked at, found nothing",
  failed: "failed",
  unread: "could not be read",
  never: "never looked at",
};

export function stateName(state) {
  return STATES[state];
}

/** Return how densely an analyzer looked: its sampling step in ms, 0 for everything. */
export function stepName(step) {
  return step ? `every ${amount(step)}` : "all of it";
}

/** Return a time as people write it, "" if there is none. */
export function day(stamp) {
  const date = new Date(stamp);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });
}
