"""The benchmark of a manager's requests: what it counts, and a conversation on either API."""

from pathlib import Path

import pytest

from benchmarks.agent import Api, Conversation, measured, play
from cli_kit import talk


def test_what_a_server_had_read_before_is_counted() -> None:
    first = '[[], [{"role": "system"}, {"role": "user"}'
    cost = measured([first, f"{first}, 1234567890", '[[], [{"role": "system"}, {"other": 1}'])
    assert cost.calls == 3 and cost.fixed == len('[[], {"role": "system"}]') // 4
    assert cost.hits == (len(first) + len('[[], [{"role": "system"}, {"')) // 4
    assert cost.least == pytest.approx(len('[[], [{"role": "system"}, {"') / len('[[], [{"role": "system"}, {"other": 1}'))


@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_recorded_conversation(api: Api, tmp_path: Path) -> None:
    cost = play(Conversation(2, 2), api, talk(tmp_path / "talk.mp4"))
    assert cost.calls == 6 and cost.least >= 0.97 and 0.5 < cost.hit_rate < 1
