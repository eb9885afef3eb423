"""Select a hardware decoder, if libav and the machine have one.

Only for codecs whose standard defines every bit of the output, so that frames are bit-identical.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from analyzer_agent.errors import MediaError
from analyzer_agent.media.container import opened

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

SOFTWARE, ANY = "cpu", "auto"

EXACT = frozenset({"h264", "hevc", "vp8", "vp9", "av1"})
"""Codecs with bit-exact decoding; older ones leave the rounding of the transform open."""


def choose_device(path: Path, codec: str, wanted: str) -> str:
    """Return the device type that decodes a file, or "cpu".

    Args:
        path: the file; its first frame is decoded to test a device.
        codec: libav's name of the codec.
        wanted: "cpu", a device type of libav such as "cuda", or "auto" for the first that works.

    Raises:
        MediaError: the wanted device is missing or cannot decode the file.
    """
    from av.codec.hwaccel import hwdevices_available

    if wanted == SOFTWARE or codec not in EXACT:
        return SOFTWARE
    known = hwdevices_available()
    if wanted != ANY and wanted not in known:
        raise MediaError(
            f"Pictures cannot be decoded on {wanted!r} here.", hint=f"Choose --decoder {', '.join((SOFTWARE, ANY))}, or {', '.join(known)}."
        )
    failures: dict[str, str] = {}
    for kind in known if wanted == ANY else [wanted]:
        failures[kind] = _decode_failure(path, kind)
        if not failures[kind]:
            return kind
    if wanted == ANY:
        return SOFTWARE
    raise MediaError(
        f"Pictures of {path.name!r} cannot be decoded on {wanted!r}: {failures[wanted]}.", hint="Leave --decoder out, or --decoder cpu."
    )


def accelerator(kind: str) -> "HWAccel | None":
    """Return libav's description of a device type; None for the CPU."""
    from av.codec.hwaccel import HWAccel

    return None if kind == SOFTWARE else HWAccel(kind, allow_software_fallback=False)


def _decode_failure(path: Path, kind: str) -> str:
    """Return why a device cannot decode the first frame of a file, or ""."""
    import av

    try:
        with opened(path, accelerator(kind)) as container:
            next(container.decode(container.streams.video[0]))
    except (av.FFmpegError, RuntimeError, StopIteration) as error:
        return getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ""
