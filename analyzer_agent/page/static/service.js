// The server that the page comes from: its data, and questions as jobs.

import { PageSource } from "./data.js";

/** Ask the server; raise an Error with its message and hint if it refuses. */
export async function ask(path, body) {
  const sent = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try {
    answer = await fetch(path, sent);
  } catch {
    throw new Error("The server does not answer. Is it still running?");
  }
  const given = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = new Error([given.error ?? `The server refused (${answer.status}).`, given.hint].filter(Boolean).join(" "));
    error.status = answer.status;
    throw error;
  }
  return given;
}

/** Return an address with parameters; one that is a list comes several times. */
export function address(path, given) {
  const parts = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) for (const one of [value].flat()) if (one) parts.append(name, one);
  return `${path}?${parts}`;
}

class ServedSource extends PageSource {
  still(video, at) {
    const shown = this.video(video);
    return shown?.size[0] ? `/api/frame?${new URLSearchParams({ video: shown.name, at: Math.round(at) })}` : undefined;
  }
}

/** Return the data of a page on these videos, or on those of a session. */
export async function openPage(videos, session, before) {
  const given = await ask(address("/api/page", { video: videos, session }));
  for (const video of given.videos) {
    const known = before?.video(video.id);
    if (!video.thumbnails.length && known) video.thumbnails = known.thumbnails;
  }
  const source = new ServedSource(given);
  source.names = given.videos_of;
  return source;
}

/** Fetch the thumbnails of videos, which may take long, and tell after each. */
export async function fetchThumbnails(state) {
  for (const { name } of state.source.videos) {
    const video = () => state.source.videos.find((one) => one.name === name);
    if (video().thumbnails.length) continue;
    try {
      const { thumbnails } = await ask(address("/api/thumbnails", { video: name }));
      video().thumbnails = thumbnails;
    } catch {
      continue; // the page is as good without, and the player tells what is wrong with the file
    }
    state.tell("data");
  }
}
