"""Graphs of a soak: ``python -m benchmarks.soak_graphs docs/soak.json docs/soak.png``. Needs matplotlib."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

COLOURS = {"slow": "#fff2cc", "flapping": "#fce5cd", "frozen": "#d9eaf7", "killed": "#f4cccc", "full": "#e6dcf2"}


def main() -> None:
    result = json.loads(Path(sys.argv[1]).read_text())
    figure, axes = plt.subplots(5, 1, figsize=(11, 13), sharex=True, layout="constrained")
    for axis in axes:
        for phase in result["phases"]:
            colour = COLOURS.get(phase["name"])
            if colour is not None:
                axis.axvspan(phase["start"], phase["end"], color=colour, linewidth=0)
        axis.grid(alpha=0.3)
    for axis, kind in zip(axes, ("save", "recall"), strict=False):
        draw_latencies(axis, kind, result["points"][kind])
    samples = result["samples"]
    at = [sample["at"] for sample in samples]
    axes[2].plot(at, [sample["waiting"] for sample in samples], color="tab:red")
    axes[2].set_ylabel("writes in the queue")
    axes[3].plot(at, [sample["mb"] for sample in samples], label="mean")
    axes[3].plot(at, [sample["most_mb"] for sample in samples], label="largest", linestyle="--")
    axes[3].set_ylabel("MB of a process")
    axes[3].set_ylim(bottom=0)
    axes[3].legend(loc="lower right")
    for name, label in (("threads", "threads"), ("files", "open files")):
        axes[4].plot(at, [sample[name] for sample in samples], label=f"{label}, mean")
    axes[4].set_ylabel("threads, files of a process")
    axes[4].set_ylim(bottom=0)
    axes[4].legend(loc="lower right")
    axes[4].set_xlabel("seconds")
    for phase in result["phases"]:
        if phase["name"] in COLOURS:
            middle = (phase["start"] + phase["end"]) / 2
            axes[0].annotate(phase["name"], (middle, 1.02), xycoords=("data", "axes fraction"), ha="center")
    figure.savefig(sys.argv[2], dpi=80)


def draw_latencies(axis: Any, kind: str, points: list[dict[str, float]]) -> None:
    at = [point["at"] for point in points]
    for name, style in (("p50", "-"), ("p95", "-"), ("longest", ":")):
        axis.plot(at, [point[name] for point in points], style, label=name)
    axis.set_yscale("log")
    axis.set_ylabel(f"{kind}, ms")
    axis.legend(loc="upper right")


if __name__ == "__main__":
    main()
