"""What the gateway costs, measured: `python -m benchmarks`, which `scripts/bench` runs."""
