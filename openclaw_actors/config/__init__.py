"""Owns the configuration: its keys, their rules, and where each value comes from."""

from openclaw_actors.config.model import GatewayConfig, decode, encode

__all__ = ["GatewayConfig", "decode", "encode"]
