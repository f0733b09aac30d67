#!/usr/bin/env python3
"""GPT-like pipelines with offload: scenarios with explicit costs, and how far searches get below PipeOffload.

    tools/bench/offload_cases.py --write DIR
    tools/bench/offload_cases.py [--cases SUBSTRING] [--limits N] [--budget 10s] [--method optpipe]
                                 [--option solver=stagecraft] [--program build/release/bin/stagecraft]

A GPT layer of hidden size h on one sequence of s tokens (b = 1) takes F = 24sh^2 + 4s^2h, B = 24sh^2 + 8s^2h and
W = 24sh^2 floating-point operations; on an H100 at 440 TFLOP/s. Its activations are 34sh bytes (layer norms, GeLU and
dropout recomputed), of which B gives 57 % back and W the rest. A copy of them to the host takes (k/2)(F + B + W), with
k = 10 / (3 (6h + s)) * 440 TFLOP/s / 21 GB/s (Wan et al., PipeOffload, 2503.01328); where two devices share a host
link, 0.7 of that while one of them has it alone. Memory limits run from the least peak of PipeOffload, over its group
sizes and numbers of offloaded chunks, to that of zb-h2.

The table: per limit (in activations of one micro-batch on one device) the best PipeOffload and the best plan found,
their idle shares, how much of PipeOffload's idle time is gone, how much faster it is, what the proved lower bound
would allow, and which schedules without offload fit.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOPS = 440e12
HOST_BYTES = 21e9
WITHOUT_OFFLOAD = ["1f1b", "interleaved", "zb-h1", "zb-h2"]

# name, devices, chunks, micro-batches, hidden size, tokens, layers, devices per host link, post-validation
CASES = [
    ("gpt-1.3b-p4-m8", 4, 2, 8, 2048, 4096, 24, 1, False),
    ("gpt-2.7b-p4-m16", 4, 2, 16, 2560, 8192, 32, 1, False),
    ("gpt-2.7b-p4-m8-shared", 4, 2, 8, 2560, 8192, 32, 2, False),
    ("gpt-6.7b-p8-m16", 8, 2, 16, 4096, 8192, 32, 1, False),
    ("gpt-6.7b-p8-m16-v1", 8, 1, 16, 4096, 8192, 32, 1, False),
    ("gpt-6.7b-p8-m32", 8, 2, 32, 4096, 16384, 32, 1, False),
    ("gpt-6.7b-p8-m16-shared", 8, 2, 16, 4096, 16384, 32, 2, False),
    ("gpt-6.7b-p8-m16-post", 8, 1, 16, 4096, 16384, 32, 1, True),
    ("gpt-14b-p16-m32", 16, 1, 32, 4992, 16384, 48, 1, False),
    ("gpt-14b-p16-m32-v3", 16, 3, 32, 4992, 16384, 48, 1, False),
    ("gpt-14b-p16-m64", 16, 1, 64, 4992, 16384, 48, 1, False),
]


class Case:
    """One pipeline: stage costs in ns and bytes."""

    def __init__(self, name, devices, chunks, microbatches, hidden, tokens, layers, shared, post):
        self.name, self.devices, self.chunks, self.microbatches = name, devices, chunks, microbatches
        self.shared, self.post = shared, post
        self.layers = layers / devices
        linear = 24 * tokens * hidden ** 2
        attention = 4 * tokens ** 2 * hidden
        self.flops = (linear + attention, linear + 2 * attention, linear)
        self.bytes = 34 * tokens * hidden
        ratio = 10 / (3 * (6 * hidden + tokens)) * FLOPS / HOST_BYTES
        self.ratio = ratio
        self.copy = ratio / 2 * sum(self.flops) / FLOPS * (0.7 if shared > 1 else 1.0)

    def activation(self, chunks):
        return int(self.bytes * self.layers / chunks)

    def times(self, chunks):
        return [round(flops / FLOPS * self.layers / chunks * 1e9) for flops in self.flops]

    def scenario(self, chunks, capacity):
        """YAML text; `capacity` in bytes, None: unlimited."""
        forward, backward, weight = self.times(chunks)
        held = self.activation(chunks)
        kept = int(held * 0.4331)
        lines = [
            f"# {self.name}: copies take {self.ratio / 2:.2f} of a micro-batch's work, written by offload_cases.py",
            f"name: {self.name}",
            f"pipeline: {{devices: {self.devices}, chunks: {chunks}, microbatches: {self.microbatches}, "
            f"placement: loop}}",
            "time_unit: ns",
            f"costs: {{forward: {forward}, backward_input: {backward}, backward_weight: {weight}, "
            f"offload: {round(self.copy * self.layers / chunks * 1e9)}, transfer: 20000}}",
            f"memory: {{forward: {held}, backward_input: {kept - held}, backward_weight: {-kept}"
            + (f", capacity: {capacity}}}" if capacity else "}"),
        ]
        if self.shared > 1:
            lines.append(f"host_link: {{shared_by: {self.shared}, sharing: fair}}")
        if self.post:
            lines.append("optimizer: {post_validation: true}")
        return "\n".join(lines) + "\n"


def call(program, arguments, text):
    """The program's JSON, or None if no plan fits (exit status 3)."""
    run = subprocess.run([program, *arguments, "--json", "-"], input=text, capture_output=True, text=True, check=False)
    if run.returncode == 3:
        return None
    if run.returncode != 0:
        sys.exit(f"{program} {' '.join(arguments)} failed:\n{run.stderr}")
    return json.loads(run.stdout)


def pipeoffloads(case, program, capacity):
    """Results of all group sizes and numbers of offloaded chunks that fit."""
    text = case.scenario(case.chunks, capacity)
    results = []
    for group in sorted({(case.devices + 1) // 2, case.devices}):
        for chunks in range(case.chunks + 1):
            sets = ["--schedule", "pipeoffload", "--set", f"schedule.group_size={group}",
                    "--set", f"schedule.offload_chunks={chunks}"]
            result = call(program, ["simulate", "-", *sets], text)
            if result and result["feasible"]:
                results.append(result)
    return results


def fitting(case, program, capacity):
    """Schedules without offload that fit, each on the chunks it is made for."""
    names = []
    for name in WITHOUT_OFFLOAD:
        chunks = 1 if name != "interleaved" else max(2, case.chunks)
        result = call(program, ["simulate", "-", "--schedule", name], case.scenario(chunks, capacity))
        if result and result["feasible"]:
            names.append(name)
    return names


def limits(case, program, count):
    least = min(result["peak_memory_bytes"] for result in pipeoffloads(case, program, None))
    most = max((2 * case.devices - 1) * case.activation(1), least)
    return [least + (most - least) * i // (count - 1) for i in range(count)]


def row(case, capacity, arguments):
    program = arguments.program
    base = min((r["iteration_ns"] for r in pipeoffloads(case, program, capacity)), default=None)
    text = case.scenario(case.chunks, capacity)
    options = [part for option in arguments.option for part in ("--option", option)]
    found = call(program, ["search", "-", "--method", arguments.method, "--budget", arguments.budget, "--threads", "1",
                           *options], text)
    unit = case.activation(1)
    busy = case.microbatches * case.chunks * sum(case.times(case.chunks))
    cells = [f"{case.name:24}", f"{capacity / unit:6.1f}"]
    if base is None or found is None:
        return "  ".join(cells + ["nothing fits"])
    ours, bound = found["best"]["iteration_ns"], found["lower_bound_ns"]
    idle = 1 - (ours - busy) / (base - busy) if base > busy else 0.0
    cells += [f"{base / 1e6:10.1f}", f"{100 * (1 - busy / base):5.1f}", f"{ours / 1e6:10.1f}",
              f"{100 * (1 - busy / ours):5.1f}", f"{100 * idle:6.0f}", f"{100 * (base / ours - 1):6.1f}",
              f"{100 * (base / bound - 1) if bound else 0:6.1f}", f"{100 * (ours / bound - 1) if bound else 0:6.2f}",
              " ".join(fitting(case, program, capacity)) or "none"]
    return "  ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--write", help="write the scenarios, at every limit, into this folder and stop")
    parser.add_argument("--cases", default="", help="only cases whose name holds this")
    parser.add_argument("--limits", type=int, default=5, help="memory limits per case")
    parser.add_argument("--budget", default="10s")
    parser.add_argument("--method", default="optpipe")
    parser.add_argument("--option", action="append", default=[], help="option of the method")
    parser.add_argument("--program", default=str(ROOT / "build/release/bin/stagecraft"))
    arguments = parser.parse_args()
    if arguments.limits < 2:
        parser.error("--limits must be at least 2")
    if arguments.method == "optpipe" and not arguments.option:
        arguments.option = ["solver=stagecraft"]
    chosen = [case for case in map(lambda fields: Case(*fields), CASES) if arguments.cases in case.name]
    if not arguments.write:
        print(f"{'case':24}  {'limit':>6}  {'PO ms':>10}  {'idle%':>5}  {'ours ms':>10}  {'idle%':>5}  {'-idle%':>6}  "
              f"{'faster':>6}  {'bound':>6}  {'gap%':>6}  fit without offload")
    for case in chosen:
        for number, capacity in enumerate(limits(case, arguments.program, arguments.limits)):
            if arguments.write:
                folder = pathlib.Path(arguments.write)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{case.name}-{number}.yaml").write_text(case.scenario(case.chunks, capacity))
            else:
                print(row(case, capacity, arguments), flush=True)


if __name__ == "__main__":
    main()
