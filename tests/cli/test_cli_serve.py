"""`serve` as a command: its address works, Ctrl-C ends it, wrong input is told."""

import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from cli_kit import Cli, read_until, talk
from patience import PATIENCE_S

pytest.importorskip("uvicorn", reason="needs the extra page")


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent Ctrl-C there")
def test_the_printed_address_works_until_ctrl_c(cli: Cli, tmp_path: Path) -> None:
    talk(tmp_path / "talk.mp4")
    process = cli.process("serve", "talk.mp4", "--port", "0")
    try:
        assert "Ctrl-C ends it" in read_until(process, "Open this address")
        assert process.stdout
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:") and "/watch?video=talk.mp4&token=" in address
        assert "Answers" in httpx.get(address, timeout=PATIENCE_S).text
        assert httpx.get(address.partition("&")[0], timeout=PATIENCE_S).status_code == 401
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert (out, err) == ("", "")
    finally:
        process.kill()


def test_wrong_input_is_told(cli: Cli, tmp_path: Path) -> None:
    assert "There is no file or folder 'gone'" in cli("serve", "gone", code=1).stderr
    assert "at least 16" in cli("serve", tmp_path, "--token", "short", code=1).stderr
    assert "no key" in cli("serve", tmp_path, "--model", "some-model", code=1).stderr
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = cli("serve", tmp_path, "--port", taken.getsockname()[1], code=1).stderr
        assert "Cannot listen on 127.0.0.1" in told and "--port 0" in told
    assert "Cannot listen on no.such.host.invalid" in cli("serve", tmp_path, "--host", "no.such.host.invalid", code=1).stderr
