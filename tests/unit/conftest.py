"""Decides what holds for every test that makes up its own examples."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine does.
settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steady")
