// The page as an MCP App: it runs in a frame of an agent's client, which asks the server for the data.

import { PageSource } from "./data.js";
import { byId, element } from "./dom.js";
import { connect } from "./host.js";
import { showPage } from "./showing.js";

const HEIGHT = 720;
let parts;

function tell(text) {
  for (const id of ["stage", "strip"]) byId(id).hidden = true;
  byId("answers").hidden = false;
  byId("answers").replaceChildren(element("p", { class: "none", role: "status" }, text));
}

/** Show a video; the address of its data is that of a resource of the server. */
async function show(host, video) {
  tell("The timeline is being read …");
  try {
    const read = await host.ask("resources/read", { uri: `timeline:///${encodeURIComponent(video)}` });
    const given = JSON.parse(read.contents[0].text);
    for (const one of given.videos) one.url = ""; // a frame of a client reaches no file
    document.title = byId("title").textContent = video;
    for (const id of ["stage", "strip"]) byId(id).hidden = false;
    parts = showPage(new PageSource(given));
  } catch (error) {
    tell(`The timeline of ${video} cannot be shown: ${error.message}`);
  }
}

async function start() {
  let shown = false;
  const host = connect({
    "ui/notifications/tool-input": ({ arguments: given }) => {
      if (shown || !given?.video) return;
      shown = true;
      show(host, given.video);
    },
    "ui/notifications/host-context-changed": (context) => colour(context),
  });
  const { hostContext: context = {} } = await host.ask("ui/initialize", {
    protocolVersion: "2026-01-26",
    appInfo: { name: "analyzer-agent", version: "1" },
    appCapabilities: { availableDisplayModes: ["inline", "fullscreen"] },
  });
  colour(context);
  host.tell("ui/notifications/initialized", {});
  const most = context.containerDimensions?.maxHeight ?? HEIGHT;
  host.tell("ui/notifications/size-changed", { height: Math.min(most, HEIGHT) });
}

/** Take the colours of the client, dark or light. */
function colour({ theme }) {
  if (!theme) return;
  document.documentElement.dataset.theme = theme;
  parts?.strip.drawNow();
}

start();
