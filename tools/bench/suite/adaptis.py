"""Our search against the AdaPtis tuner on layer lists, and at the 18 end-to-end points."""
import json
import pathlib
import statistics
import subprocess

from . import runner

ROOT = pathlib.Path(__file__).resolve().parents[3]
POINTS = ROOT / "scenarios/adaptis"
OPEN = ["search.partition=true", "search.placement=true", "search.chunks=64", "search.schedule=true"]


def nemotron(run, _arguments):
    """nemotron-nano-v2-9B: from scratch in 1 s and in 10 s."""
    text = (ROOT / "scenarios/nemotron-nano-v2-9b.yaml").read_text()
    calls = [runner.search(text, method, budget, sets=OPEN)
             for method, budget in (("stagecraft", "1s"), ("stagecraft", "10s"), ("adaptis", "60s"))]
    out = [[name, value_ticks(result), result["lower_bound_ns"] / 10000, 100 * result["gap"], result["seconds"],
            result["evaluated"]]
           for name, result in zip(("stagecraft 1 s", "stagecraft 10 s", "adaptis"), run.map(calls))]
    runner.table("nemotron-nano-v2-9B, P=4, M=8 (ticks of 10 us; published plan 89870)",
                 ["method", "ticks", "bound", "gap %", "seconds", "evaluated"], out)


def value_ticks(result):
    return result["makespan_ns"] / 10000


def instances(run, arguments):
    """The tuner's gap and ours over the best bound, by M / P; then with 1f1b's activation memory as the limit."""
    folder = ROOT / "out/adaptis_instances"
    subprocess.run([str(ROOT / "tools/bench/adaptis_instances.py"), str(folder)], check=True)
    cases = json.loads((folder / "instances.json").read_text())[::arguments.sample]
    texts = [(folder / case["file"]).read_text() for case in cases]
    tuner = run.map([runner.search(text, "adaptis", "300s", options=["local_ops=0"]) for text in texts])
    ours = run.map([runner.search(text, "stagecraft", arguments.budget) for text in texts])
    limited = run.map([runner.search(text, "stagecraft", arguments.budget,
                                     sets=[f"memory.capacity={case['activation_1f1b']}"])
                       for text, case in zip(texts, cases)])
    out, groups = [], {}
    for case, theirs, mine, small in zip(cases, tuner, ours, limited):
        bound = max(theirs["lower_bound_ns"], mine["lower_bound_ns"])
        gaps = [runner.percent(runner.value(result), bound) for result in (theirs, mine, small)]
        # With the limit the bound is higher, so that the gap to it says what the search leaves.
        own = None if "infeasible" in small else 100 * small["gap"]
        out.append([case["list"], case["devices"], case["microbatches"], *gaps, own, theirs["seconds"],
                    memory_ratio(theirs, case), memory_ratio(mine, case)])
        groups.setdefault(case["microbatches"] // case["devices"], []).append(gaps)
    runner.table("AdaPtis tuner and our search: % above the best bound (limited: 1f1b's activation memory)",
                 ["layers", "P", "M", "tuner", "ours", "ours limited", "over its bound", "tuner s", "tuner memory / 1f1b",
                  "ours memory / 1f1b"], out)
    summary = []
    for ratio, gaps in sorted(groups.items()):
        means = [mean(column) for column in zip(*gaps)]
        above = sum(1 for theirs, mine, _ in gaps if mine > theirs)
        summary.append([f"M = {ratio}P", len(gaps), *means, 100 * (1 - means[1] / means[0]) if means[0] else 0.0,
                        above])
    runner.table("Mean gaps", ["", "instances", "tuner %", "ours %", "ours limited %", "tuner's gap closed %",
                               "above the tuner"], summary)


def mean(values):
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def memory_ratio(result, case):
    limit = case["activation_1f1b"]
    return None if "infeasible" in result or not limit else result["peak_memory_bytes"] / limit


def points(run, arguments):
    """The 18 end-to-end points: our plan against the replayed AdaPtis plan and I-1F1B."""
    plans = json.loads((POINTS / "plans.json").read_text())
    cases, simulations, searches = [], [], []
    for name, plan in plans.items():
        for per_device in (2, 4, 8):
            microbatches = f"pipeline.microbatches={per_device * plan['devices']}"
            text = (POINTS / f"{name}.yaml").read_text()
            cases.append((name, plan["devices"], per_device))
            for scheme in ("AdaPtis", "I-1F1B"):
                arguments_of = ["simulate", "-", "--schedule", plan[scheme]["schedule"], "--format", "json"]
                for given in [*plan[scheme]["set"], microbatches]:
                    arguments_of += ["--set", given]
                simulations.append((arguments_of, text))
            searches.append(runner.search(text, "stagecraft", arguments.budget, sets=[*OPEN, microbatches]))
    simulated = run.map(simulations)
    found = run.map(searches)
    out, speedups, published, shares = [], [], [], []
    worse = 0
    for k, (name, devices, per_device) in enumerate(cases):
        theirs, interleaved = simulated[2 * k]["makespan_ns"], simulated[2 * k + 1]["makespan_ns"]
        ours, bound = found[k]["makespan_ns"], found[k]["lower_bound_ns"]
        share = 100 * (interleaved - ours) / (interleaved - bound) if interleaved > bound else 100.0
        speedups.append(interleaved / ours)
        published.append(interleaved / theirs)
        shares.append(share)
        worse += ours >= theirs
        out.append([name, devices, per_device * devices, theirs / 1e6, ours / 1e6, bound / 1e6, 100 * found[k]["gap"],
                    published[-1], speedups[-1], interleaved / bound, share])
    runner.table("The 18 AdaPtis points (ms; speed-ups over I-1F1B)",
                 ["point", "P", "M", "AdaPtis", "ours", "bound", "gap %", "AdaPtis x", "ours x", "bound x",
                  "share of the possible gain %"], out,
                 [f"{len(out)} runs; not better than the AdaPtis plan: {worse}; mean speed-up over I-1F1B: AdaPtis "
                  f"{statistics.mean(published):.3f}, ours {statistics.mean(speedups):.3f}; mean share of the possible "
                  f"gain {statistics.mean(shares):.1f} %"])
