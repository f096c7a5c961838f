"""Owns the configuration: its keys, their rules, and where each value comes from."""

from openclaw_actors.config.loading import Loaded, examine, load
from openclaw_actors.config.masking import mask
from openclaw_actors.config.model import GatewayConfig, decode, encode
from openclaw_actors.config.paths import StatePaths, find_paths, prepare_paths
from openclaw_actors.config.problems import Problem, explain
from openclaw_actors.config.rules import is_loopback, public_bind_problems
from openclaw_actors.config.secrets import collect_secrets, resolve_all, secret_variables

__all__ = [
    "GatewayConfig",
    "Loaded",
    "Problem",
    "StatePaths",
    "collect_secrets",
    "decode",
    "encode",
    "examine",
    "explain",
    "find_paths",
    "is_loopback",
    "load",
    "mask",
    "prepare_paths",
    "public_bind_problems",
    "resolve_all",
    "secret_variables",
]
