"""Texts from videos on the terminal: no control character reaches it, and no text changes what is counted."""

import json
from pathlib import Path
from typing import Any

from cli_kit import PRICE, Cli, talk
from injections import TEXTS
from media_maker import Clip, write
from obedient import CONTROLS, COUNT


def clean(shown: str) -> bool:
    return not CONTROLS.search(shown.replace("\t", " "))


def test_imported_notes_on_the_terminal(cli: Cli, tmp_path: Path) -> None:
    texts = [text for text in TEXTS.values() if len(text) < 1000]
    name = f"a{TEXTS['escape']}\u202e</notes>.mp4".replace("/", "\u2215").replace("\0", "")
    video, file = write(tmp_path / name, Clip(times=range(0, COUNT * 1000, 1000))), tmp_path / "told.json"
    file.write_text(json.dumps([{"start": n, "end": n + 0.9, "text": text} for n, text in enumerate(texts)]))
    shown = [cli("import-notes", file, "--video", video, "--kind", "subtitle")]
    rows = cli.json("notes", video, "--json")
    kept = {" ".join(CONTROLS.sub("", text.replace("\r", "\n")).split()) for text in texts}
    assert {" ".join(CONTROLS.sub("", row["text"]).split()) for row in rows} == kept and {row["video"] for row in rows} == {name}
    shown += [cli("notes", video, "--format", form) for form in ("table", "json", "jsonl", "csv", "srt", "vtt", "md")]
    assert len(shown[3].stdout.splitlines()) == len(rows) and [json.loads(line) for line in shown[3].stdout.splitlines()] == rows
    shown += [cli("describe", video, "--covered"), cli("describe", video, "--covered", "--json")]
    assert [line["text"] for line in json.loads(shown[-1].stdout)["lines"]] == [row["text"] for row in rows]
    shown += [cli("ask", video, "What is said about the pelican?", "--tools", "subtitles", *more) for more in ([], ["--json"])]
    stdin = f"/notes\n/notes pelican\n/{TEXTS['escape']}\nWhat is said about the pelican?\n/sessions\n/cost\n".replace("\0", "")
    shown.append(cli("chat", video, "--session", f"s{TEXTS['c1']}", "--tools", "subtitles", stdin=stdin))
    shown.append(cli("doctor", "--store", tmp_path / TEXTS["escape"].replace("/", "")[:80]))
    shown.append(cli("ask", tmp_path / f"gone{name}", PRICE, code=1))
    shown.append(cli("import-notes", tmp_path / f"gone{name}", "--video", video, code=1))
    told = [result.stdout + result.stderr for result in shown]
    assert [text for text in told if not clean(text)] == []


def test_question_files(cli: Cli, tmp_path: Path) -> None:
    texts = [text for text in TEXTS.values() if len(text) < 1000][::4]
    video = talk(tmp_path / "talk.mp4")
    fields: list[dict[str, Any]] = [{"id": f"{n} {text}", "type": text, "options": [text, "forty", "lots"]} for n, text in enumerate(texts)]
    lines: list[dict[str, Any]] = [{"video": str(video), "question": PRICE, "answer": 1} | field for field in fields]
    lines.append({"id": "gone", "video": f"gone {TEXTS['escape']}.mp4", "question": PRICE})
    file, out = tmp_path / "q.jsonl", tmp_path / "out.jsonl"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    shown = cli("batch", file, "--out", out, "--tools", "subtitles", code=1)
    answered = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert sorted(one["id"] for one in answered) == sorted(line["id"] for line in lines) and len(answered) == len(lines)
    cited = {c["text"] for one in answered if "error" not in one for c in one["citations"]}
    assert cited == {"One basket of fish costs forty dollars."} and [one["id"] for one in answered if "error" in one] == ["gone"]
    assert clean(shown.stdout + shown.stderr) and clean(out.read_text(encoding="utf-8"))
