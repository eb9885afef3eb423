"""Damaged and encrypted files on the command line: what was not examined is told, once, and not claimed."""

from pathlib import Path

from cli_kit import Cli
from damage_kit import KEYS, damage, words


def test_index_claims_what_was_seen(cli: Cli, tmp_path: Path) -> None:
    path = damage(words(tmp_path / "a.mp4"), 3.5, 8.5)
    first = cli("index", path, "--with", "scenes,motion", "--quiet")
    assert first.stderr.count("Warning") == 1
    assert "Not examined: scenes, motion 0:03.52-0:09 (undecodable)" in first.stderr
    assert first.stdout.splitlines()[0].split() == ["analyzer", "new", "reused", "not", "examined", "notes", "took"]
    assert first.stdout.splitlines()[1].split()[:7] == ["scenes", "6.5", "s", "0.0", "s", "5.5", "s"]
    for row in cli.json("index", path, "--with", "scenes,motion", "--quiet", "--json")["indexed"]:
        assert (row["new_seconds"], row["reused_seconds"]) == (0, 6.52)
        assert row["not_examined"] == [{"start": 3.52, "end": 9.0, "reason": "undecodable"}]


def test_an_encrypted_file_is_neither_empty_nor_one_shot(cli: Cli, tmp_path: Path) -> None:
    path = words(tmp_path / "a.mp4", seconds=1, options=KEYS)
    told = cli("index", path, "--with", "scenes")
    assert "a.mp4: the picture is encrypted: it cannot be analyzed" in told.stderr
    (row,) = cli.json("index", path, "--with", "scenes", "--quiet", "--json")["indexed"]
    assert (row["new_seconds"], row["reused_seconds"], row["notes"]) == (0, 0, 0)
    assert row["not_examined"] == [{"start": 0.0, "end": 3.0, "reason": "encrypted"}]


def test_the_store_counts_what_was_seen(cli: Cli, tmp_path: Path) -> None:
    cli("index", damage(words(tmp_path / "a.mp4"), 3.5, 8.5), "--with", "motion", "--quiet")
    (row,) = cli.json("cache", "stats", "--json")["covered"]
    assert (row["covered_seconds"], row["notes"]) == (6.52, 0)


def test_answers_claim_what_was_seen(cli: Cli, tmp_path: Path) -> None:
    path = damage(words(tmp_path / "a.mp4"), 3.5, 8.5)
    cli("index", path, "--with", "motion", "--quiet")
    told = cli("ask", path, "What moves?", "--manager", "rules", "--tools", "motion")
    assert "undecodable" in told.stdout + told.stderr
