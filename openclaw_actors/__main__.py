"""Decides that `python -m openclaw_actors` is the command line."""

from __future__ import annotations

__all__: list[str] = []

import sys

from openclaw_actors.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
