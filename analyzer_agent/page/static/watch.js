// The page of a server: videos with what was found in them, and questions about them.

import { Asking, titleOf } from "./asking.js";
import { byId, element } from "./dom.js";
import { address, fetchThumbnails, openPage } from "./service.js";
import { showPage } from "./showing.js";

async function start() {
  const given = new URLSearchParams(location.search);
  const [videos, session] = [given.getAll("video"), given.get("session") ?? ""];
  // The token is in the cookie now; nobody shall read it from the address.
  history.replaceState(null, "", address("/watch", { video: videos, session }) + location.hash);
  byId("title").before(element("a", { href: "/", class: "home", "aria-label": "All videos", title: "All videos" }, "☰"));
  byId("theme").before(
    element("a", { id: "new", href: "/", class: "home", "aria-label": "New conversation", title: "New conversation", hidden: !session }, "+"),
  );
  try {
    const source = await openPage(videos, session);
    document.title = titleOf(source);
    byId("title").textContent = document.title;
    const parts = showPage(source);
    const asking = new Asking(parts, session);
    byId("new").href = address("/watch", { video: source.names });
    fetchThumbnails(parts.state);
    await asking.rejoin();
  } catch (error) {
    byId("answers").hidden = false;
    byId("answers").replaceChildren(element("p", { class: "none", role: "alert" }, error.message, " ", element("a", { href: "/" }, "All videos")));
    document.documentElement.dataset.ready = "";
  }
}

start();
