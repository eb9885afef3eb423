"""`config`: where settings are looked for, what each is and who said it, and what a misspelt one is told."""

from pathlib import Path

import click
import pytest

from analyzer_agent.cli import main
from analyzer_agent.config import SETTINGS
from cli_kit import Cli


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "xdg_config_home" / "analyzer-agent" / "config.toml"
    path.parent.mkdir(parents=True)
    path.write_text('model = "m"\nmax_steps = 3\n[weights_for]\nspeech = "/s"\n')
    return path


def test_the_path_whether_or_not_it_is_there(cli: Cli, tmp_path: Path) -> None:
    usual = tmp_path / "xdg_config_home" / "analyzer-agent" / "config.toml"
    assert cli("config", "path").stdout == f"{usual}\n"
    assert cli.json("config", "path", "--json", ANALYZER_AGENT_CONFIG="/x.toml") == {"path": "/x.toml", "exists": False}
    assert cli("config", "path", "--config", "/y.toml").stdout == "/y.toml\n"


def test_each_setting_with_its_origin(cli: Cli, file: Path, tmp_path: Path) -> None:
    flags = ["--from", "1:04.2", "--tools", "speech,text", "--store", "s.db"]
    listed = cli.json(
        "config", "list", "--json", *flags, ANALYZER_AGENT_MAX_STEPS="5", OPENAI_API_KEY="sk-secret", OPENAI_BASE_URL="http://h/v1"
    )
    told = {row["name"]: (row["value"], row["from"]) for row in listed["settings"]}
    assert listed["file"] == str(file) and told.keys() == SETTINGS.keys() | {"OPENAI_API_KEY"}
    assert told["model"] == ("m", "file") and told["max_steps"] == (5, "environment") and told["store"] == ("s.db", "flag")
    assert told["from"] == ("1:04.2", "flag") and told["tools"] == (["speech", "text"], "flag")
    assert told["weights_for"] == ({"speech": "/s"}, "file") and told["base_url"] == ("http://h/v1", "environment")
    assert told["weights"] == (str(tmp_path / "xdg_data_home" / "analyzer-agent" / "weights"), "default")
    assert told["verify"] == ("auto", "default") and told["to"] == (None, "default")
    assert told["OPENAI_API_KEY"] == ("set", "environment")


def test_every_setting_is_a_flag_with_the_help_that_it_declares() -> None:
    group = main.commands["config"]
    assert isinstance(group, click.Group)
    options = {param.name: param for param in group.commands["list"].params if isinstance(param, click.Option)}
    for setting in SETTINGS.values():
        if setting.name != "weights_for":  # `--weights NAME=PATH` sets it
            assert (options[setting.name].help or "").startswith(setting.help)


def test_a_flag_reads_what_the_file_reads(cli: Cli) -> None:
    listed = cli.json("config", "list", "--json", "--max-analyzer-seconds", "1:30")["settings"]
    assert {row["name"]: row["value"] for row in listed}["max_analyzer_seconds"] == "1:30"


def test_for_people(cli: Cli, file: Path) -> None:
    shown = cli("config", "list", OPENAI_API_KEY="sk-secret").stdout
    rows = {line.split()[0]: line for line in shown.splitlines()}
    assert rows["setting"].split() == ["setting", "value", "from", "help"]
    assert rows["max_steps"].split()[:3] == ["max_steps", "3", "file"] and "speech=/s" in rows["weights_for"]
    assert "One of auto, always, never." in rows["verify"] and "sk-secret" not in shown


@pytest.mark.parametrize(
    ("text", "env", "told", "hint"),
    [
        ("", {"ANALYZER_AGENT_WEIGTHS": "w"}, "Unknown setting 'ANALYZER_AGENT_WEIGTHS' in the environment.", "'ANALYZER_AGENT_WEIGHTS'?"),
        ('verifi = "auto"', {}, "Unknown setting 'verifi' in", "Did you mean 'verify'?"),
        ('mode = "blindd"', {}, "mode='blindd' in", "Did you mean 'blind'?"),
        ("weights = {speech = 3}", {}, "weights={'speech': 3} in", "--weights objects=yolo11n.pt"),
    ],
)
def test_what_is_wrong_is_told_by_every_command(cli: Cli, file: Path, text: str, env: dict[str, str], told: str, hint: str) -> None:
    file.write_text(text)
    for command in (["config", "list"], ["doctor"], ["ask", "a.mp4", "b"]):
        stderr = cli(*command, code=1, **env).stderr
        assert told in stderr and hint in stderr and len(stderr.splitlines()) == 2
