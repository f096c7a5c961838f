"""Measures turns beside a model server over HTTP that takes a long request and answers at once."""

from __future__ import annotations

__all__ = ["measure_provider"]

from pathlib import Path

from benchmarks.clients import Load, ModelServer
from benchmarks.gateway import Gateway
from benchmarks.table import Row, median

_SESSIONS = 50
_WINDOW_TURNS = 50
_TEXT_CHARS = 400
"""What is said each time, so that a request of 50 turns is about as long as it should be."""
_MIN_TURNS_A_SECOND = 250.0
_MAX_CPU_MS = 5.0


def measure_provider(directory: Path, *, runs: int, seconds: float) -> list[Row]:
    """Durable turns a second with 50 sessions whose windows are full, and what each costs, all processes together.

    Args:
        runs: rounds.
        seconds: of each round.
    """
    rates: list[float] = []
    cpu_ms: list[float] = []
    sizes: list[float] = []
    with (
        ModelServer() as model,
        Gateway(directory / "gateway", _config(model.url), demo=False) as gateway,
        Load(gateway.url, sessions=_SESSIONS, text="x" * _TEXT_CHARS) as load,
    ):
        load.round({"turns": _WINDOW_TURNS})
        model.seen()
        for _ in range(runs):
            before = gateway.tree.costs()
            said = load.round({"seconds": seconds})
            used_s = gateway.tree.costs().since(before).total_s
            rates.append(said.turns / said.seconds)
            cpu_ms.append(used_s / len(said.done_ms) * 1e3)
            requests, size, model_s = model.seen()
            sizes.append(size)
            client_s = said.cpu_s
    return [
        Row(
            name=f"turns a second beside a model server, {_SESSIONS} sessions, "
            f"requests of {median(sizes) / 1e3:.0f} kB",
            value=median(rates),
            unit="/s",
            target=_MIN_TURNS_A_SECOND,
            at_least=True,
            runs=rates,
            beside=f"load generator took {client_s / seconds:.2f} cores, the model server "
            f"{model_s / max(1, requests) * 1e3:.2f} ms a request",
        ),
        Row(
            name="processor time of such a turn, all processes of the gateway",
            value=median(cpu_ms),
            unit="ms",
            target=_MAX_CPU_MS,
            runs=cpu_ms,
            digits=2,
        ),
    ]


def _config(endpoint: str) -> dict[str, object]:
    return {
        "llm": {
            "provider": "openai-compatible",
            "endpoint": endpoint,
            "model": "bench",
            "api_key": "raw:bench",
        },
        "memory": {"max_history_turns": _WINDOW_TURNS},
    }
