"""The id of a video: a fingerprint of the file's content, or, without a file, of its name."""

import os
from hashlib import blake2b
from pathlib import Path

_BLOCKS = 64
_BLOCK = 16 * 1024
_NAMED = "named-"


def fingerprint(path: Path) -> str:
    """Return 32 hex digits: BLAKE2b over the size and 64 evenly spaced blocks of 16 KiB.

    At most 1 MiB is read, so a file of any size takes milliseconds. The name is not included:
    copies and renamed files have the same fingerprint.

    Raises:
        OSError: the file cannot be read.
    """
    digest = blake2b(digest_size=16)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest.update(size.to_bytes(8, "big"))
        last = max(0, size - _BLOCK)
        for at in sorted({last * part // (_BLOCKS - 1) for part in range(_BLOCKS)}):
            file.seek(at)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def named_id(name: str) -> str:
    """Return the id of a video without a file; its prefix distinguishes it from fingerprints."""
    return _NAMED + blake2b(name.encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def is_named(video: str) -> bool:
    """Return whether `video` is the id of a video without a file."""
    return video.startswith(_NAMED)
