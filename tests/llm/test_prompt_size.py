"""A server that cuts the prompt is noticed by the tokens that it counts; one that merely counts in its own way is not."""

import itertools
from typing import Any

import pytest

from analyzer_agent.llm import open_model
from analyzer_agent.llm.prompt_size import PromptWatch, least_tokens
from analyzer_agent.records import TokenUsage
from openai_server import OpenAIServer

SYSTEM = "You manage analyzers of videos. Every finding is a note with a time range, and answers cite notes by their numbers. " * 40
TOOL = {
    "type": "function",
    "function": {"name": "finish", "description": "Ends. " * 100, "parameters": {"type": "object", "properties": {}}},
}
NOTES = "\n".join(f'#{n} 0:{n:02}.00-0:{n:02}.90 subtitle "It costs forty dollars, she says"' for n in range(60))
CHINESE = "\n".join(f'#{n} 0:{n:02}.00-0:{n:02}.90 subtitle "政府昨天宣布将在未来几周内提出新建议"' for n in range(60))
FRENCH = "\n".join(f'#{n} 0:{n:02}.00-0:{n:02}.90 subtitle "Le président a déclaré que le gouvernement présenterait"' for n in range(60))


def conversation(*results: str) -> list[list[dict[str, Any]]]:
    """The messages of each step: the question, then one result after the other."""
    steps: list[list[dict[str, Any]]] = [[{"role": "system", "content": SYSTEM}, {"role": "user", "content": "How much?"}]]
    for n, result in enumerate(results):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "finish", "arguments": "{}"}}
        said = {"role": "assistant", "content": "", "tool_calls": [call]}
        steps.append([*steps[-1], said, {"role": "tool", "tool_call_id": f"c{n}", "content": result}])
    return steps


def sent(messages: list[dict[str, Any]]) -> str:
    return str([TOOL]) + "\n".join(str(message.get("content")) for message in messages)


def noticed(counts: list[int], *results: str) -> list[bool]:
    watch = PromptWatch()
    steps = zip(conversation(*results), counts, strict=True)
    return [watch.missing(messages, [TOOL], TokenUsage(count, 9)) is not None for messages, count in steps]


def counted(*results: str, per_token: float = 4.0, limit: int = 10**9) -> list[int]:
    return [min(limit, round(len(sent(messages)) / per_token)) for messages in conversation(*results)]


class TestWhatWasCut:
    def test_a_prompt_of_just_the_length_of_a_context(self) -> None:
        assert noticed(counted(NOTES, NOTES, NOTES, limit=4096), NOTES, NOTES, NOTES)[-1]

    @pytest.mark.parametrize("results", [(NOTES,), (FRENCH,), (CHINESE,)])
    def test_one_that_does_not_grow(self, results: tuple[str, ...]) -> None:
        first = counted(*results)[0]
        assert noticed([first, first], *results) == [False, True]

    def test_one_that_lost_its_beginning(self) -> None:
        first, second = counted(NOTES)
        assert noticed([first, second - 400], NOTES) == [False, True]
        assert noticed([first, first - 10], NOTES + NOTES * 3) == [False, True]

    def test_at_once(self) -> None:
        assert noticed([512]) == [True]

    def test_a_table_of_contexts(self) -> None:
        for size in (2048, 4096, 8192):
            long = NOTES * (size // 500)
            assert noticed(counted(long, limit=size), long)[-1]
            assert noticed(counted(long, limit=size - 1), long)[-1]


class TestNoFalseAlarm:
    @pytest.mark.parametrize("per_token", [2.0, 2.7, 3.3, 4.0, 4.4, 5.0])
    @pytest.mark.parametrize("results", [(NOTES, NOTES), (CHINESE,), (FRENCH, NOTES), ("Nothing was found.",)])
    def test_other_tokenizers(self, per_token: float, results: tuple[str, ...]) -> None:
        assert not any(noticed(counted(*results, per_token=per_token), *results))

    def test_texts_as_they_are_counted(self) -> None:
        # characters and tokens, measured: o200k, or the tokenizer that needs fewest
        for text, tokens in (
            ("Le président de la République a déclaré hier que le gouvernement présenterait une nouvelle proposition", 17),
            ("政府昨天宣布，将在未来几周内提出关于组织市政选举的新建议，尽管反对派对此表示反对。", 20),
            ("Правительство вчера объявило о том, что новое предложение по организации муниципальных выборов", 19),
            ("=" * 200, 4),
            (" " * 300 + "x", 2),
        ):
            assert least_tokens(text) * 0.9 <= tokens

    def test_a_server_that_counts_only_what_its_cache_did_not_hold(self) -> None:
        whole = counted(NOTES, FRENCH, NOTES)
        new = [whole[0], *(b - a for a, b in itertools.pairwise(whole))]
        assert not any(noticed(new, NOTES, FRENCH, NOTES))

    @pytest.mark.parametrize("count", [0, 1, 11])
    def test_a_server_that_does_not_count(self, count: int) -> None:
        assert not any(noticed([count] * 3, NOTES, NOTES))

    def test_pictures_add_to_the_count_only(self) -> None:
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
        messages = [{"role": "user", "content": [{"type": "text", "text": "What is this? " * 20}, picture]}]
        assert PromptWatch().missing(messages, [], TokenUsage(330, 9)) is None

    def test_fewer_tools_or_another_conversation(self) -> None:
        watch, (first, second) = PromptWatch(), conversation(NOTES)
        assert watch.missing(first, [TOOL] * 20, TokenUsage(5000, 9)) is None
        assert watch.missing(second, [TOOL], TokenUsage(2900, 9)) is None
        other = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why? " * 200}]
        assert watch.missing(other, [TOOL], TokenUsage(300, 9)) is None

    def test_a_shorter_system_message(self) -> None:
        watch, (first, second) = PromptWatch(), conversation("Nothing was found in this range of the video. " * 5)
        assert watch.missing(first, [TOOL], TokenUsage(1400, 9)) is None
        assert watch.missing([{"role": "system", "content": SYSTEM[:3000]}, *second[1:]], [TOOL], TokenUsage(1050, 9)) is None


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_it_is_told_once_with_the_servers_setting(server: OpenAIServer, api: Any) -> None:
    model, replies = open_model("m", api=api, base_url=server.url), []
    for messages in conversation(NOTES, NOTES):
        server.says("How can I help you with your video?", usage=(1400, 9))
        replies.append(model.complete(messages, [TOOL]))
    assert [reply.prompt_cut for reply in replies] == [False, True, True]
    assert [len(reply.notices) for reply in replies] == [0, 1, 0]
    for word in ("read 1400 tokens of about ", "OLLAMA_CONTEXT_LENGTH", "num_ctx", "llama.cpp: -c", "--max-model-len", "LM Studio"):
        assert word in replies[1].notices[0]
