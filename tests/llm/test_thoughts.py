"""Thoughts are no part of an answer, in whatever spelling they come, and wherever the stream is cut."""

from typing import Any

import pytest

from analyzer_agent.llm import open_model
from analyzer_agent.llm.openai_thoughts import ThinkingFilter, strip_thinking
from llm_kit import ASK, TOOLS
from openai_server import OpenAIServer

OSS = "<|channel|>analysis<|message|>It is #1, I think [#1].<|end|><|start|>assistant<|channel|>final<|message|>Forty.<|return|>"
CASES = [
    ("Forty.", "Forty."),
    ("<think>a</think>Forty.", "Forty."),
    (" \n<think>\na < b </thin </think>\n\nForty </think>.", "Forty </think>."),
    ("<think>a</think><think>b</think>\nForty.", "Forty."),
    ("Sure.\n<think>b [#1]</think>\nForty.", "Sure.\nForty."),
    ("[THINK]It is [#1].[/THINK]Forty.", "Forty."),
    ("<thinking>a</thinking>\nForty.", "Forty."),
    ("<Thought>a</Thought>Forty.", "Forty."),
    ("<thought>never ends", ""),
    ("<reasoning>a</reasoning>\n\nForty.", "Forty."),
    ("<seed:think>a</seed:think>Forty.", "Forty."),
    ("◁think▷a◁/think▷Forty.", "Forty."),
    ("◁think▷never ends", ""),
    ("<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Forty.<|END_RESPONSE|>", "Forty."),
    ("<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>Forty.<|end_of_solution|>", "Forty."),
    ("<|channel>thought\na<channel|>Forty.", "Forty."),
    ("Here is my thought process: a. Here is my response: Forty.", "Forty."),
    (OSS, "Forty."),
    ("<|channel|>analysis<|message|>a<|channel|>final<|message|>Forty.", "Forty."),
    ("<|channel|>analysis<|message|>never ends", ""),
    ("<|channel|>final<|message|>Forty.", "Forty."),
    ("analysisWe look at #1.assistantfinalForty.", "Forty."),
    # what is no thought
    ("analysis of it", "analysis of it"),
    ("<thinker> is a statue", "<thinker> is a statue"),
    ("<", "<"),
    ("<thi", "<thi"),
    ("  Forty", "  Forty"),
    ("<think>never ends", ""),
    ("<think></think>", ""),
    ("Say <think>x</think>", "Say <think>x</think>"),
    ("It is [1] < 3 [#1].\n\n  [ok] <x", "It is [1] < 3 [#1].\n\n  [ok] <x"),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_in_pieces_of_any_size(text: str, shown: str) -> None:
    for size in range(1, len(text) + 1):
        thoughts = ThinkingFilter()
        pieces = [thoughts.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert "".join(pieces) + thoughts.rest() == shown, size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("I should look.\n</think>\n\nForty.", "Forty."),
        ("It is [#1].[/THINK]Forty.", "Forty."),
        ("a◁/think▷Forty.", "Forty."),
        ('The tag "</think>" is shown.', 'The tag "</think>" is shown.'),
        ("Say <think>x</think>", "Say <think>x</think>"),
    ],
)
def test_a_closing_whose_opening_the_template_swallowed(text: str, shown: str) -> None:
    assert strip_thinking(text) == shown


class TestServers:
    @pytest.mark.parametrize("api", ["chat", "responses"])
    @pytest.mark.parametrize("text", ["[THINK]It is [#1].[/THINK]Forty.", OSS, "<thinking>#1</thinking>Forty.", "<think>#1</think>Forty."])
    def test_neither_the_stream_nor_the_reply_holds_them(self, server: OpenAIServer, api: Any, text: str) -> None:
        for on_text in (None, (heard := list[str]()).append):
            server.says(text)
            assert open_model("m", api=api, base_url=server.url).complete(ASK, TOOLS, on_text).text == "Forty."
        assert "".join(heard) == "Forty."

    @pytest.mark.parametrize("name", ["deepseek-r1:8b", "Qwen3-4B-Thinking-2507", "qwq"])
    def test_a_model_that_begins_in_them(self, name: str) -> None:
        with OpenAIServer(models=[name]) as server:
            server.says("I should look at #1.\n</think>\n\nForty.")
            server.says("Fifty.")
            model, heard = open_model(name, base_url=server.url), list[str]()
            assert [model.complete(ASK, TOOLS, heard.append).text for _ in range(2)] == ["Forty.", "Fifty."]
            assert "".join(heard) == "Forty.Fifty."

    def test_one_that_is_found_out(self, server: OpenAIServer) -> None:
        model = open_model("m", base_url=server.url)
        for _ in range(2):
            heard: list[str] = []
            server.says("I should look.\n</think>\n\nForty.")
            assert model.complete(ASK, TOOLS, heard.append).text == "Forty."
        assert "".join(heard) == "Forty."

    @pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
    def test_fields_of_their_own(self, server: OpenAIServer, name: str) -> None:
        server.sends({"choices": [{"message": {"content": "Forty.", name: "It is [#1]."}}]})
        assert open_model("m", base_url=server.url).complete(ASK, TOOLS).text == "Forty."

    def test_parts_of_their_own(self, server: OpenAIServer) -> None:
        thoughts = [{"type": "thinking", "thinking": [{"type": "text", "text": "a"}]}, {"type": "reasoning", "text": "b"}]
        server.sends({"choices": [{"message": {"content": [*thoughts, {"type": "text", "text": "Forty."}]}}]})
        assert open_model("m", base_url=server.url).complete(ASK, TOOLS).text == "Forty."
