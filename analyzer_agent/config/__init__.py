"""Settings: flags override the environment, which overrides a TOML file, then the defaults."""

from analyzer_agent.config.default_paths import caches, default_file, default_store, default_weights, history_file, log_folder
from analyzer_agent.config.effort import EFFORTS, Verify
from analyzer_agent.config.file import template
from analyzer_agent.config.overrides import Manager, Mode, PathLike, SessionOverrides
from analyzer_agent.config.setting import Setting
from analyzer_agent.config.settings import (
    DEFAULT_MODEL,
    SETTINGS,
    Settings,
)
from analyzer_agent.config.sources import ENV_PREFIX, FILE_VARIABLE, Layer, chosen_file, layers, load

__all__ = [
    "DEFAULT_MODEL",
    "EFFORTS",
    "ENV_PREFIX",
    "FILE_VARIABLE",
    "SETTINGS",
    "Layer",
    "Manager",
    "Mode",
    "PathLike",
    "SessionOverrides",
    "Setting",
    "Settings",
    "Verify",
    "caches",
    "chosen_file",
    "default_file",
    "default_store",
    "default_weights",
    "history_file",
    "layers",
    "load",
    "log_folder",
    "template",
]
