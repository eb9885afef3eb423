"""Readers of setting values: from text, TOML or Python types.

Each reader returns the value or raises `ValueError`.
"""

import os
import re
from collections.abc import Callable, Mapping
from math import isfinite, nan
from pathlib import Path
from typing import Any, TypeAlias

from analyzer_agent.records import Price

Reader: TypeAlias = Callable[[Any], Any]


def one_of(*valid: str) -> Reader:
    """Return a reader that accepts only these words."""

    def read(value: Any) -> str:
        if value not in valid:
            raise ValueError(f"choose one of {', '.join(valid)}")
        return str(value)

    return read


def text(value: Any) -> str:
    """Read text that is not blank, and strip it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("give some text")
    return value.strip()


def names(value: Any) -> tuple[str, ...]:
    """Read names from a list or a comma-separated text."""
    found = tuple(_items(value))
    if not found:
        raise ValueError("give at least one name")
    return found


def pairs(value: Any) -> dict[str, str]:
    """Read `NAME=VALUE` pairs from a mapping, a list or a comma-separated text."""
    found = list(value.items()) if isinstance(value, Mapping) else [item.partition("=")[::2] for item in _items(value)]
    if any(not isinstance(part, str) or not part.strip() for pair in found for part in pair):
        raise ValueError("give NAME=VALUE")
    return {name.strip(): rest.strip() for name, rest in found}


def options(value: Any) -> dict[str, dict[str, Any]]:
    """Read analyzer options.

    Accepts a mapping of mappings, or `ANALYZER.OPTION=VALUE` in a list or a comma-separated text.
    """
    if isinstance(value, Mapping):
        if not all(isinstance(given, Mapping) and isinstance(name, str) for name, given in value.items()):
            raise ValueError("give the options of each analyzer as a mapping")
        return {name: dict(given) for name, given in value.items()}
    items = re.split(r",(?=[^,=]+\.[^,=]+=)", value) if isinstance(value, str) else value
    found: dict[str, dict[str, Any]] = {}
    for item in items if isinstance(items, list | tuple) else [items]:
        match = re.fullmatch(r"\s*([^\s.=]+)\.([^\s.=]+)\s*=(.*)", item, re.S) if isinstance(item, str) else None
        if match is None:
            raise ValueError("give ANALYZER.OPTION=VALUE")
        found.setdefault(match[1], {})[match[2]] = match[3].strip()
    return found


def paths(value: Any) -> dict[str, Path]:
    """Read `NAME=PATH` pairs, in the forms of `pairs`."""
    if isinstance(value, Mapping):
        value = {name: os.fspath(given) if isinstance(given, os.PathLike) else given for name, given in value.items()}
    return {name: path(given) for name, given in pairs(value).items()}


def path(value: Any) -> Path:
    """Read a path and expand `~`."""
    found = Path(value if isinstance(value, os.PathLike) else text(value))
    try:
        return found.expanduser()
    except RuntimeError as error:
        raise ValueError(f"{str(found)!r} names the home folder of nobody known here") from error


def weights(value: Any) -> tuple[Path | None, dict[str, Path] | None]:
    """Read weights.

    Returns:
        The folder for all weights, and the paths of single analyzers; None for what is not given.
    """
    if isinstance(value, os.PathLike):
        return path(value), None
    if isinstance(value, Mapping):
        return None, paths(value)
    given = [value] if isinstance(value, str) and "=" not in value else _items(value, "give a folder, or NAME=PATH")
    folders = [item for item in given if "=" not in item]
    single = [item for item in given if "=" in item]
    if len(folders) > 1 or not given:
        raise ValueError("give one folder, or NAME=PATH")
    return path(folders[0]) if folders else None, paths(single) if single else None


def prices(value: Any) -> dict[str, Price]:
    """Read prices: `IN/OUT` or `IN/OUT/CACHED`, in USD per million tokens, or `MODEL=` and these.

    Returns:
        The prices by model; that of "" is for all others.
    """
    if isinstance(value, Price):
        return {"": value}
    items = list(value.items()) if isinstance(value, Mapping) else [item.rpartition("=")[::2] for item in _items(value)]
    if not items and not isinstance(value, Mapping):
        raise ValueError("give IN/OUT or IN/OUT/CACHED")
    return {name.strip(): amounts if isinstance(amounts, Price) else _price(amounts) for name, amounts in items}


def _price(text: Any) -> Price:
    amounts = [_amount(part) for part in str(text).split("/")]
    if len(amounts) not in (2, 3):
        raise ValueError("give IN/OUT or IN/OUT/CACHED")
    return Price(*amounts)


def dollars(value: Any) -> float:
    """Read an amount of money above 0, in USD."""
    amount = _amount(value)
    if not amount:
        raise ValueError("give an amount above 0")
    return amount


def _amount(value: Any) -> float:
    try:
        amount = nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        amount = nan
    if not (isfinite(amount) and amount >= 0):
        raise ValueError("give amounts in USD, such as 0.25")
    return amount


def positive(value: Any) -> int:
    """Read an integer of at least 1."""
    whole = re.fullmatch(r"\s*[0-9]{1,18}\s*", str(value)) if isinstance(value, int | str) else None
    if not whole or isinstance(value, bool) or int(value) < 1:
        raise ValueError("give a whole number from 1")
    return int(value)


def milliseconds(value: Any) -> int:
    """Read a time given by Python code: a non-negative integer, in ms."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("give whole milliseconds from 0")
    return value


def device(value: Any) -> str:
    """Read the device for engines."""
    if not isinstance(value, str) or not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise ValueError("choose one of auto, cpu, cuda, cuda:N, mps")
    return value


def flag(value: Any) -> bool:
    """Read a boolean."""
    if isinstance(value, bool):
        return value
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("give true or false")
    return words[str(value).lower()]


def _items(value: Any, refusal: str = "give names, separated by commas") -> list[str]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise ValueError(refusal)
    return [item.strip() for item in items if item.strip()]
