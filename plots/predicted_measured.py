#!/usr/bin/env python3
"""Draws predicted against measured iteration times from records of tools/gpu-check and host-check.

    plots/predicted_measured.py tests/hardware/RECORD.json [MORE.json ...] -o predicted_measured.svg

Left: every row as a point, coloured by shape, with the diagonal and a band of 5 % (--band). Right:
the errors of every schedule, their mean and the range over its shapes. Equal input gives equal
bytes. Needs matplotlib (Debian: python3-matplotlib, run with /usr/bin/python3); --table prints
without it.
"""
import argparse
import json
import sys

# Okabe and Ito's colours, safe for the colour-blind, then greys; markers differ as well.
COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#999999"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X", "*"]


def points(records):
    """[(shape, schedule, predicted ms, measured ms, error in %)] of all rows that ran."""
    return [(row["shape"], row["schedule"], row["predicted_ns"] / 1e6, row["measured_ns"] / 1e6,
             100 * (row["measured_ns"] / row["predicted_ns"] - 1))
            for record in records for row in record["rows"] if row["status"] == "ok"]


def by_schedule(rows):
    """{schedule: (mean, lowest, highest error in %)}, the largest mean absolute error first."""
    errors = {}
    for _, schedule, _, _, error in rows:
        errors.setdefault(schedule, []).append(error)
    order = sorted(errors, key=lambda name: (-sum(map(abs, errors[name])) / len(errors[name]), name))
    return {name: (sum(errors[name]) / len(errors[name]), min(errors[name]), max(errors[name]))
            for name in order}


def title(records):
    """What was measured; the host backend is called so."""
    parts = []
    for record in records:
        machine = record["machine"]
        if record["backend"] == "host":
            bodies = "timed ops" if record["tool"] == "host-check" else "BLAS stages"
            parts.append(f"host backend, {bodies}, {machine['cores']} cores")
        else:
            parts.append(f"{machine['device']}, driver {machine['driver']}")
    return "; ".join(dict.fromkeys(f"{part} ({record['date'][:10]})"
                                   for part, record in zip(parts, records)))


def table(rows):
    print(f"{'schedule':<40} mean error    range")
    for name, (mean, low, high) in by_schedule(rows).items():
        print(f"{name:<40} {mean:+8.2f} %    {low:+.2f} .. {high:+.2f} %")
    errors = [abs(error) for *_, error in rows]
    print(f"\n{len(rows)} rows, mean absolute error {sum(errors) / len(errors):.3f} %, worst "
          f"{max(errors):.3f} %")


def draw_scatter(axis, rows, band):
    from matplotlib import ticker
    shapes = list(dict.fromkeys(shape for shape, *_ in rows))
    low = min(min(p, m) for _, _, p, m, _ in rows) / 1.3
    high = max(max(p, m) for _, _, p, m, _ in rows) * 1.3
    axis.fill_between([low, high], [low * (1 - band), high * (1 - band)],
                      [low * (1 + band), high * (1 + band)], color="#dddddd", linewidth=0,
                      label=f"within {100 * band:.0f} %")
    axis.plot([low, high], [low, high], color="#555555", linewidth=0.8)
    for k, shape in enumerate(shapes):
        own = [(p, m) for name, _, p, m, _ in rows if name == shape]
        axis.plot([p for p, _ in own], [m for _, m in own], MARKERS[k // 3 % len(MARKERS)],
                  color=COLOURS[k % len(COLOURS)], markersize=4.5, markerfacecolor="none",
                  markeredgewidth=1, label=shape)
    axis.set_xscale("log")
    axis.set_yscale("log")
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        ticks.set_major_formatter(ticker.FormatStrFormatter("%g"))
        ticks.set_minor_locator(ticker.NullLocator())
    axis.set_xlim(low, high)
    axis.set_ylim(low, high)
    axis.set_aspect("equal")
    axis.set_xlabel("predicted iteration time (ms)")
    axis.set_ylabel("measured iteration time (ms)")
    axis.legend(frameon=False, fontsize=7, loc="upper left")


def draw_errors(axis, rows, band):
    errors = by_schedule(rows)
    axis.axvspan(-100 * band, 100 * band, color="#eeeeee", linewidth=0)
    axis.axvline(0, color="#555555", linewidth=0.8)
    places = range(len(errors), 0, -1)
    for place, (mean, low, high) in zip(places, errors.values()):
        axis.errorbar(mean, place, xerr=[[mean - low], [high - mean]], fmt="o", markersize=4,
                      color="#0072B2", ecolor="#0072B2", elinewidth=1, capsize=2)
    axis.set_yticks(list(places))
    axis.set_yticklabels(list(errors))
    axis.set_ylim(0.3, len(errors) + 0.7)
    axis.set_xlabel("error of the iteration time (%): mean and range over shapes")


def draw(records, rows, out, band):
    try:
        import matplotlib
    except ImportError:
        sys.exit("this plot needs matplotlib: install python3-matplotlib and run it with "
                 "/usr/bin/python3, or pass --table to print the figures only")
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "stagecraft", "font.size": 8,
                                "svg.fonttype": "none"})
    from matplotlib import pyplot
    height = max(4.2, 0.19 * len(by_schedule(rows)) + 1.2)
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11, height))
    draw_scatter(left, rows, band)
    draw_errors(right, rows, band)
    for axis in (left, right):
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    figure.suptitle(title(records), fontsize=9)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(out, dpi=150, metadata={"Date": None} if out.endswith(".svg") else None)
    print(f"\ndrawn to {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("records", nargs="+", help="what the checks wrote")
    parser.add_argument("-o", "--out", default="predicted_measured.svg",
                        help="picture, .svg or .png")
    parser.add_argument("--band", type=float, default=5.0, help="percent (default 5)")
    parser.add_argument("--table", action="store_true", help="print only, draw nothing")
    arguments = parser.parse_args()
    records = []
    for path in arguments.records:
        with open(path, encoding="utf-8") as file:
            records.append(json.load(file))
    rows = points(records)
    if not rows:
        sys.exit("no row of these records was measured")
    table(rows)
    if not arguments.table:
        draw(records, rows, arguments.out, arguments.band / 100)


if __name__ == "__main__":
    main()
