"""What people are told when a package is missing or broken."""

from pathlib import Path

import pytest

from analyzer_agent.errors import Unavailable, require
from analyzer_agent.installing import install_extra, pip_install, reinstall_opencv


def test_a_missing_package_names_the_feature_and_the_line_that_installs_it() -> None:
    with pytest.raises(Unavailable) as caught:
        require("no_such_package_at_all", "vision", "Smelling")
    assert str(caught.value) == "Smelling needs 'no_such_package_at_all', which is not installed."
    assert caught.value.hint == install_extra("vision")


@pytest.mark.parametrize(
    ("trouble", "hint"),
    [
        ("ImportError('libGL.so.1: cannot open shared object file')", reinstall_opencv()),
        ("ModuleNotFoundError('No module named nose', name='nose')", pip_install("--force-reinstall", "half_there")),
    ],
)
def test_a_broken_package_tells_the_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str, hint: str) -> None:
    (tmp_path / "half_there.py").write_text(f"raise {trouble}", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(Unavailable, match="installed but cannot be loaded") as caught:
        require("half_there", "", "Smelling")
    assert caught.value.hint == hint
