#!/usr/bin/env python3
"""Bar charts of a comparison: iteration time, idle time by cause, peak memory.

    stagecraft compare SCENARIO --schedules all --json compare.json
    plots/compare.py compare.json -o compare.svg

Reads what `stagecraft compare --json` (or `simulate --json`) wrote. The output format follows the
file name (svg, pdf, png); equal input gives equal bytes.
"""

import argparse
import json
import sys

# After Okabe and Ito; the same as in the HTML report.
CAUSES = {"fill": "#8490a3", "drain": "#b3bcc9", "producer": "#d55e00", "transfer": "#0072b2",
          "memory": "#cc79a7", "optimizer": "#009e73"}
BAR, BEST = "#56b4e9", "#0072b2"
TIME_UNITS = [(1e9, 1e10, "s"), (1e6, 1e6, "ms"), (1e3, 1e3, "µs"), (1, 0, "ns")]
MEMORY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB"]


def fail(message):
    print(f"compare.py: error: {message}", file=sys.stderr)
    sys.exit(2)


def load(path):
    try:
        with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError as error:
        fail(f"{path}: not JSON: {error}")
    results = data.get("results", [data] if "schedule" in data else None) if isinstance(data, dict) else None
    if results is None:
        fail(f"{path}: expected the output of `stagecraft compare --json` or `simulate --json`")
    drawn = [r for r in results if r.get("makespan_ns")]
    if not drawn:
        fail(f"{path}: no result has a timeline")
    return data.get("scenario", drawn[0].get("scenario", "")), drawn


def time_scale(values):
    largest = max(values)
    for divisor, least, unit in TIME_UNITS:
        if largest >= least:
            return divisor, unit
    return 1, "ns"


def memory_scale(values):
    step = 0
    while step + 1 < len(MEMORY_UNITS) and max(values) >= 1024 ** (step + 1):
        step += 1
    return 1024 ** step, MEMORY_UNITS[step]


def label_bars(axes, rows, values, texts):
    axes.set_xlim(0, 1.22 * max(max(values), 1e-12))
    for row, value, text in zip(rows, values, texts):
        axes.text(value, row, f" {text}", va="center", ha="left", fontsize=8, color="#57606a")


def draw_time(axes, rows, results):
    times = [r.get("iteration_ns", r["makespan_ns"]) for r in results]
    divisor, unit = time_scale(times)
    values = [t / divisor for t in times]
    best = min((t for t, r in zip(times, results) if r["feasible"]), default=None)
    colours = [BEST if t == best and r["feasible"] else BAR if r["feasible"] else "#c3c9d2"
               for t, r in zip(times, results)]
    axes.barh(rows, values, color=colours, height=0.72)
    label_bars(axes, rows, values, [f"{v:.6g}" for v in values])
    axes.set_title(f"iteration time ({unit})")


def draw_idle(axes, rows, results):
    left = [0.0] * len(results)
    for cause, colour in CAUSES.items():
        shares = [100 * sum(d["idle_by_cause_ns"][cause] for d in r["devices"]) /
                  (len(r["devices"]) * r["makespan_ns"]) for r in results]
        if any(shares):
            axes.barh(rows, shares, left=left, color=colour, height=0.72, label=cause)
        left = [a + b for a, b in zip(left, shares)]
    label_bars(axes, rows, left, [f"{v:.1f}" for v in left])
    axes.set_title("idle device time by cause (%)")
    if any(left):
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.04),
                    ncol=6, handlelength=1, columnspacing=1)


def draw_memory(axes, rows, results):
    peaks = [r.get("peak_memory_bytes", 0) for r in results]
    divisor, unit = memory_scale(peaks)
    values = [p / divisor for p in peaks]
    axes.barh(rows, values, color="#cc79a7", height=0.72)
    label_bars(axes, rows, values, [f"{v:.4g}" for v in values])
    capacities = [d["capacity_bytes"] for r in results for d in r["devices"] if "capacity_bytes" in d]
    if capacities and min(capacities) / divisor <= axes.get_xlim()[1]:
        axes.axvline(min(capacities) / divisor, color="#b34700", linestyle="--", linewidth=1)
    axes.set_title(f"peak memory ({unit})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", help="output of `stagecraft compare --json`; - is standard input")
    parser.add_argument("-o", "--output", default="compare.svg", help="svg, pdf or png (default: %(default)s)")
    parser.add_argument("--top", type=int, default=0, metavar="N", help="draw only the N best")
    arguments = parser.parse_args()
    scenario, results = load(arguments.json)
    results = results[:arguments.top] if arguments.top > 0 else results
    try:
        import matplotlib
    except ImportError:
        fail("matplotlib is missing; install it (Debian: apt-get install python3-matplotlib) and run this "
             "with the Python that has it, such as /usr/bin/python3")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plot
    plot.rcParams.update({"svg.hashsalt": "stagecraft", "font.size": 9, "axes.titlesize": 10,
                          "axes.spines.top": False, "axes.spines.right": False})
    panels = [draw_time, draw_idle] + ([draw_memory] if any("peak_memory_bytes" in r for r in results) else [])
    height = 1.5 + 0.26 * len(results)
    figure, all_axes = plot.subplots(1, len(panels), figsize=(4.2 * len(panels), height), sharey=True,
                                     squeeze=False)
    rows = range(len(results))
    for axes, draw in zip(all_axes[0], panels):
        draw(axes, rows, results)
        axes.tick_params(length=0)
    first = all_axes[0][0]
    first.set_yticks(list(rows))
    first.set_yticklabels([r["schedule"] + ("" if r["feasible"] else " (not feasible)") for r in results])
    first.invert_yaxis()
    figure.suptitle(scenario, fontsize=11)
    figure.tight_layout()
    metadata = {"Date": None} if arguments.output.endswith(".svg") else \
        {"CreationDate": None} if arguments.output.endswith(".pdf") else {}
    try:
        figure.savefig(arguments.output, metadata=metadata, dpi=150)
    except (OSError, ValueError) as error:
        fail(f"{arguments.output}: {error}")


if __name__ == "__main__":
    main()
