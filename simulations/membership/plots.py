"""Pictures of the figures. matplotlib is imported only here, and only when a folder was asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIBRARY_MISSING = "pictures need matplotlib: pip install matplotlib; the figures themselves were written as JSON"


class PlotsUnavailable(Exception):
    """matplotlib is not installed; the message says what to do."""


def plot_swim(report: Mapping[str, Any], path: Path) -> None:
    """Traffic by size, and measured against expected times.

    Raises:
        PlotsUnavailable: matplotlib is not installed; nothing was written.
    """
    figure, (traffic, times) = _axes()
    members = [size["members"] for size in report["sizes"]]
    traffic.plot(members, [size["messages_per_member_period"] for size in report["sizes"]], marker="o")
    traffic.set(xlabel="members", ylabel="messages per member and period", xscale="log", ylim=(0, 3))
    for name in ("first_probe", "first_suspicion", "all_suspect"):
        measured = [size["times_s"][name]["mean"] for size in report["sizes"]]
        (line,) = times.plot(members, measured, marker="o", label=name.replace("_", " "))
        expected = [size["analytic_s"][name] for size in report["sizes"]]
        times.plot(members, expected, linestyle="--", color=line.get_color())
    times.set(xlabel="members", ylabel="seconds after a crash, mean (dashed: expected)", xscale="log", ylim=(0, None))
    times.legend()
    figure.savefig(path)


def plot_lifeguard(report: Mapping[str, Any], path: Path) -> None:
    """False positives of each variant.

    Raises:
        PlotsUnavailable: matplotlib is not installed; nothing was written.
    """
    figure, axes = _axes()
    for axis, key, title in zip(
        axes, ("fp", "fp_healthy"), ("false positives", "of them, at healthy members"), strict=True
    ):
        names = list(report["variants"])
        bars = axis.bar(names, [report["variants"][name][key] for name in names])
        axis.bar_label(bars)
        axis.set(title=title)
        axis.tick_params(axis="x", rotation=20)
    figure.savefig(path)


def _axes() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise PlotsUnavailable(LIBRARY_MISSING) from None
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(1, 2)
