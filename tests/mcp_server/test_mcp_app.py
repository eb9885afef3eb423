"""The timeline as an MCP App: what clients are told, and that the page works in a frame of a client."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="needs the extra mcp")

from mcp import Client
from mcp.server.apps import APP_MIME_TYPE, EXTENSION_ID

from analyzer_agent.mcp_server.tool_list import TIMELINE_APP
from analyzer_agent.page import app_text
from mcp_kit import harbour, server_on, text_of, with_client
from page_kit import chromium

CLIENT = """<!doctype html><iframe id="app" sandbox="allow-scripts" style="width: 900px; height: 700px"></iframe>
<script>
const frame = document.getElementById("app");
const said = window.said = [];
addEventListener("message", ({ source, data }) => {
  if (source !== frame.contentWindow) return;
  said.push(data);
  const send = (message) => source.postMessage({ jsonrpc: "2.0", ...message }, "*");
  if (data.method === "ui/initialize") send({ id: data.id, result: { protocolVersion: "2026-01-26", hostContext: { theme: "dark" } } });
  if (data.method === "ui/notifications/initialized") {
    send({ id: "p", method: "ping" });
    send({ method: "ui/notifications/tool-input", params: { arguments: { video: "pier.mp4" } } });
  }
  if (data.method === "resources/read") {
    const error = window.refusal && { code: -32602, message: window.refusal };
    send(error ? { id: data.id, error } : { id: data.id, result: { contents: [{ uri: data.params.uri, text: window.given }] } });
  }
});
</script>"""


def parts_of(folder: Path) -> tuple[str, str]:
    """Return the app, and the data of a video of which the subtitles were read."""

    async def use(client: Client) -> tuple[str, str]:
        await client.call_tool("read_subtitles", {"video": "pier.mp4", "ranges": "0:00-0:02"})
        (app,) = (await client.read_resource(TIMELINE_APP)).contents
        (data,) = (await client.read_resource("timeline:///pier.mp4")).contents
        assert app.mime_type == APP_MIME_TYPE
        return app.text, data.text  # type: ignore[union-attr]

    with server_on(harbour(folder)) as (server, _):
        app, data = with_client(server, use)
    return app, data


def test_clients_are_told_which_tool_has_an_app(tmp_path: Path) -> None:
    async def use(client: Client) -> None:
        assert EXTENSION_ID in (client.server_capabilities.extensions or {})
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["show_timeline"].meta == {"ui": {"resourceUri": TIMELINE_APP}}
        assert TIMELINE_APP in [str(resource.uri) for resource in (await client.list_resources()).resources]
        assert "'pier.mp4'" in text_of(await client.call_tool("show_timeline", {"video": "pier.mp4"}))
        assert (await client.call_tool("show_timeline", {"video": "../secret.mp4"})).is_error

    with server_on(harbour(tmp_path)) as (server, _):
        with_client(server, use)


def test_the_app_is_one_file_that_reaches_no_address() -> None:
    text = app_text("Timeline")
    assert "default-src &#x27;none&#x27;" in text and " src=" not in text.partition("<script")[0].replace('href="data:,"', "")
    assert "http://" not in text and "https://" not in text


@pytest.mark.browser
@pytest.mark.parametrize("refusal", ["", "The file is gone."])
def test_a_client_shows_the_timeline_in_a_frame(tmp_path: Path, refusal: str) -> None:
    app, data = parts_of(tmp_path)
    told: list[str] = []
    with chromium() as browser:
        shown = browser.new_page()
        shown.on("console", lambda message: told.append(message.text) if message.type in ("error", "warning") else None)
        shown.on("pageerror", lambda error: told.append(str(error)))
        shown.set_content(CLIENT)
        given: list[Any] = [data, refusal, app]
        shown.evaluate(
            "([data, refusal, app]) => { given = data; window.refusal = refusal; document.getElementById('app').srcdoc = app; }", given
        )
        frame = shown.frame_locator("#app")
        if refusal:
            frame.locator("#answers", has_text=f"cannot be shown: {refusal}").wait_for()
        else:
            frame.locator("html[data-ready]").wait_for()
            assert frame.locator("#title").inner_text() == "pier.mp4"
            frame.get_by_role("tab", name="Notes").click()
            frame.locator(".row", has_text="forty pounds").click()
            assert frame.locator("#current", has_text="forty pounds").is_visible()
            assert frame.locator("#lanes .label", has_text="subtitles").count() == 1
            assert frame.locator("html").evaluate("(html) => getComputedStyle(html).colorScheme") == "dark"
        said = {message.get("method"): message for message in shown.evaluate("said")}
        assert said["ui/initialize"]["params"]["protocolVersion"] == "2026-01-26"
        assert said["resources/read"]["params"]["uri"] == "timeline:///pier.mp4"
        assert said["ui/notifications/size-changed"]["params"]["height"] > 0
        assert any(message.get("id") == "p" and message.get("result") == {} for message in shown.evaluate("said"))
    assert told == []
    assert json.loads(data)["videos"][0]["name"] == "pier.mp4"
