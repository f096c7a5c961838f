"""Draws curves as PNG. Needs matplotlib: `pip install openclaw-actors[bench]`."""

from __future__ import annotations

__all__ = ["PlotsMissing", "draw"]

from collections.abc import Iterable
from pathlib import Path

from benchmarks.growth import Curve

_WIDTH_IN, _HEIGHT_IN = 6.4, 4.0
_DOTS_AN_INCH = 110


class PlotsMissing(RuntimeError):
    """Raised where matplotlib is not installed."""


def draw(curves: Iterable[Curve], directory: Path) -> list[Path]:
    """One file a curve, named after it; returns their paths.

    Raises:
        PlotsMissing: matplotlib is not installed.
    """
    try:
        import matplotlib as mpl
    except ImportError:
        raise PlotsMissing("plots need matplotlib: .venv/bin/pip install -e '.[bench]'") from None
    mpl.use("Agg")
    from matplotlib import pyplot

    directory.mkdir(parents=True, exist_ok=True)
    paths: list[Path] = []
    for curve in curves:
        figure, axes = pyplot.subplots(figsize=(_WIDTH_IN, _HEIGHT_IN))
        for name, figures in curve.lines.items():
            axes.plot(curve.points, figures, marker="o", label=name.replace("_", " "))
        axes.set_title(curve.title)
        axes.set_xlabel(curve.name.replace("-", " "))
        axes.set_ylabel(curve.unit)
        if curve.points and max(curve.points) >= 100 * max(1.0, min(curve.points)):
            axes.set_xscale("symlog" if min(curve.points) <= 0 else "log")
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
        path = directory / f"{curve.name}.png"
        figure.savefig(path, dpi=_DOTS_AN_INCH, bbox_inches="tight")
        pyplot.close(figure)
        paths.append(path)
    return paths
