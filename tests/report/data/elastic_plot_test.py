#!/usr/bin/env python3
"""plots/elastic_speedup.py draws speed-ups, the same bytes every time, and refuses what is not a suite's output.
Usage: elastic_plot_test.py PLOT. Exit status 77 (skipped) without matplotlib."""

import json
import os
import subprocess
import sys
import tempfile

try:
    import matplotlib  # noqa: F401
except ImportError:
    print("skipped: matplotlib is not installed")
    sys.exit(77)

# (data, context, model, strategy): what the paper claims.
PAPER = {("commoncrawl", 49152, "llama-30b", "flexsp"): 1.69, ("commoncrawl", 49152, "llama-30b", "deepspeed"): 2.07}


def suite():
    rows = []
    for data in ("commoncrawl", "github"):
        for context in (49152, 98304):
            for k, model in enumerate(("llama-7b", "llama-13b", "llama-30b")):
                for strategy, factor in (("elastic", 1), ("seq1f1b", 1.2), ("flexsp", 1.4), ("deepspeed", 1.9), ("megatron", 2.4)):
                    runs = strategy != "megatron" or model != "llama-30b"
                    speedup = factor + 0.05 * k if strategy != "elastic" else 1
                    row = {"model": model, "context": context, "data": data, "strategy": strategy,
                           "seconds": 20 * speedup if runs else None, "speedup_of_elastic": speedup if runs else None,
                           "paper": PAPER.get((data, context, model, strategy))}
                    rows.append(row)
    return {"rows": rows, "assumptions": ["lengths are a stand-in for CommonCrawl", "FlexSP's fitted constants"]}


def refuse(plot, text, words):
    refused = subprocess.run([sys.executable, plot, "-"], input=text, text=True, capture_output=True)
    assert refused.returncode == 2 and words in refused.stderr, refused.stderr


def main():
    plot = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "elastic.json")
        with open(result, "w", encoding="utf-8") as file:
            json.dump(suite(), file)
        pictures = []
        for name in ("a.svg", "b.svg"):
            picture = os.path.join(folder, name)
            subprocess.run([sys.executable, plot, result, "-o", picture], check=True)
            with open(picture, "rb") as file:
                pictures.append(file.read())
        assert pictures[0] == pictures[1], "equal input gives equal bytes"
        # Text is drawn as paths, named by comments.
        for word in ("over flexsp", "commoncrawl, 48K", "github, 96K", "llama-30b", "1.69", "– lengths are a stand-in"):
            assert word.encode() in pictures[0], f"the picture says {word}"
        assert b"over elastic" not in pictures[0], "elastic is not compared with itself"
        subprocess.run([sys.executable, plot, result, "-o", os.path.join(folder, "a.png")], check=True)
        table = subprocess.run([sys.executable, plot, result, "--table"], check=True, text=True, capture_output=True).stdout
        # Ours: 1.5 and 2.0 against 1.69 and 2.07.
        assert "mean absolute error over 2 published speed-ups: 7.3 %" in table, table
        assert table.count("\n") == 2 + 48 + 1, "a line for every row of another strategy"
    refuse(plot, "{}", "expected the output of elastic_suite")
    refuse(plot, '{"rows": [{"model": "m"}]}', "row 0 lacks 'context'")
    refuse(plot, "[", "not JSON")
    row = {"model": "m", "context": 1, "data": "d", "strategy": "s", "seconds": 1, "speedup_of_elastic": -1}
    refuse(plot, json.dumps({"rows": [row]}), "'speedup_of_elastic' is -1")
    refuse(plot, json.dumps({"rows": [row | {"strategy": "elastic", "speedup_of_elastic": 1}]}), "no row of a strategy")


if __name__ == "__main__":
    main()
