"""What both doors make of replies: text, calls, usage, reasoning; streamed and in one piece; and of servers' dialects."""

import json
import subprocess
import sys
import threading
from typing import Any

import pytest

from analyzer_agent.errors import AgentError
from analyzer_agent.llm import choose_api, open_model
from analyzer_agent.protocols import ChatModel, Reply
from analyzer_agent.records import TokenUsage
from openai_server import OpenAIServer, Turn

APIS = ("chat", "responses")
ASK: list[dict[str, Any]] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How much?"}]
TOOLS = [
    {"type": "function", "function": {"name": "find_scenes", "description": "Finds.", "parameters": {"type": "object", "properties": {}}}},
    {"type": "function", "function": {"name": "finish", "description": "Ends.", "parameters": {"type": "object", "properties": {}}}},
]


def opened(server: OpenAIServer, api: Any, **more: Any) -> ChatModel:
    return open_model("m", api=api, base_url=server.url, **more)


def said(reply: Reply) -> dict[str, Any]:
    """The reply as the message that goes back, through JSON as a checkpoint would take it."""
    calls = [{"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in reply.calls]
    message = {"role": "assistant", "content": reply.text or None, "tool_calls": calls, "state": reply.state}
    back: dict[str, Any] = json.loads(json.dumps(message))
    return back


def results(reply: Reply) -> list[dict[str, Any]]:
    return [{"role": "tool", "tool_call_id": call.id, "content": f"#{n}"} for n, call in enumerate(reply.calls)]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("api", APIS)
class TestBoth:
    def ask(self, model: ChatModel, messages: list[dict[str, Any]], streamed: bool) -> tuple[Reply, list[str]]:
        heard: list[str] = []
        reply = model.complete(messages, TOOLS, heard.append if streamed else None)
        return reply, heard

    def test_text(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("It costs forty – «quarante».", usage=(120, 9))
        model = opened(server, api)
        reply, heard = self.ask(model, ASK, streamed)
        assert reply == Reply("It costs forty – «quarante».", (), TokenUsage(120, 9), None)
        assert "".join(heard) == (reply.text if streamed else "") and (len(heard) > 2) == streamed
        assert (model.manager, model.model) == ("openai", "m")
        assert server.requests[0].body.get("stream", False) is streamed

    def test_several_calls_and_their_results(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        wanted = [("find_scenes", {"ranges": [["0:00", "1:00"]], "name": "é"}), ("finish", {"answer": "x" * 40}), ("find_scenes", {})]
        server.calls(*wanted, text="Looking.")
        server.says("Done.")
        model = opened(server, api)
        reply, _ = self.ask(model, ASK, streamed)
        assert [(call.name, json.loads(call.arguments)) for call in reply.calls] == wanted
        assert len({call.id for call in reply.calls}) == 3 and reply.text == "Looking."
        again, _ = self.ask(model, [*ASK, said(reply), *results(reply)], streamed)
        assert again.text == "Done." and again.calls == () and again.state is None

    def test_arguments_that_are_not_json_stay_as_they_are(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.calls(("finish", '{"answer": "it cos'))
        reply, _ = self.ask(opened(server, api), ASK, streamed)
        assert reply.calls[0].arguments == '{"answer": "it cos'

    def test_a_refusal_is_text(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.script.append(Turn(refusal="I can't help with that."))
        reply, heard = self.ask(opened(server, api), ASK, streamed)
        assert reply.text == "I can't help with that."
        assert "".join(heard) == (reply.text if streamed else "")

    def test_a_filtered_reply_says_so(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("", finish="content_filter")
        reply, heard = self.ask(opened(server, api), ASK, streamed)
        assert "filter" in reply.text and "".join(heard) == (reply.text if streamed else "")

    def test_leading_thoughts_are_removed(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("\n<think>The user wants\na price. </think>\n\nForty <b>.")
        reply, heard = self.ask(opened(server, api), ASK, streamed)
        assert reply.text == "Forty <b>."
        assert "".join(heard) == (reply.text if streamed else "")

    def test_an_empty_reply_is_an_error(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("", reasoning=["Hm."])
        with pytest.raises(AgentError, match="empty reply"):
            self.ask(opened(server, api), ASK, streamed)

    def test_a_reply_cut_off_before_it_began_names_the_limit(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("", reasoning=["Hm."], finish="length")
        with pytest.raises(AgentError, match="token limit") as error:
            self.ask(opened(server, api), ASK, streamed)
        assert "longer context" in error.value.hint

    def test_a_server_that_gives_no_usage(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("Forty.", usage=None)
        usage = self.ask(opened(server, api), ASK, streamed)[0].usage
        assert usage.estimated and usage.input_tokens > 50 and usage.output_tokens == 2, "an estimate, which is told as one"

    def test_cached_tokens_and_thoughts_are_read(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("Forty.", usage=(900, 90), details=(768, 64))
        assert self.ask(opened(server, api), ASK, streamed)[0].usage == TokenUsage(900, 90, 768, 64)

    def test_listening_happens_in_the_callers_thread(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("Forty, she says.")
        threads = set()
        opened(server, api).complete(ASK, TOOLS, (lambda _: threads.add(threading.get_ident())) if streamed else None)
        assert threads == ({threading.get_ident()} if streamed else set())

    def test_a_call_can_be_demanded(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.calls(("finish", {}))
        reply = opened(server, api).complete(ASK, TOOLS, (lambda _: None) if streamed else None, must_call=True)
        assert reply.calls[0].name == "finish" and server.requests[0].body["tool_choice"] == "required"

    @pytest.mark.parametrize("told", ["Unknown parameter: 'tool_choice'.", "tool choice requires --enable-auto-tool-choice"])
    def test_where_it_cannot_it_is_only_asked_for(self, server: OpenAIServer, api: str, streamed: bool, told: str) -> None:
        for _ in range(2 if api == "chat" and streamed and told.startswith("Unknown") else 1):
            server.fails(400, told)
        server.says("Forty.")
        reply = opened(server, api).complete(ASK, TOOLS, (lambda _: None) if streamed else None, must_call=True)
        assert reply.text == "Forty." and "tool_choice" not in server.requests[-1].body

    def test_no_tools_are_sent_as_none(self, server: OpenAIServer, api: str, streamed: bool) -> None:
        server.says("Forty.")
        opened(server, api).complete(ASK, [], (lambda _: None) if streamed else None)
        assert "tools" not in server.requests[0].body


class TestReasoning:
    @pytest.mark.parametrize("streamed", [False, True])
    def test_it_goes_back_byte_for_byte_before_the_calls_it_belongs_to(self, server: OpenAIServer, streamed: bool) -> None:
        server.calls(("find_scenes", {"a": 1}), ("finish", {}), text="Looking.", reasoning=["one", "two"], phase="commentary")
        server.calls(("find_scenes", {"a": 2}), reasoning=["three"])
        server.says("Done.")
        model, on_text = opened(server, "responses"), (lambda _: None) if streamed else None
        messages = list(ASK)
        for _ in range(2):
            reply = model.complete(messages, TOOLS, on_text)
            messages += [said(reply), *results(reply)]
        model.complete(messages, TOOLS, on_text)
        items = server.requests[-1].body["input"]
        kinds = [item.get("type", item.get("role")) for item in items]
        assert kinds == [
            *("system", "user", "message", "reasoning", "function_call", "reasoning", "function_call"),
            *("function_call_output", "function_call_output", "reasoning", "function_call", "function_call_output"),
        ]
        made = next(iter(server.made.values()))
        assert [json.dumps(item) for item in items[2:7]] == [json.dumps(item) for item in made]
        assert items[2]["phase"] == "commentary" and items[3]["encrypted_content"].startswith("gAAAone")
        assert server.requests[-1].body["include"] == ["reasoning.encrypted_content"]

    def first(self, server: OpenAIServer) -> Reply:
        server.calls(("find_scenes", {"a": 1}), ("finish", {}), reasoning=["one"])
        reply = opened(server, "responses").complete(ASK, TOOLS)
        assert reply.state["api"] == "responses" and reply.state["model"] == "m" and len(reply.state["items"]) == 3
        return reply

    def sent(self, server: OpenAIServer, messages: list[dict[str, Any]], model: str = "m", api: Any = "responses") -> list[dict[str, Any]]:
        server.says("Done.")
        open_model(model, api=api, base_url=server.url).complete(messages, TOOLS)
        body = server.requests[-1].body
        messages_sent: list[dict[str, Any]] = body.get("input") or body["messages"]
        return messages_sent

    def test_it_is_dropped_when_the_model_changes(self, server: OpenAIServer) -> None:
        reply = self.first(server)
        items = self.sent(server, [*ASK, said(reply), *results(reply)], model="other")
        assert [item.get("type") for item in items[2:4]] == ["function_call", "function_call"]
        assert not any(item.get("type") == "reasoning" or "id" in item for item in items)

    def test_it_is_dropped_when_the_calls_are_gone(self, server: OpenAIServer) -> None:
        reply = self.first(server)
        compacted = {"role": "assistant", "content": "I looked.", "state": said(reply)["state"]}
        items = self.sent(server, [*ASK, compacted, {"role": "user", "content": "And?"}])
        assert items[2] == {"role": "assistant", "content": "I looked."} and len(items) == 4

    def test_it_is_dropped_when_one_of_the_calls_is_gone(self, server: OpenAIServer) -> None:
        reply = self.first(server)
        message = said(reply)
        del message["tool_calls"][1]
        items = self.sent(server, [*ASK, message, results(reply)[0]])
        assert [item.get("type") for item in items[2:]] == ["function_call", "function_call_output"]

    def test_it_is_dropped_by_the_other_api(self, server: OpenAIServer) -> None:
        reply = self.first(server)
        messages = self.sent(server, [*ASK, said(reply), *results(reply)], api="chat")
        assert len(messages) == 5 and not any("state" in message for message in messages)

    def test_state_of_another_api_is_ignored(self, server: OpenAIServer) -> None:
        reply = self.first(server)
        message = said(reply) | {"state": {"api": "chat", "model": "m", "items": []}}
        items = self.sent(server, [*ASK, message, *results(reply)])
        assert [item.get("type") for item in items[2:4]] == ["function_call", "function_call"]

    @pytest.mark.parametrize("api", APIS)
    def test_an_empty_list_of_calls_is_not_sent(self, server: OpenAIServer, api: Any) -> None:
        server.says("Forty.")
        messages = [*ASK, {"role": "assistant", "content": "Hm.", "tool_calls": [], "state": None}, {"role": "user", "content": "And?"}]
        assert opened(server, api).complete(messages, TOOLS).text == "Forty."

    def test_the_last_reply_needs_none(self, server: OpenAIServer) -> None:
        server.says("Forty.", reasoning=["one"])
        assert opened(server, "responses").complete(ASK, TOOLS).state is None

    def test_a_model_that_does_not_reason(self, server: OpenAIServer) -> None:
        server.fails(400, "Encrypted content is not supported with this model.")
        server.says("Forty.")
        server.says("Fifty.")
        model = opened(server, "responses")
        assert model.complete(ASK, TOOLS).text == "Forty."
        assert model.complete(ASK, TOOLS).text == "Fifty."
        assert ["include" in request.body for request in server.requests] == [True, False, False]


def delta(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls)} | more}]}


def function(name: str | None, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"function": ({"name": name} if name else {}) | {"arguments": arguments}} | more


DIALECTS = {
    "whole calls in one chunk, no index": [delta(function("a", '{"x":1}', id="1"), function("b", "{}", id="2"))],
    "whole calls, neither index nor id": [delta(function("a", '{"x":1}'), function("b", "{}"))],
    "whole calls in chunks of their own, neither index nor id": [delta(function("a", '{"x":1}')), delta(function("b", "{}"))],
    "every index 0, own ids": [delta(function("a", '{"x":1}', id="1", index=0)), delta(function("b", "{}", id="2", index=0))],
    "every index 0, no ids": [delta(function("a", '{"x":1}', index=0)), delta(function("b", "{}", index=0))],
    "arguments as an object": [delta(function("a", {"x": 1}, index=0), function("b", {}, index=1))],
    "pieces without index": [delta(function("a", '{"x"')), delta(function(None, ":1}")), delta(function("b", "{"), function(None, "}"))],
    "interleaved": [
        delta(function("a", "", index=0, id="1"), function("b", "", index=1, id="2")),
        delta(function(None, '{"x"', index=0), function(None, "{", index=1)),
        delta(function(None, "}", index=1), function(None, ":1}", index=0)),
    ],
    "id and name again with every piece": [
        delta(function("a", '{"x"', index=0, id="1")),
        delta(function("a", ":1}", index=0, id="1"), function("b", "", index=1, id="2")),
    ],
    "no arguments at all": [delta(function("a", '{"x":1}', index=0), {"index": 1, "function": {"name": "b"}})],
    "null for what is not there": [
        {"choices": [{"delta": {"content": None, "tool_calls": None}}]},
        delta(function("a", '{"x":1}', index=0, id=None), function("b", None, index=1, id=None)),
        {"choices": None, "usage": None},
    ],
}


class TestDialects:
    @pytest.mark.parametrize("chunks", DIALECTS.values(), ids=DIALECTS.keys())
    def test_calls_in_a_stream(self, server: OpenAIServer, chunks: list[dict[str, Any]]) -> None:
        server.streams(*chunks)
        reply = opened(server, "chat").complete(ASK, TOOLS, lambda _: None)
        assert [(call.name, json.loads(call.arguments)) for call in reply.calls] == [("a", {"x": 1}), ("b", {})]
        assert len({call.id for call in reply.calls}) == 2 and all(call.id for call in reply.calls)

    def test_ids_are_unique_in_the_conversation(self, server: OpenAIServer) -> None:
        message = {"role": "assistant", "tool_calls": [function("a", "{}", id="0", type="function"), function("b", "{}", id="0")]}
        answer = {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
        server.sends(answer)
        server.sends(answer)
        model = opened(server, "chat")
        one = model.complete(ASK, TOOLS)
        two = model.complete([*ASK, said(one) | {"content": ""}, *results(one)], TOOLS)
        assert len({call.id for call in one.calls + two.calls}) == 4

    def test_usage_is_asked_for_only_where_it_is_known(self) -> None:
        with OpenAIServer(knows_stream_options=False) as server:
            model = opened(server, "chat")
            for text in ("One.", "Two."):
                server.says(text)
                assert model.complete(ASK, TOOLS, lambda _: None).text == text
            assert ["stream_options" in request.body for request in server.requests] == [True, False, False]

    def test_a_server_that_cannot_stream_with_tools(self, server: OpenAIServer) -> None:
        server.fails(500, "Cannot use tools with stream")
        server.fails(500, "Cannot use tools with stream")
        server.calls(("finish", {}), text="Hm.")
        heard: list[str] = []
        reply = opened(server, "chat").complete(ASK, TOOLS, heard.append)
        assert reply.calls[0].name == "finish" and heard == ["Hm."]

    @pytest.mark.parametrize("api", APIS)
    def test_a_server_that_does_not_stream_though_asked(self, server: OpenAIServer, api: str) -> None:
        message = {"role": "assistant", "content": "Forty."}
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Forty."}]}
        server.sends({"choices": [{"message": message, "finish_reason": "stop"}], "output": [item]})
        heard: list[str] = []
        assert opened(server, api).complete(ASK, TOOLS, heard.append).text == "Forty."
        assert heard == ["Forty."]

    def test_content_in_parts(self, server: OpenAIServer) -> None:
        server.sends({"choices": [{"message": {"content": [{"type": "text", "text": "For"}, {"type": "text", "text": "ty."}]}}]})
        assert opened(server, "chat").complete(ASK, TOOLS).text == "Forty."

    def test_json_that_is_called_text(self, server: OpenAIServer) -> None:
        server.sends({"choices": [{"message": {"content": "Forty."}}]}, headers={"Content-Type": "text/plain"})
        assert opened(server, "chat").complete(ASK, TOOLS).text == "Forty."

    def test_a_proxy_that_leaves_the_output_of_the_end_empty(self, server: OpenAIServer) -> None:
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Forty."}]}
        server.streams(
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": {"status": "completed", "output": []}},
            done=False,
        )
        heard: list[str] = []
        assert opened(server, "responses").complete(ASK, TOOLS, heard.append).text == "Forty."
        assert heard == ["Forty."]

    def test_two_messages_in_one_response(self, server: OpenAIServer) -> None:
        items = [{"type": "message", "content": [{"type": "output_text", "text": text}]} for text in ("Looking.", "Forty.")]
        deltas = [{"type": "response.output_text.delta", "output_index": n, "delta": t} for n, t in enumerate(("Looking.", "Forty."))]
        done = [{"type": "response.output_item.done", "output_index": n, "item": item} for n, item in enumerate(items)]
        server.streams(deltas[0], done[0], deltas[1], done[1], {"type": "response.completed", "response": {"output": items}}, done=False)
        heard: list[str] = []
        reply = opened(server, "responses").complete(ASK, TOOLS, heard.append)
        assert reply.text == "".join(heard) == "Looking.\n\nForty."


class TestChoice:
    @pytest.mark.parametrize(
        ("api", "base_url", "chosen"),
        [
            ("auto", None, "responses"),
            ("auto", "https://api.openai.com/v1/", "responses"),
            ("auto", "https://eu.api.openai.com/v1", "responses"),
            ("auto", "http://localhost:11434/v1", "chat"),
            ("auto", "https://api.openai.com.evil.example/v1", "chat"),
            ("auto", "https://notapi.openai.com/v1", "chat"),
            ("chat", None, "chat"),
            ("responses", "http://localhost:1234/v1", "responses"),
        ],
    )
    def test_api(self, api: str, base_url: str | None, chosen: str) -> None:
        assert choose_api(api, base_url) == chosen

    def test_unknown_api(self) -> None:
        with pytest.raises(AgentError, match="'soap'") as error:
            open_model("m", api="soap", base_url="http://localhost/v1")  # type: ignore[arg-type]
        assert "'responses'" in error.value.hint

    def test_importing_the_package_does_not_import_the_sdk(self) -> None:
        code = "import sys, analyzer_agent.llm, analyzer_agent.llm.vision; sys.exit('openai' in sys.modules or 'numpy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
