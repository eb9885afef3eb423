"""What is spent, as `ask` and `chat` tell it: by the manager, by the vision model, in dollars, and within limits."""

from pathlib import Path

import pytest

from cli_kit import PRICE, Cli
from openai_server import OpenAIServer, Turn

READ = ("read_subtitles", {"ranges": [["0:00", "0:02"]]})
LOOK = ("look", {"ranges": [["0:00", "0:01"]], "question": "Which colour is shown?"})
END = ("finish", {"answer": "It costs forty [#2].", "notes": [2], "confidence": "high", "found": True})
NOTHING = ("finish", {"answer": "It is not shown.", "notes": [], "confidence": "high", "found": False})


def test_a_look_is_paid_for(cli: Cli, video: Path) -> None:
    with OpenAIServer() as server:
        server.calls(LOOK, usage=(1000, 100), details=(600, 40))
        server.says('{"seen": false}', usage=(2000, 20))
        server.calls(NOTHING, usage=(1000, 100))
        flags = ("--base-url", server.url, "--model", "m", "--vision-model", "other", "--price", "1/10/0.5", "--price", "other=2/5")
        told = cli.json("ask", video, PRICE, "--json", *flags)["usage"]
        shown = cli("chat", video, "--session", "s", "--tools", "subtitles", stdin="/cost\n").stdout
    assert (told["llm_calls"], told["vision_calls"], told["vision_tokens"]) == (2, 1, 2020)
    assert (told["cached_input_tokens"], told["reasoning_tokens"]) == (600, 40)
    assert told["cost_usd"] == pytest.approx((400 + 1000 + 600 * 0.5 + 200 * 10 + 2000 * 2 + 20 * 5) / 1e6)
    assert "$" not in shown, "rules cost nothing"


def test_a_price_is_told_or_said_to_be_unknown(cli: Cli, video: Path) -> None:
    def shown(*more: object) -> str:
        with OpenAIServer() as server:
            server.calls(READ)
            server.calls(END)
            return cli("ask", video, PRICE, "--base-url", server.url, "--model", "m", "--tools", "subtitles", *more).stdout

    assert "2 model calls (22 tokens in, 14 out), price not known, " in shown()
    assert "2 model calls (22 tokens in, 14 out), $0.00036, " in shown("--price", "10/10")


def test_a_limit_of_cost_ends_a_question_with_what_is_there(cli: Cli, video: Path) -> None:
    with OpenAIServer() as server:
        server.calls(READ, usage=(1000, 0))
        flags = ("--base-url", server.url, "--model", "m", "--tools", "subtitles", "--max-cost", "0.0015")
        refused = cli("ask", video, PRICE, *flags, code=1)
        assert "the price of 'm' is not known" in refused.stderr and "--price m=IN/OUT" in refused.stderr
        told = cli("ask", video, PRICE, *flags, "--price", "1/1").stdout
        assert len(server.requests) == 1, "the second call would have passed the limit"
    assert "The budget was used up before it was done." in told and "Allow more: --max-cost 0.0075" in told


@pytest.mark.parametrize("mode", ["summarizer", "frames", "blind"])
def test_baselines_are_paid_for_as_well(cli: Cli, video: Path, mode: str) -> None:
    with OpenAIServer() as server:
        server.calls(("finish", {"answer": "Forty.", "notes": [1], "confidence": "low", "found": True}), usage=(500, 50))
        flags = ("--base-url", server.url, "--model", "m", "--price", "1/1", "--mode", mode)
        tools = () if mode != "summarizer" else ("--tools", "subtitles")
        usage = cli.json("ask", video, PRICE, "--json", *flags, *tools)["usage"]
    assert usage["cost_usd"] == pytest.approx(550e-6) and usage["llm_calls"] == 1


def test_indexing_with_captions_of_a_model_is_paid_for_and_limited(cli: Cli, video: Path, tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    with OpenAIServer() as server:
        server.answer = lambda body: Turn("A harbour.", usage=(1000, 10))
        settings.write_text(f'base_url = "{server.url}"\nvision_model = "m"\nprice = ["1/1"]\n')
        flags = ("index", video, "--with", "captions", "--config", settings)
        (row,) = cli.json(*flags, "--json")["indexed"]
        calls = len(server.requests)
        assert (row["vision_calls"], row["vision_tokens"]) == (calls, 1010 * calls) and row["cost_usd"] == pytest.approx(0.00101 * calls)
        assert f"Cost: {calls} vision call" in cli(*flags, "--refresh").stdout
        settings.write_text(settings.read_text() + "max_tokens = 1\n")
        (row,) = cli.json(*flags, "--refresh", "--json")["indexed"]
        assert row["vision_calls"] < calls or calls == 1
        assert "vision" not in cli(*flags[:3], "subtitles", *flags[4:]).stdout
