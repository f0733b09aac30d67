#!/usr/bin/env python3
"""Writes the scenarios that are made from published measurements.

    tools/make_adaptis_scenarios.py [--check]

scenarios/nemotron-*.yaml: per-layer times measured by the authors of AdaPtis (2509.23722), each
rounded to 0.01 ms as they do.  scenarios/adaptis/MODEL-SIZE-SEQ.yaml: the 18 points of their
end-to-end comparison, from their table of layer-time ratios (the base layer's forward is called
1 ms; their own simulator rounds the ratios to one decimal, which moves results by about 1 %).
scenarios/adaptis/plans.json: the partition and schedule of each of the five schemes at every point,
as --set arguments.

With --check nothing is written; the exit status is 1 if a file differs from what would be.
"""
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent / "scenarios"

# --- measured profiles: milliseconds of forward, backward for inputs, for weights -----------------

NANO_9B = {
    "E": (0.7589, 2.8654, 0.0),
    "M": (2.6768, 4.2984, 1.7599),
    "-": (1.8477, 1.9090, 1.6866),
    "*": (1.9254, 2.4534, 0.6547),
    "L": (14.2155, 15.7056, 0.0595),
}
NANO_9B_PATTERN = "M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-"
H_4B = {
    "E": (2.7758, 0.4314, 0.0001),
    "M": (1.0861, 2.2206, 0.3506),
    "-": (0.6692, 0.3644, 0.3805),
    "*": (0.5142, 0.6219, 0.1776),
    "L": (9.6437, 5.2577, 0.0001),
}
H_4B_PATTERN = "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"
NAMES = {"E": "embedding", "M": "mamba", "-": "mlp", "*": "attention", "L": "head"}

# The published plan for NANO_9B on 4 devices: body layers of 24 stages, and the stages of each device.
PLAN_BODY = [2, 2, 2, 2, 2, 2, 2, 3, 2, 3, 2, 3, 2, 3, 3, 2, 3, 3, 2, 2, 2, 3, 3, 1]
PLAN_DEVICES = [[0, 4, 8, 12, 16, 19, 20], [1, 5, 9, 13, 17, 21], [2, 6, 10, 14, 18, 22],
                [3, 7, 11, 15, 23]]

# --- ratios: base layer, other layer, head; each forward, backward for inputs, for weights --------
# Keys: model, sequence length, size. Gemma: base = Transformer. DeepSeek: base = dense, other = MoE.
# Nemotron-H: base = Mamba, other = attention.

RATIOS = {
    ("gemma", "2k"): [((1, 1.61, .2), None, (4.17, .65, .4)),
                      ((1, 1.64, .2), None, (7.23, 1.6, .82)),
                      ((1, 1.65, .2), None, (12.81, 3.64, 1.59))],
    ("gemma", "4k"): [((1, 1.65, .22), None, (5.72, 1.21, .58)),
                      ((1, 1.65, .22), None, (10.37, 2.85, 1.15)),
                      ((1, 1.67, .22), None, (19.22, 5.93, 2.29))],
    ("deepseek", "2k"): [((1, 1.99, 0), (2.62, 3.87, .17), (5.11, 1.37, .62)),
                         ((1, 2.1, 0), (2.69, 4.0, .18), (8.91, 3.0, 1.27)),
                         ((1, 2.28, 0), (2.72, 4.04, .18), (16.31, 5.56, 2.54))],
    ("deepseek", "4k"): [((1, 2.05, 0), (2.28, 3.49, .16), (6.26, 1.98, .82)),
                         ((1, 2.11, 0), (2.29, 3.52, .17), (11.2, 3.73, 1.59)),
                         ((1, 2.24, 0), (2.31, 3.55, .17), (21.57, 7.82, 3.23))],
    ("nemotron-h", "2k"): [((1, 2.75, .02), (3.38, 5.18, .53), (10.81, .9, .57)),
                           ((1, 2.53, .02), (2.79, 4.45, .46), (13.92, 2.22, .95)),
                           ((1, 2.53, .02), (3.06, 4.99, .5), (24.37, 5.4, 1.96))],
    ("nemotron-h", "4k"): [((1, 2.79, .02), (3.12, 4.96, .52), (13.99, 2.13, .86)),
                           ((1, 2.85, .02), (3.22, 5.07, .54), (23.94, 5.24, 1.71)),
                           ((1, 2.7, .02), (3.06, 4.96, .53), (39.97, 10.33, 3.18))],
}
SIZES = ["s", "m", "l"]
LAYERS = {"gemma": [32, 64, 128], "deepseek": [16, 32, 64], "nemotron-h": [28, 56, 112]}
DEVICES = {"gemma": [4, 8, 16], "deepseek": [4, 8, 8], "nemotron-h": [4, 8, 16]}
ATTENTION_EVERY = [6, 12, 24]

MIST = {
    "gemma": [[8, 9, 9, 6], [6] + [9] * 6 + [4], [1, 8] + [9] * 13 + [2]],
    "deepseek": [[5, 4, 4, 3], [6] + [4] * 6 + [2], [7] + [9] * 6 + [3]],
    "nemotron-h": [[8, 8, 8, 4], [6, 7, 8, 7, 8, 7, 8, 5],
                   [6, 7, 7, 7, 9, 7, 7, 9, 7, 7, 7, 7, 9, 7, 7, 2]],
}
ADAPTIS = {
    ("gemma", "2k"): [[9, 9, 8, 6], [9, 9, 9, 8, 8, 8, 8, 5], [9] * 7 + [8] * 8 + [1]],
    ("gemma", "4k"): [[10, 9, 8, 5], [9, 9, 9, 9, 8, 8, 8, 4], [9] * 7 + [8] * 8 + [1]],
    ("deepseek", "2k"): [[5, 4, 4, 3], [6, 3, 4, 4, 4, 4, 4, 3], [12] + [8] * 6 + [4]],
    ("deepseek", "4k"): [[6, 4, 4, 2], [6, 3, 4, 4, 4, 4, 4, 3], [12] + [8] * 6 + [4]],
    # The authors' files hold [8, 7, 8, 5] for the first of these, too.
    ("nemotron-h", "2k"): [[8, 8, 8, 4], [9, 8, 7, 8, 7, 7, 7, 3],
                           [8, 6, 7, 6, 8, 7, 7, 8, 7, 8, 8, 7, 8, 8, 8, 1]],
    ("nemotron-h", "4k"): [[8, 8, 8, 4], [9, 8, 7, 8, 8, 7, 7, 2],
                           [8, 6, 7, 6, 8, 7, 7, 8, 7, 8, 8, 7, 8, 8, 8, 1]],
}


def decimals(value, digits):
    """The value rounded half up, without trailing zeros."""
    scaled = int(round(value * 10**6)) // 10 ** (5 - digits)
    rounded = (scaled + 5) // 10
    text = f"{rounded / 10**digits:.{digits}f}"
    return text.rstrip("0").rstrip(".")


def flow(values, indent="  ", width=100):
    """A YAML flow list broken at `width` columns."""
    lines, line = [], indent + "  "
    for i, value in enumerate(values):
        item = str(value) + (", " if i + 1 < len(values) else "]")
        if len(line) + len(item.rstrip()) > width:
            lines.append(line.rstrip())
            line = indent + "  "
        line += item
    lines.append(line.rstrip())
    return "[\n" + "\n".join(lines)


def layers_section(rows, digits):
    text = "layers:\n"
    for key, column in (("forward", 0), ("backward_input", 1), ("backward_weight", 2)):
        text += f"  {key}: {flow([decimals(row[column], digits) for row in rows])}\n"
    return text


def measured(title, profile, pattern, head, pipeline, schedule):
    kinds = ["E", *pattern, "L"]
    text = "".join(f"# {line}\n" for line in head)
    text += f"name: {title}\n{pipeline}time_unit: ms\n"
    text += layers_section([profile[kind] for kind in kinds], 2)
    text += f"  names: {flow([NAMES[kind] for kind in kinds])}\n"
    return text + f"schedule: {schedule}\n"


def pipeline_section(devices, microbatches, partition, placement=None):
    text = f"pipeline:\n  devices: {devices}\n  microbatches: {microbatches}\n"
    text += f"  partition: {flow(partition)}\n"
    return text + (f"  placement: {flow(placement)}\n" if placement else "")


def uniform(layers, devices):
    return [layers // devices] * devices


def with_ends(body):
    """Entries per stage when the embedding is with the first and the head with the last stage."""
    return [body[0] + 1, *body[1:-1], body[-1] + 1]


def measured_files():
    source = ["Per-layer times measured by the authors of AdaPtis (Guo et al., 2509.23722), rounded to",
              "0.01 ms. The first layer is the embedding, the last one the head."]
    nano = "nemotron-nano-v2-9b"
    yield f"{nano}.yaml", measured(
        nano, NANO_9B, NANO_9B_PATTERN,
        [f"Nemotron-Nano-v2-9B, sequence length 4096, on 4 devices.", *source,
         "14 body layers per stage; fused 1F1B takes 1331.21 ms."],
        pipeline_section(4, 8, with_ends(uniform(56, 4))), "1f1b")
    placement = [next(d for d, stages in enumerate(PLAN_DEVICES) if s in stages)
                 for s in range(len(PLAN_BODY))]
    yield f"{nano}-adaptis.yaml", measured(
        f"{nano} under the plan of AdaPtis", NANO_9B, NANO_9B_PATTERN,
        ["Nemotron-Nano-v2-9B under the published plan of AdaPtis: 24 unequal stages on 4 devices in",
         "a placement of their own, greedy list scheduling. It takes 898.7 ms.", *source],
        pipeline_section(4, 8, with_ends(PLAN_BODY), placement), "greedy")
    yield "nemotron-h-4b.yaml", measured(
        "nemotron-h-4b", H_4B, H_4B_PATTERN,
        ["Nemotron-H-4B on 4 devices, 13 body layers per stage.", *source],
        pipeline_section(4, 8, with_ends(uniform(52, 4))), "1f1b")


def layer_rows(model, size, base, other, layers, devices):
    if model == "deepseek":
        dense = layers // devices - 1
        return [base if layer < dense else other for layer in range(layers)]
    if model == "nemotron-h":
        every = ATTENTION_EVERY[size]
        return [other if (layer + 1) % every == 0 else base for layer in range(layers)]
    return [base] * layers


def with_head(body):
    return [*body[:-1], body[-1] + 1]


def grid_files():
    plans = {}
    for (model, seq), sizes in RATIOS.items():
        for size, (base, other, head) in enumerate(sizes):
            layers, devices = LAYERS[model][size], DEVICES[model][size]
            name = f"{model}-{SIZES[size]}-{seq}"
            rows = [*layer_rows(model, size, base, other, layers, devices), head]
            text = (f"# {model} {SIZES[size].upper()}, sequence length {seq.upper()}, {layers} layers and the "
                    f"head on {devices} devices: layer-time\n# ratios of AdaPtis (Guo et al., 2509.23722), "
                    "where the base layer's forward is called 1 ms.\n")
            text += f"name: {name}\n"
            text += pipeline_section(devices, 2 * devices, with_head(uniform(layers, devices)))
            text += "time_unit: ms\n" + layers_section(rows, 2) + "schedule: 1f1b\n"
            yield f"adaptis/{name}.yaml", text

            def plan(schedule, body):
                partition = ", ".join(map(str, with_head(body)))
                return {"schedule": schedule, "set": [f"pipeline.partition=[{partition}]"]}

            plans[name] = {
                "devices": devices,
                "S-1F1B": plan("1f1b", uniform(layers, devices)),
                "I-1F1B": plan("interleaved", [1] * layers),
                "ZB": plan("zb-h1", uniform(layers, devices)),
                "Mist": plan("1f1b", MIST[model][size]),
                "AdaPtis": plan("greedy", ADAPTIS[model, seq][size]),
            }
            for scheme, given in plans[name].items():
                if scheme != "devices":
                    total = sum(json.loads(given["set"][0].split("=")[1]))
                    assert total == layers + 1, (name, scheme, total)
    yield "adaptis/plans.json", json.dumps(plans, indent=1) + "\n"


def main():
    check = "--check" in sys.argv[1:]
    stale = []
    for path, text in [*measured_files(), *grid_files()]:
        target = ROOT / path
        if check:
            if not target.exists() or target.read_text() != text:
                stale.append(path)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
    if stale:
        print("stale, run tools/make_adaptis_scenarios.py:", *stale, file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
