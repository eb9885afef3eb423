"""Tool calls that come as text are made, in every format that is known; otherwise the server's switch is told."""

import json
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import open_model
from analyzer_agent.llm.text_calls import CallFilter, TextCall, find_calls
from llm_kit import ASK
from openai_server import OpenAIServer

ARGUMENTS = '{"ranges": [["0:00", "0:05"]]}'
NAMED = f'{{"name": "find", "arguments": {ARGUMENTS}}}'
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {"text": {"type": "string"}}}}}
    for name in ("find", "finish")
]
_PARTS = {
    "§J": NAMED,
    "§P": NAMED.replace("arguments", "parameters"),
    "§A": ARGUMENTS,
    "§E": json.dumps(ARGUMENTS)[1:-1],
    "§S": ARGUMENTS[11:-1],
}

# fmt: off
FORMATS = {
    "hermes": "<tool_call>\n§J\n</tool_call>",
    "hermes2": "Let me look.\n<tool_call>§J</tool_call>\n<tool_call>§J</tool_call>",
    "unclosed": "<tool_call>§J",
    "missing brace": '<tool_call>{"name": "find", "arguments": §A</tool_call>',
    "py": "<tool_call>{'name': 'find', 'arguments': {'ranges': [['0:00', '0:05']]}}</tool_call>",
    "glm": '<tool_call>find\n<arg_key>ranges</arg_key>\n<arg_value>§S</arg_value>\n</tool_call>',
    "coder": '<tool_call>\n<function=find>\n<parameter=ranges>\n§S\n</parameter>\n</function>\n</tool_call>',
    "coder2": '<function=find>\n<parameter=ranges>\n§S\n</parameter>\n</function>',
    "functionary31": "<function=find>§A</function>",
    "functionary32": ">>>find\n§A",
    "functionary2": "<|recipient|>find\n<|content|>§A",
    "llama3": "<|python_tag|>§P",
    "llama3bare": "§P",
    "llama3py": '[find(ranges=§S)]',
    "mistral": "[TOOL_CALLS][§J]",
    "mistral2": "[TOOL_CALLS]find[ARGS]§A",
    "mistral3": "[TOOL_CALLS]find[CALL_ID]abc123XYZ[ARGS]§A",
    "mistral4": "[TOOL_CALLS]find§A",
    "ds": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>find\n```json\n§A\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "ds31": "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>find<｜tool▁sep｜>§A<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
    "ds32": (
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="find">\n<｜DSML｜parameter name="ranges" string="false">'
        '§S</｜DSML｜parameter>\n</｜DSML｜invoke>\n</｜DSML｜function_calls>'
    ),
    "kimi": (
        '<|tool_calls_section_begin|><|tool_call_begin|>'
        'functions.find:0<|tool_call_argument_begin|>§A<|tool_call_end|><|tool_calls_section_end|>'
    ),
    "oss": "<|channel|>commentary to=functions.find <|constrain|>json<|message|>§A<|call|>",
    "oss2": "<|start|>assistant to=functions.find<|channel|>commentary json<|message|>§A<|call|>",
    "oss4": "<|start|>assistant<|channel|>commentary to=functions.find<|message|>§A",
    "oss3": "commentary to=functions.find json§A",
    "oss5": "assistantcommentary to=functions.find json§A",
    "fence": "```json\n§J\n```",
    "fence2": "I look.\n```tool_call\n§J\n```",
    "fence3": "```\n§P\n```",
    "gemma": '```tool_code\nfind(ranges=§S)\n```',
    "granite": "<|tool_call|>[§J]",
    "granite3": "<tool_call>[§J]",
    "phi": "functools[§J]",
    "phi4": "<|tool_call|>[§J]<|/tool_call|>",
    "nemotron": "<TOOLCALL>[§J]</TOOLCALL>",
    "xlam": "[§J]",
    "openai": '{"tool_calls": [{"id":"1","type":"function","function": {"name": "find", "arguments": "§E"}}]}',
    "lfm": '<|tool_call_start|>[find(ranges=§S)]<|tool_call_end|>',
    "olmo": '<function_calls>\nfind(ranges=§S)\n</function_calls>',
    "minimax": '<minimax:tool_call>\n<invoke name="find">\n<parameter name="ranges">§S</parameter>\n</invoke>\n</minimax:tool_call>',
    "seed": '<seed:tool_call>\n<function=find>\n<parameter=ranges>§S</parameter>\n</function>\n</seed:tool_call>',
    "internlm": "<|action_start|><|plugin|>\n§P<|action_end|>",
    "apertus": '<|tools_prefix|>[{"find": §A}]<|tools_suffix|>',
    "cmdr": 'Action: ```json\n[{"tool_name": "find", "parameters": §A}]\n```',
    "cmda": '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "find", "parameters": §A}]<|END_ACTION|>',
    "fnsingle": "<function_call> §J",
    "result": '<tool_call>§J</tool_call>\n<tool_response>{"x": 1}</tool_response>',
}
# fmt: on


def written(text: str) -> str:
    for short, long in _PARTS.items():
        text = text.replace(short, long)
    return text


def streamed(text: str, size: int) -> str:
    calls = CallFilter()
    return "".join(calls.feed(text[at : at + size]) for at in range(0, len(text), size))


@pytest.mark.parametrize("text", FORMATS.values(), ids=FORMATS.keys())
class TestEachFormat:
    def test_it_is_read(self, text: str) -> None:
        found = find_calls(written(text), TOOLS, ["What is said there?"])
        assert found and found.text in ("", "Let me look.", "I look.")
        assert {(call.name, json.dumps(json.loads(call.arguments))) for call in found.calls} == {("find", ARGUMENTS)}

    def test_nothing_of_it_is_shown_while_it_streams(self, text: str) -> None:
        for size in (1, 2, 3, 7, 1000):
            assert streamed(written(text), size).strip() in ("", "Let me look.", "I look.")

    def test_a_quotation_of_what_was_read_is_none(self, text: str) -> None:
        read = written(text).replace("<", "‹").replace("\n", " ")
        assert find_calls(written(text), TOOLS, [f"<notes>\n#1 0:01-0:02 subtitle {read}\n</notes>"]) is None


@pytest.mark.parametrize(
    "text",
    [
        *("It costs forty [#2].", "{x} is a set", "[1, 2]", '{"a": 1}', "```python\nprint(1)\n```", '{"name": "Bob", "age": 3}'),
        *('{"name": "Bob"}', "[#1] Forty", "Action: she runs", "- `find` is used\n> so", "commentary on it", "[find](http://x)"),
        f'She says "<tool_call>{NAMED}</tool_call>" [#1].',
    ],
)
def test_what_is_no_call(text: str) -> None:
    assert find_calls(text, TOOLS, []) is None
    assert find_calls(text, [], []) is None


def test_what_is_shown_meanwhile() -> None:
    text = "It costs forty [#2], she says. \nThen a < b.\nOK > x `a` and [x] end."
    assert {streamed(text, size) for size in range(1, 80)} == {text}


def test_arguments_are_typed_by_the_schema() -> None:
    text = "<tool_call><function=find><parameter=text>\n5\n</parameter><parameter=n>5</parameter></function></tool_call>"
    found = find_calls(text, TOOLS, [])
    assert found and found.calls == [TextCall("find", '{"text": "5", "n": 5}')]


@pytest.mark.parametrize("api", ["chat", "responses"])
@pytest.mark.parametrize("listens", [False, True])
class TestServers:
    def test_a_call_is_made_and_told_once(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        model, heard, notices = open_model("m", api=api, base_url=server.url), list[str](), list[str]()
        messages: list[dict[str, Any]] = list(ASK)
        for text in (f"I look.\n<tool_call>{NAMED}</tool_call>", f"[TOOL_CALLS][{NAMED}]"):
            server.says(text)
            reply = model.complete(messages, TOOLS, heard.append if listens else None)
            (call,) = reply.calls
            assert (call.name, json.loads(call.arguments)) == ("find", json.loads(ARGUMENTS)) and "tool" not in reply.text
            function = {"name": call.name, "arguments": call.arguments}
            said = {"role": "assistant", "content": reply.text, "tool_calls": [{"id": call.id, "type": "function", "function": function}]}
            messages += [said | {"state": reply.state}, {"role": "tool", "tool_call_id": call.id, "content": "#1"}]
            notices += reply.notices
        server.says("Forty.")
        assert model.complete(messages, TOOLS).text == "Forty."
        assert "".join(heard).strip() == ("I look." if listens else "")
        assert len(notices) == 1 and "--enable-auto-tool-choice" in notices[0]

    @pytest.mark.parametrize("text", ["<tool_call>find it</tool_call>", "<|tool_foo|>find{}", "[USE_TOOL] find everything"])
    def test_one_that_cannot_be_read_is_no_answer(self, server: OpenAIServer, api: Any, listens: bool, text: str) -> None:
        server.says(text)
        with pytest.raises(AgentError, match="wrote a tool call as text that cannot be read") as error:
            open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, (lambda _: None) if listens else None)
        assert "--jinja" in error.value.hint and "--enable-auto-tool-choice" in error.value.hint

    def test_text_that_only_looked_like_one_is_shown(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        heard: list[str] = []
        server.says('See:\n{"name": "Bob", "age": 3}')
        reply = open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, heard.append if listens else None)
        assert reply.text == 'See:\n{"name": "Bob", "age": 3}' and reply.calls == () and "".join(heard) == (reply.text if listens else "")

    def test_broken_arguments_are_for_the_tool_to_refuse(self, server: OpenAIServer, api: Any, listens: bool) -> None:
        server.says('<tool_call>{"name": "find", "arguments": {"ranges": [[0:00, ]}}</tool_call>')
        reply = open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, (lambda _: None) if listens else None)
        assert [call.name for call in reply.calls] == ["find"]
