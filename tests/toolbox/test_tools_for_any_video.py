"""The tools of one video before it is known which: other programs list them."""

from analyzer_agent import tools
from analyzer_agent.toolbox import tools_for_any_video


def test_they_are_the_tools_of_the_toolbox_without_a_choice_of_videos() -> None:
    analyzers, look_ups = tools_for_any_video(spec for spec, _ in tools.load_all().values())
    names = [tool["function"]["name"] for tool in (*analyzers, *look_ups)]
    assert {"transcribe_speech", "survey", "view", "overview", "read_notes", "search_notes", "find_all", "query"} <= set(names)
    assert "finish" not in names and len(names) == len(set(names))
    given = [tool["function"]["parameters"]["properties"] for tool in (*analyzers, *look_ups)]
    assert not any("video" in properties for properties in given)
    assert all(properties["region"]["description"] for properties in given if "region" in properties)
