#!/usr/bin/env python3
"""Writes the instances on which search methods are compared: layer lists from the published profiles
of AdaPtis (Guo et al., 2509.23722), P = 4, 8, 16 and M = P, 2P, 4P, 8P.

    tools/bench/adaptis_instances.py FOLDER [--lists grid,measured,lengths] [--devices 4,8,16]
                                     [--per-device 1,2,4,8] [--least-layers 4]

Lists: `grid`, Gemma, DeepSeek and Nemotron-H in sizes S, M, L with sequences of 2K, 4K and 8K (27);
`measured`, nemotron-nano-v2-9B and nemotron-h-4B (2); `lengths`, the study of sequence lengths,
Nemotron-H of 112 layers with a vocabulary of 256K at 1K to 32K (6). P is left out where a device
would have fewer than --least-layers layers. The default, grid and measured, makes 256 instances.

Times: measured profiles in ms, rounded to 0.01 ms; ratios times 10 ticks of 0.01 ms, rounded to whole
ticks, both as the authors' simulator does. The head (and a measured embedding) is one layer of its own.
Layers whose W is 0 are written so.

Memory: nothing is published per layer. Activations are taken as proportional to forward time, 100 KiB a
tick, head and embedding included, so that heavy layers are large and no list is dominated by its head;
W releases 43.31 % of it, of a head one third (the shares of the authors' memory model), B the rest.
There are no parameters: activations alone are limited.

FOLDER/instances.json lists {file, list, devices, microbatches, layers, activation_1f1b}; the last is the
largest activation memory of a device, in bytes, under 1f1b on the partition even by count (ends not
counted): state it as a limit with --set memory.capacity=BYTES.
"""
import argparse
import importlib.util
import json
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICK_BYTES = 100 * 1024

spec = importlib.util.spec_from_file_location("scenarios", ROOT / "make_adaptis_scenarios.py")
published = importlib.util.module_from_spec(spec)
spec.loader.exec_module(published)

# What the scenarios of the end-to-end comparison do not need: 8K, and the lengths of Nemotron-H (M
# column: vocabulary x 2). Base layer, other layer, head; forward, backward for inputs, for weights.
RATIOS_8K = {
    "gemma": [((1, 1.68, .22), None, (6.98, 1.68, .77)),
              ((1, 1.68, .22), None, (13.24, 4.05, 1.51)),
              ((1, 1.68, .22), None, (25.97, 8.69, 3.06))],
    "deepseek": [((1, 2.1, 0), (1.93, 3.08, .15), (6.99, 2.4, .98)),
                 ((1, 2.13, 0), (1.91, 3.03, .15), (13.14, 4.98, 1.95)),
                 ((1, 2.22, 0), (1.93, 3.05, .15), (26.22, 10.21, 3.98))],
    "nemotron-h": [((1, 2.85, .02), (3.14, 5.26, .54), (19.38, 3.53, 1.33)),
                   ((1, 2.8, .01), (3.15, 5.32, .55), (35.93, 9.04, 2.72)),
                   ((1, 2.95, .02), (3.17, 5.2, .55), (66.15, 18.69, 5.3))],
}
LENGTHS = {
    "1k": ((1, 2.46, .02), (2.69, 4.45, .43), (10.01, 1.28, .63)),
    "2k": published.RATIOS["nemotron-h", "2k"][1],
    "4k": published.RATIOS["nemotron-h", "4k"][1],
    "8k": RATIOS_8K["nemotron-h"][1],
    "16k": ((1, 3.03, .01), (3.95, 7.21, .68), (55.09, 14.06, 4.07)),
    "32k": ((1, 3.09, 0), (4.93, 9.84, .66), (68.75, 15.87, 5.23)),
}


def ticks(value, per_unit):
    """Rounded half up."""
    return (int(round(value * per_unit * 10**6)) + 5 * 10**5) // 10**6


def ratio_list(model, size, ratios):
    """Rows of (forward, B, W) in ticks, the head last."""
    base, other, head = ratios
    layers, devices = published.LAYERS[model][size], published.DEVICES[model][size]
    rows = [*published.layer_rows(model, size, base, other, layers, devices), head]
    return [tuple(ticks(time, 10) for time in row) for row in rows], 0, 1


def measured_list(profile, pattern):
    return [tuple(ticks(time, 100) for time in profile[kind]) for kind in ["E", *pattern, "L"]], 1, 1


def all_lists(kinds):
    """(name, rows, entries at the beginning and at the end that even partitions do not count)"""
    if "grid" in kinds:
        table = {**published.RATIOS, **{(model, "8k"): sizes for model, sizes in RATIOS_8K.items()}}
        for (model, seq), sizes in sorted(table.items()):
            for size, ratios in enumerate(sizes):
                yield f"{model}-{published.SIZES[size]}-{seq}", *ratio_list(model, size, ratios)
    if "measured" in kinds:
        yield "nemotron-nano-v2-9b", *measured_list(published.NANO_9B, published.NANO_9B_PATTERN)
        yield "nemotron-h-4b", *measured_list(published.H_4B, published.H_4B_PATTERN)
    if "lengths" in kinds:
        for length, ratios in LENGTHS.items():
            yield f"lengths-{length}", *ratio_list("nemotron-h", 2, ratios)


def activations(rows):
    return [row[0] * TICK_BYTES for row in rows]


def kept_until_weight(rows):
    whole = activations(rows)
    return [*(a * 4331 // 10000 for a in whole[:-1]), whole[-1] // 3]


def activation_1f1b(rows, first, last, devices, microbatches):
    """Largest over devices of min(P - d, M) micro-batches of what its stage holds."""
    body = len(rows) - first - last
    counts = [body // devices + (d < body % devices) for d in range(devices)]
    counts[0] += first
    counts[-1] += last
    sizes, begin, worst = activations(rows), 0, 0
    for device, count in enumerate(counts):
        held = sum(sizes[begin:begin + count])
        worst = max(worst, held * min(devices - device, microbatches))
        begin += count
    return worst


def scenario(name, rows, devices, microbatches):
    text = (f"# {name}: layer times published with AdaPtis (Guo et al., 2509.23722) in ticks of 0.01 ms;\n"
            "# activations proportional to forward time, 100 KiB a tick.\n"
            f"name: {name} on {devices} devices, {microbatches} micro-batches\n"
            f"pipeline: {{devices: {devices}, microbatches: {microbatches}}}\n"
            "time_unit: us\nlayers:\n")
    columns = {"forward": [10 * row[0] for row in rows],
               "backward_input": [10 * row[1] for row in rows],
               "backward_weight": [10 * row[2] for row in rows],
               "activation": activations(rows), "activation_kept": kept_until_weight(rows)}
    for key, values in columns.items():
        text += f"  {key}: {published.flow(values)}\n"
    return text


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--lists", default="grid,measured")
    parser.add_argument("--devices", type=numbers, default=[4, 8, 16])
    parser.add_argument("--per-device", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--least-layers", type=int, default=4)
    arguments = parser.parse_args()
    kinds = arguments.lists.split(",")
    unknown = set(kinds) - {"grid", "measured", "lengths"}
    if unknown:
        parser.error(f"unknown lists {', '.join(sorted(unknown))}; there are grid, measured, lengths")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    index = []
    for name, rows, first, last in all_lists(kinds):
        for devices in arguments.devices:
            if len(rows) < arguments.least_layers * devices:
                continue
            for per_device in arguments.per_device:
                microbatches = per_device * devices
                file = f"{name}-p{devices}-m{microbatches}.yaml"
                (arguments.folder / file).write_text(scenario(name, rows, devices, microbatches))
                index.append({"file": file, "list": name, "devices": devices,
                              "microbatches": microbatches, "layers": len(rows),
                              "activation_1f1b": activation_1f1b(rows, first, last, devices,
                                                                 microbatches)})
    (arguments.folder / "instances.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} instances of {len({entry['list'] for entry in index})} lists in "
          f"{arguments.folder}")


if __name__ == "__main__":
    main()
