"""The tools of one video before it is known which: other programs list them."""

from analyzer_agent import tools
from analyzer_agent.toolbox import tools_for_any_video
from analyzer_agent.toolbox.schemas import finish_tool, reading_tools, survey_tool
from analyzer_agent.toolbox.sent_tools import as_sent


def test_they_are_the_tools_of_the_toolbox_without_a_choice_of_videos() -> None:
    analyzers, look_ups = tools_for_any_video(spec for spec, _ in tools.load_all().values())
    names = [tool["function"]["name"] for tool in (*analyzers, *look_ups)]
    assert {"transcribe_speech", "survey", "view", "overview", "read_notes", "search_notes", "find_all", "query"} <= set(names)
    assert "finish" not in names and len(names) == len(set(names))
    given = [tool["function"]["parameters"]["properties"] for tool in (*analyzers, *look_ups)]
    assert not any("video" in properties for properties in given)
    assert all(properties["region"]["description"] for properties in given if "region" in properties)


def test_names_of_videos_stand_once() -> None:
    names = ["a.mp4", "b.mp4"]
    sent = as_sent([finish_tool(names), *reading_tools(names, {"text"}), survey_tool(["b.mp4"], 2)])
    videos = {tool["function"]["name"]: tool["function"]["parameters"]["properties"].get("video") for tool in sent}
    assert videos["finish"] == {"type": "string", "enum": names, "description": "which video"}
    assert videos["read_notes"] == videos["find_all"] == {"type": "string"}
    assert videos["survey"]["enum"] == ["b.mp4"], "not each can be surveyed"
