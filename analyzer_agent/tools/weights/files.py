"""Verify files, and give them their final name only then; extract them from zip archives."""

import hashlib
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from analyzer_agent.errors import AgentError

_BLOCK_BYTES = 1 << 20
SAMPLED_BYTES = 1 << 16
"""Length of a block of `sampled_blocks`, in bytes."""


class Digest(NamedTuple):
    """A publisher's checksum: `kind` is "sha256", "md5" or "git" (a blob id)."""

    kind: str
    value: str

    def matches(self, content: Path | bytes) -> bool:
        """Tell whether a file, or its content, has this checksum."""
        sums = hashlib.new("sha1" if self.kind == "git" else self.kind, usedforsecurity=False)
        if self.kind == "git":
            sums.update(b"blob %d\0" % (content.stat().st_size if isinstance(content, Path) else len(content)))
        with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as file:
            return hashlib.file_digest(file, lambda: sums).hexdigest() == self.value


def sampled_blocks(parts: Sequence[Path], count: int) -> Iterator[bytes]:
    """Yield `count` evenly spaced blocks of a file that lies in one or more parts, enough to tell large files apart."""
    last = max(sum(path.stat().st_size for path in parts) - SAMPLED_BYTES, 0)
    for place in range(count):
        yield _read(parts, last * place // (count - 1), SAMPLED_BYTES)


def _read(parts: Sequence[Path], start: int, length: int) -> bytes:
    """Read bytes of the file that these parts make up."""
    found = b""
    for path in parts:
        size = path.stat().st_size
        if start < size and len(found) < length:
            with path.open("rb") as file:
                file.seek(start)
                found += file.read(length - len(found))
        start = max(start - size, 0)
    return found


def part_of(path: Path) -> Path:
    """Return the name of a file while it is incomplete."""
    return path.with_name(f"{path.name}.part")


def mismatch_reason(path: Path, size: int | None, digest: Digest | None) -> str | None:
    """Return why a file is not the published one, or None; what is None is not compared."""
    there = path.stat().st_size
    if size is not None and there != size:
        return f"has {there} bytes instead of {size}"
    if digest is not None and not digest.matches(path):
        return f"does not have the {digest.kind} sum that its publisher gives"
    return None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn errors of the file system into one for people.

    Raises:
        AgentError: `path` cannot be written.
    """
    try:
        yield
    except OSError as error:
        told = f"{str(path)!r} cannot be written: {error.strerror or error}."
        raise AgentError(told, hint="Choose another folder with --to.") from error


def extract(parts: Sequence[tuple[Path, str]], path: Path, size: int | None, digest: Digest, hint: str = "Try again later.") -> None:
    """Concatenate files out of zip archives into `path`, which appears when complete and verified.

    Args:
        parts: (archive, path in it) of each part, in order.
        path: destination.
        size: expected size in bytes, if known.
        digest: expected checksum.
        hint: advice for an archive with other contents.

    Raises:
        AgentError: size or checksum do not match, or the file cannot be written; it is deleted.
    """
    part = part_of(path)
    try:
        with writing(path):
            with part.open("wb") as target:
                for block in _blocks(parts):
                    target.write(block)
                    if size is not None and target.tell() > size:
                        raise BadZipFile(f"it has more than {size} bytes")
            if wrong := mismatch_reason(part, size, digest):
                raise BadZipFile(f"it {wrong}")
            os.replace(part, path)
    except (BadZipFile, KeyError) as broken:
        raise AgentError(f"{path.name!r} cannot be extracted from {parts[0][0].name!r}: {broken}.", hint=hint) from broken
    finally:
        part.unlink(missing_ok=True)


def _blocks(parts: Sequence[tuple[Path, str]]) -> Iterator[bytes]:
    for archive, name in parts:
        with ZipFile(archive) as opened, opened.open(name) as source:
            while block := source.read(_BLOCK_BYTES):
                yield block
