#!/usr/bin/env python3
"""Speed-ups of elastic pipelining over the baselines of InfiniPipe (2509.21275), ours beside the published ones.

    tools/bench/elastic_suite --sections speedups --json elastic.json
    plots/elastic_speedup.py elastic.json -o elastic_speedup.svg

Reads {"rows": [...], "assumptions": ["one sentence", ...]}. A row is one strategy in one setting:

    {"model": "llama-7b", "context": 49152, "data": "commoncrawl", "strategy": "flexsp",
     "seconds": 21.3,              mean time of an iteration; null where the strategy cannot run
     "speedup_of_elastic": 1.42,   its time over that of elastic in the same setting; null as above
     "paper": 1.31}                what the paper claims for this pair; null or left out: nothing

One panel for every data set and context, one group of bars for every model, one pair of bars for every
strategy: full is ours, hatched is the paper's. The output format follows the file name (svg, pdf, png);
equal input gives equal bytes. --table prints the figures and how far off they are, without matplotlib.
"""

import argparse
import json
import sys
import textwrap

# After Okabe and Ito; the same as in the HTML report.
COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a8f98"]
ELASTIC = "elastic"
KEYS = ("model", "context", "data", "strategy", "seconds", "speedup_of_elastic")


def fail(message):
    print(f"elastic_speedup.py: error: {message}", file=sys.stderr)
    sys.exit(2)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_row(path, number, row):
    missing = [key for key in KEYS if not isinstance(row, dict) or key not in row]
    if missing:
        fail(f"{path}: row {number} lacks '{missing[0]}'; expected the output of elastic_suite")
    for key in ("seconds", "speedup_of_elastic", "paper"):
        value = row.get(key)
        if value is not None and not (is_number(value) and value > 0):
            fail(f"{path}: row {number}: '{key}' is {value!r}; expected a number above 0, or null")
    if not is_number(row["context"]):
        fail(f"{path}: row {number}: 'context' is {row['context']!r}; expected a count of tokens")


def load(path):
    try:
        with sys.stdin if path == "-" else open(path, encoding="utf-8") as file:
            data = json.load(file)
    except OSError as error:
        fail(f"{path}: {error.strerror}")
    except ValueError as error:
        fail(f"{path}: not JSON: {error}")
    rows = data.get("rows") if isinstance(data, dict) else None
    if not isinstance(rows, list) or not rows:
        fail(f"{path}: expected the output of elastic_suite: a map with a list 'rows'")
    for number, row in enumerate(rows):
        check_row(path, number, row)
    rows = [row for row in rows if row["strategy"] != ELASTIC]
    if not rows:
        fail(f"{path}: no row of a strategy other than {ELASTIC}")
    return rows, [str(line) for line in data.get("assumptions", [])]


def unique(values):
    return list(dict.fromkeys(values))


def context_text(tokens):
    return f"{tokens // 1024}K" if tokens % 1024 == 0 else f"{tokens}"


def print_table(rows):
    print(f"{'data':<14}{'context':>8}  {'model':<14}{'strategy':<12}{'seconds':>9}{'ours':>8}{'paper':>8}{'off':>9}")
    errors = []
    for row in rows:
        ours, paper = row["speedup_of_elastic"], row.get("paper")
        off = "-"
        if ours is not None and paper is not None:
            errors.append(abs(ours / paper - 1))
            off = f"{100 * (ours / paper - 1):+.1f} %"
        cells = ["-" if value is None else f"{value:.2f}" for value in (row["seconds"], ours, paper)]
        print(f"{row['data']:<14}{context_text(row['context']):>8}  {row['model']:<14}{row['strategy']:<12}"
              f"{cells[0]:>9}{cells[1]:>8}{cells[2]:>8}{off:>9}")
    if errors:
        print(f"\nmean absolute error over {len(errors)} published speed-ups: {100 * sum(errors) / len(errors):.1f} %")


def draw_panel(axes, rows, models, strategies, colours):
    pitch = 0.84 / len(strategies)
    for row in rows:
        place = models.index(row["model"]) - 0.42 + (strategies.index(row["strategy"]) + 0.5) * pitch
        colour = colours[row["strategy"]]
        ours, paper = row["speedup_of_elastic"], row.get("paper")
        width = 0.46 * pitch
        left = place - width / 2 if paper is not None else place
        if ours is None:
            axes.text(left, 0.03, "×", ha="center", va="bottom", color=colour, fontsize=10)
        else:
            axes.bar(left, ours, width=width, color=colour)
            axes.text(left, ours + 0.05, f"{ours:.2f}", ha="center", va="bottom", fontsize=6.5, rotation=90)
        if paper is not None:
            axes.bar(place + width / 2, paper, width=width, facecolor="white", edgecolor=colour, hatch="////", linewidth=0.8)
            axes.text(place + width / 2, paper + 0.05, f"{paper:.2f}", ha="center", va="bottom", fontsize=6.5,
                      rotation=90, color="#57606a")
    axes.axhline(1, color="#57606a", linewidth=0.8, linestyle="--")
    axes.set_xlim(-0.55, len(models) - 0.45)
    axes.set_xticks(range(len(models)))
    axes.set_xticklabels(models)
    axes.tick_params(length=0)


def legend_handles(patches, strategies, colours):
    handles = [patches.Patch(color=colours[strategy], label=f"over {strategy}") for strategy in strategies]
    handles.append(patches.Patch(color="#57606a", label="ours (×: cannot run)"))
    handles.append(patches.Patch(facecolor="white", edgecolor="#57606a", hatch="////", label="InfiniPipe's claim"))
    return handles


def draw(rows, assumptions, output):
    try:
        import matplotlib
    except ImportError:
        fail("matplotlib is missing; install it (Debian: apt-get install python3-matplotlib) and run this "
             "with the Python that has it, such as /usr/bin/python3, or ask for --table")
    matplotlib.use("Agg")
    import matplotlib.patches as patches
    import matplotlib.pyplot as plot
    plot.rcParams.update({"svg.hashsalt": "stagecraft", "font.size": 9, "axes.titlesize": 10, "hatch.linewidth": 0.5,
                          "axes.spines.top": False, "axes.spines.right": False})
    data, contexts = unique(r["data"] for r in rows), sorted({r["context"] for r in rows})
    models, strategies = unique(r["model"] for r in rows), unique(r["strategy"] for r in rows)
    colours = {strategy: COLOURS[k % len(COLOURS)] for k, strategy in enumerate(strategies)}
    width = max(5.5, 1.2 + len(contexts) * len(models) * (0.5 + 0.36 * len(strategies)))
    lines = [line for text in assumptions for line in textwrap.wrap(text, int(width * 17), initial_indent="– ",
                                                                     subsequent_indent="   ")]
    foot = 0.15 + 0.14 * len(lines)
    height = 2.6 * len(data) + 0.6 + foot
    figure, panels = plot.subplots(len(data), len(contexts), figsize=(width, height), sharey=True, squeeze=False)
    for name, line in zip(data, panels):
        for context, axes in zip(contexts, line):
            draw_panel(axes, [r for r in rows if r["data"] == name and r["context"] == context], models, strategies, colours)
            axes.set_title(f"{name}, {context_text(context)}")
        line[0].set_ylabel("speed-up of elastic")
    top = max(value for r in rows for value in (r["speedup_of_elastic"], r.get("paper"), 1) if value is not None)
    panels[0][0].set_ylim(0, 1.22 * top)
    figure.tight_layout(rect=(0, foot / height, 1, 1 - 0.35 / height))
    figure.legend(handles=legend_handles(patches, strategies, colours), loc="upper center", ncol=len(strategies) + 2,
                  fontsize=8, frameon=False, handlelength=1.2, columnspacing=1.2)
    figure.text(0.01, 0.08 / height, "\n".join(lines), fontsize=7, color="#57606a", va="bottom", linespacing=1.25)
    metadata = {"Date": None} if output.endswith(".svg") else {"CreationDate": None} if output.endswith(".pdf") else {}
    try:
        figure.savefig(output, metadata=metadata, dpi=150)
    except (OSError, ValueError) as error:
        fail(f"{output}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json", help="output of elastic_suite; - is standard input")
    parser.add_argument("-o", "--output", default="elastic_speedup.svg", help="svg, pdf or png (default: %(default)s)")
    parser.add_argument("--table", action="store_true", help="print the figures instead of drawing them")
    arguments = parser.parse_args()
    rows, assumptions = load(arguments.json)
    if arguments.table:
        print_table(rows)
    else:
        draw(rows, assumptions, arguments.output)


if __name__ == "__main__":
    main()
