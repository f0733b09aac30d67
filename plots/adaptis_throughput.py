#!/usr/bin/env python3
"""Redraws the normalised throughput figure of AdaPtis (Guo et al., 2509.23722) from our simulation.

    tools/adaptis_suite                                   # writes out/adaptis.json
    plots/adaptis_throughput.py out/adaptis.json --out out/adaptis.svg

Published tokens per second and GPU beside simulated throughput, both over S-1F1B's, at 18 points. The
paper does not say how many micro-batches it used, so all of M = 2P, 4P and 8P are drawn. Also prints
the mean error of every scheme. Needs matplotlib (Debian: python3-matplotlib, run with
/usr/bin/python3); --table prints without it.
"""
import argparse
import json
import sys

SCHEMES = ["S-1F1B", "I-1F1B", "ZB", "Mist", "AdaPtis"]
PER_DEVICE = [2, 4, 8]
# Tokens per second and GPU as published, in the order of SCHEMES.
PUBLISHED = {
    ("gemma", "2k"): [(4421, 4395, 4368, 4507, 5086), (1769, 1745, 1764, 2075, 2320),
                      (647, 621, 667, 799, 890)],
    ("gemma", "4k"): [(6209, 6325, 6364, 7048, 7566), (2266, 2306, 2343, 2782, 3149),
                      (861, 731, 885, 1093, 1226)],
    ("deepseek", "2k"): [(8697, 8706, 8856, 9583, 11044), (3495, 3399, 3456, 3870, 4730),
                         (1811, 1745, 1847, 2304, 2482)],
    ("deepseek", "4k"): [(12031, 12463, 12152, 12921, 15719), (4339, 4534, 4450, 5280, 5935),
                         (2089, 2056, 2133, 2467, 2989)],
    ("nemotron-h", "2k"): [(7586, 7128, 7355, 7557, 8945), (3499, 3109, 3517, 4067, 4943),
                           (1439, 1157, 1403, 1691, 1940)],
    ("nemotron-h", "4k"): [(13244, 12082, 13040, 14879, 16696), (5414, 4502, 5454, 5831, 7381),
                           (1946, 1515, 2014, 2254, 2650)],
}
SIZES = ["s", "m", "l"]
POINTS = [(model, size, sequence) for model, sequence in PUBLISHED for size in SIZES]
TITLES = {"gemma": "Gemma", "deepseek": "DeepSeek", "nemotron-h": "Nemotron-H"}


def published(point):
    model, size, sequence = point
    values = PUBLISHED[model, sequence][SIZES.index(size)]
    return {scheme: value / values[0] for scheme, value in zip(SCHEMES, values)}


def simulated(records):
    """{(point, per_device): {scheme: throughput over S-1F1B's}}"""
    times = {}
    for record in records:
        key = (record["model"], record["size"], record["sequence"]), record["per_device"]
        times.setdefault(key, {})[record["scheme"]] = record["makespan_ns"]
    missing = [key for point in POINTS for key in ((point, n) for n in PER_DEVICE)
               if len(times.get(key, {})) != len(SCHEMES)]
    if missing:
        sys.exit(f"the file lacks results, first of all for {missing[0]}: run tools/adaptis_suite")
    return {key: {scheme: values["S-1F1B"] / values[scheme] for scheme in SCHEMES}
            for key, values in times.items()}


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def table(ours):
    print("error of simulated normalised throughput against the published one, % (mean / max / bias)\n")
    print("M    all   " + "  ".join(f"{scheme:<20}" for scheme in SCHEMES[1:]) + "  over I-1F1B")
    for per_device in PER_DEVICE:
        errors = {scheme: [100 * (ours[point, per_device][scheme] / published(point)[scheme] - 1)
                           for point in POINTS] for scheme in SCHEMES[1:]}
        row = f"{per_device}P {mean(abs(e) for es in errors.values() for e in es):6.1f}   "
        for scheme in SCHEMES[1:]:
            values = errors[scheme]
            cell = (f"{mean(map(abs, values)):.1f} / {max(map(abs, values)):.1f} / "
                    f"{mean(values):+.1f}")
            row += f"{cell:<22}"
        speed_up = mean(ours[point, per_device]["AdaPtis"] / ours[point, per_device]["I-1F1B"]
                        for point in POINTS)
        print(f"{row}{speed_up:.3f}")
    real = mean(published(point)["AdaPtis"] / published(point)["I-1F1B"] for point in POINTS)
    print(f"\npublished AdaPtis over I-1F1B: {real:.3f}")


def draw(ours, out):
    try:
        import matplotlib
    except ImportError:
        sys.exit("this plot needs matplotlib: install python3-matplotlib and run it with "
                 "/usr/bin/python3, or pass --table to print the figures only")
    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": "stagecraft", "font.size": 9,
                                "svg.fonttype": "none"})
    from matplotlib import pyplot
    # Okabe and Ito's colours, safe for the colour-blind.
    colours = {"I-1F1B": "#E69F00", "ZB": "#56B4E9", "Mist": "#009E73", "AdaPtis": "#D55E00"}
    figure, rows = pyplot.subplots(len(PER_DEVICE) + 1, 1, figsize=(11, 9.5), sharex=True,
                                   sharey=True)
    labelled = [("published", published)]
    for n in PER_DEVICE:
        labelled.append((f"simulated, M = {n}P", lambda point, n=n: ours[point, n]))
    width = 0.2
    for axis, (label, values) in zip(rows, labelled):
        for k, (scheme, colour) in enumerate(colours.items()):
            places = [i + (k - 1.5) * width for i in range(len(POINTS))]
            axis.bar(places, [values(point)[scheme] for point in POINTS], width, color=colour,
                     label=scheme, linewidth=0)
            if axis is not rows[0]:
                # The published value as a tick on every simulated bar, black on a white rim.
                real = [published(point)[scheme] for point in POINTS]
                axis.plot(places, real, "_", markersize=10, markeredgewidth=3.2, color="white")
                axis.plot(places, real, "_", markersize=9, markeredgewidth=1.4, color="black",
                          label="published" if k == len(colours) - 1 else None)
        axis.axhline(1, color="#555555", linewidth=0.8, label="S-1F1B" if axis is rows[1] else None)
        axis.set_title(label, loc="left", fontsize=9)
        axis.set_ylim(0.6, 1.9)
        axis.grid(axis="y", color="#dddddd", linewidth=0.5, zorder=0)
        axis.set_axisbelow(True)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
        for i in range(3, len(POINTS), 3):
            axis.axvline(i - 0.5, color="#cccccc", linewidth=0.6)
    rows[-1].set_xticks(range(len(POINTS)))
    rows[-1].set_xticklabels([size.upper() for _, size, _ in POINTS])
    for i, (model, sequence) in enumerate(PUBLISHED):
        rows[-1].text(3 * i + 1, 0.42, f"{TITLES[model]} {sequence.upper()}", ha="center", va="top")
    figure.supylabel("throughput over S-1F1B", fontsize=9)
    handles, labels = rows[1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper center", ncol=len(labels), frameon=False)
    figure.tight_layout(rect=(0, 0.01, 1, 0.965))
    metadata = {"Date": None} if out.endswith(".svg") else None
    figure.savefig(out, dpi=150, metadata=metadata)
    print(f"\ndrawn to {out}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("results", help="what tools/adaptis_suite wrote")
    parser.add_argument("--out", default="out/adaptis_throughput.svg", help="picture, .svg or .png")
    parser.add_argument("--table", action="store_true", help="print only, draw nothing")
    arguments = parser.parse_args()
    with open(arguments.results, encoding="utf-8") as file:
        ours = simulated(json.load(file))
    table(ours)
    if not arguments.table:
        draw(ours, arguments.out)


if __name__ == "__main__":
    main()
