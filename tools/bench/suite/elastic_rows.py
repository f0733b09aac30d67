"""Golden rows of slices, memory laws, the diagonal argument, and a data set of a million sequences."""
import pathlib
import random
import subprocess
import sys
import tempfile
import time

from . import elastic, golden as peers, runner


def simulate(text, *arguments):
    return ["simulate", "-", "--format", "json", *arguments], text


def sliced(devices, microbatches, slices, shares=None, schedule="seq1f1b", memory=True):
    lines = [f"name: {schedule}", f"pipeline: {{devices: {devices}, microbatches: {microbatches}, slices: {slices}}}",
             "time_unit: ms", f"costs: {{forward: 1, backward: 2{f', slice_shares: {shares}' if shares else ''}}}"]
    if memory:
        lines.append("memory: {forward: 1000000}")
    return "\n".join([*lines, f"schedule: {schedule}"]) + "\n"


def golden(run, _arguments):
    """Seq1F1B rows of the zero-bubble authors: ours must be the same."""
    rows, differ = [], 0
    for row in peers.rows("zero-bubble", "Seq1F1B"):
        note = row["notes"] if "notes" in row else " ".join(str(value) for value in row.values())
        shares = None
        if "F_q=[" in note:
            shares = "[" + note.split("F_q=[", 1)[1].split("]", 1)[0] + "]"
            slices = shares.count(",") + 1
        else:
            slices = int(note.split("num_seq_splits=", 1)[1].split(";", 1)[0])
        result = run.call(*simulate(sliced(int(row["P"]), int(row["M"]), slices, shares)))
        ours = result["makespan_ns"] / 1e6
        peer = float(row["peer_value"])
        differ += abs(ours - peer) > 1e-6
        rows.append([row["case_id"], f"P={row['P']} M={row['M']} S={slices}", peer, ours,
                     "same" if abs(ours - peer) <= 1e-6 else "differs"])
    runner.table("Seq1F1B golden rows", ["row", "case", "peer", "ours", ""], rows, [f"{len(rows)} rows, {differ} differ"])


def slicing(run, _arguments):
    """P=4, M=8: slices of equal cost shrink the bubble, slices of equal length are worse than none."""
    rows = []
    for name, slices, shares in (("none", 1, None), ("equal cost", 4, None), ("equal length, causal", 4, "[1, 2, 3, 4]"),
                                 ("equal cost", 8, None)):
        result = run.call(*simulate(sliced(4, 8, slices, shares)))
        elastic_result = run.call(*simulate(sliced(4, 8, slices, shares, "elastic")))
        rows.append([name, slices, result["makespan_ns"] / 1e6, elastic_result["makespan_ns"] / 1e6])
    runner.table("Slices at P=4, M=8, F=1, BW=2 (peers: 33 without, 26.25 with 4 of equal cost, 40.2 with 4 of equal length)",
                 ["slices", "S", "seq1f1b", "elastic"], rows)


def slimpipe(run, _arguments):
    """Uniform slices: activations of a device tend to 1/p of a micro-batch's as slices get more (SlimPipe's law)."""
    rows = []
    for devices in (4, 8):
        for slices in (1, 4, 8, 16, 32):
            result = run.call(*simulate(sliced(devices, 8, slices)))
            # The peak counts stages of a p-th of the model each: in whole micro-batches of the model, divide by p.
            peak = result["peak_memory_bytes"] / 1e6
            rows.append([devices, slices, peak, peak / devices, (devices - 1 + slices) / slices / devices,
                         result["bubble_fraction"]])
    runner.table("Uniform slices (SlimPipe-like): largest activations of a device",
                 ["P", "slices", "of its layers", "of the model", "law (P-1+n)/(nP)", "bubble"], rows,
                 ["In micro-batches of the device's layers, and of the whole model: 1/p + O(1/n)."])


def diagonal(_run, arguments):
    """The reduction to one variable per diagonal, on random instances."""
    program = pathlib.Path(arguments.program).parent / "stagecraft_diagonal_check"
    count = str(arguments.instances)
    done = subprocess.run([str(program), "1", count, count], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program} failed with exit status {done.returncode}:\n{done.stderr}")
    lines = [line.split(",") for line in done.stdout.splitlines()]
    tables = [line for line in lines if len(line) == len(lines[0])]
    runner.table("One checkpointing variable per diagonal against one per stage and unit: random pipelines", tables[0],
                 tables[1:], ["\n".join(",".join(line) for line in lines if len(line) != len(lines[0]))])


def million(_run, arguments):
    """A million sequences: written, described, and every global batch planned, in bounded memory."""
    rng = random.Random(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        lengths = pathlib.Path(folder) / "million.txt"
        lengths.write_text("".join(f"{min(int(rng.lognormvariate(6.83, 1.52)) + 1, 1 << 20)}\n" for _ in range(1_000_000)))
        scenario = pathlib.Path(folder) / "million.yaml"
        text = elastic.scenario("llama-7b", "48K", "million.txt", iterations=100_000)
        scenario.write_text(text.replace("regimes: [1M]", "regimes: [1M], epochs: 1"))
        for name, command in (("described", ["data", str(lengths)]),
                              ("planned: elastic, 1953 global batches",
                               ["compare", str(scenario), "--schedules", "elastic", "--threads", "1", "--format", "json"])):
            begin = time.monotonic()
            done = subprocess.run(["/usr/bin/env", "python3", "-c",
                                   "import resource, subprocess, sys\n"
                                   "code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode\n"
                                   "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)\n"
                                   "sys.exit(code)\n", arguments.program, *command],
                                  capture_output=True, text=True, check=False)
            if done.returncode != 0:
                sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
            rows.append([name, time.monotonic() - begin, int(done.stdout.split()[-1]) / 1024])
    runner.table("A data set of 1 000 000 sequences", ["", "seconds", "peak memory MiB"], rows)
