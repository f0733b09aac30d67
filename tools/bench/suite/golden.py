"""Peers' cases of tests/data/golden/schedules.csv: the ZB ILP, and orders under a memory limit."""
import csv
import pathlib
import re
import statistics

from . import runner

ROWS = pathlib.Path(__file__).resolve().parents[3] / "tests/data/golden/schedules.csv"


def rows(peer, schedule):
    with ROWS.open(newline="") as file:
        return [row for row in csv.DictReader(file)
                if row["peer"] == peer and row["schedule"].startswith(schedule) and not row["trust"].startswith("C")]


def numbers(cell):
    values = [float(part) for part in cell.split(";")]
    return values[0] if len(values) == 1 else values


def scenario(row, vee=False):
    """Explicit costs of a row, in microseconds."""
    chunks = int(row["V"])
    lines = [f"name: {row['case_id']}",
             f"pipeline: {{devices: {row['P']}, chunks: {chunks}, microbatches: {row['M']}, "
             f"placement: {'vee' if vee else 'loop'}}}",
             "time_unit: us", "costs:", f"  forward: {numbers(row['F'])}"]
    if row["B"]:
        lines += [f"  backward_input: {numbers(row['B'])}", f"  backward_weight: {numbers(row['W'])}"]
    else:
        lines += [f"  backward: {numbers(row['BW'])}"]
    lines += [f"  transfer: {row['comm']}", "communication: latency"]
    memory = [numbers(row["mem_F"] or "1"), numbers(row["mem_B"] or "0"), numbers(row["mem_W"] or "-1")]
    lines += ["memory:", f"  capacity: {int(float(row['mem_limit']))}", f"  forward: {memory[0]}",
              f"  backward_input: {memory[1]}", f"  backward_weight: {memory[2]}", "schedule: greedy"]
    return "\n".join(lines) + "\n"


def zb_ilp(run, _arguments):
    """Exact orders against CBC on the ZB ILP: value, proof, time."""
    cases = rows("zero-bubble", "ZB-ILP")
    results = run.map([runner.search(scenario(row), "exact", "60s", "span") for row in cases])
    out, faster = [], []
    for row, result in zip(cases, results):
        ratio = float(row["peer_seconds"]) / max(result["seconds"], 1e-6)
        faster.append(ratio)
        out.append([row["case_id"], f"P={row['P']} M={row['M']} F={row['F']} B={row['B']} W={row['W']} "
                    f"c={row['comm']} cap={row['mem_limit']}", float(row["peer_value"]), result["span_ns"] / 1000,
                    result["lower_bound_ns"] / 1000, "yes" if result["proved"] else "no", float(row["peer_seconds"]),
                    result["seconds"], ratio])
    above = sum(1 for line in out if line[3] > line[2])
    runner.table("ZB ILP: exact orders (span) against CBC", ["row", "case", "ILP", "ours", "bound", "proved", "CBC s",
                                                             "ours s", "times faster"], out,
                 [f"{len(out)} rows; above the ILP: {above}; not proved: "
                  f"{sum(1 for line in out if line[5] == 'no')}; slower than CBC: {sum(r < 1 for r in faster)}; "
                  f"median times faster: {statistics.median(faster):.1f}"])


def dynapipe(row):
    """Costs by micro-batch; the peer counts a transient of 8000 m beside what is stored, so our limit is lower by its
    largest: every plan of ours fits the peer's limit too."""
    found = re.search(r"mult=\[([^\]]*)\]", row["knobs"])
    scale = [1, 0.8, 1.2, 0.9, 1.1, 0.7, 1.4, 0.6] if "*m" in row["F"] or found else [1] * int(row["M"])
    unit = {key: float(row[key].replace("*m", "")) for key in ("F", "BW")}
    stored = 8000 if "8000m" in row["mem_F"] else 1
    limit = float(row["mem_limit"]) - (8000 * max(scale) if stored > 1 else 0) if row["mem_limit"] else None
    grids = {key: [[round(unit[key] * m) for m in scale] for _ in range(int(row["P"]))] for key in unit}
    held = [[round(stored * m) for m in scale] for _ in range(int(row["P"]))]
    lines = [f"name: {row['case_id']}", f"pipeline: {{devices: {row['P']}, chunks: 1, microbatches: {row['M']}, "
             "placement: loop}", "time_unit: us", "costs:", f"  forward: {grids['F']}", f"  backward: {grids['BW']}",
             f"  transfer: {row['comm']}", "communication: latency", "memory:", f"  forward: {held}",
             f"  backward_input: {[[-b for b in stage] for stage in held]}",
             f"  backward_weight: {[[0 for _ in stage] for stage in held]}"]
    if limit is not None:
        lines.insert(-3, f"  capacity: {round(limit)}")
    return "\n".join(lines + ["schedule: greedy"]) + "\n"


def memory(run, arguments):
    """Our search at the memory limits of V-adaptive, the ZB heuristic and DynaPipe."""
    cases = [(row, scenario(row, vee=True), "span") for row in rows("zero-bubble", "V-adaptive")]
    cases += [(row, scenario(row), "span") for row in rows("zero-bubble", "ZB-heuristic")
              if re.fullmatch(r"\d+(\.\d+)?", row["mem_limit"])]
    cases += [(row, dynapipe(row), "makespan") for row in rows("DynaPipe", "wait-free")
              if row["V"] == "1" and row["P"] == "4" and row["comm"] == "0"]
    limit_4 = next(row for row in rows("DynaPipe", "wait-free") if row["case_id"] == "G373")
    cases.append((dict(limit_4, mem_limit="4", peer_value="33000", case_id="limit 4"),
                  dynapipe(dict(limit_4, mem_limit="4")), "makespan"))
    results = run.map([runner.search(text, "stagecraft", arguments.budget, objective)
                       for _, text, objective in cases])
    out = []
    for (row, _, objective), result in zip(cases, results):
        ours = runner.value(result, objective)
        ours = None if ours is None else ours / 1000
        peer = float(row["peer_value"])
        verdict = "infeasible" if ours is None else "above" if ours > peer else "equal" if ours == peer else "below"
        out.append([row["case_id"], row["schedule"][:24], f"P={row['P']} M={row['M']} V={row['V']}", row["mem_limit"],
                    peer, ours, None if ours is None else result["lower_bound_ns"] / 1000, verdict])
    bad = [line[0] for line in out if line[-1] in ("above", "infeasible")]
    runner.table("Memory-limited peers at the same limit", ["row", "peer", "case", "limit", "peer's", "ours", "bound",
                                                            "verdict"], out,
                 [f"{len(out)} rows; above a peer or infeasible: {len(bad)} {' '.join(bad)}"])


def bounds(run, arguments):
    """How tight the bound is before any search, on the peers' cases: root bound against the best value known."""
    cases = [(row, scenario(row), "span") for row in rows("zero-bubble", "ZB-ILP")]
    cases += [(row, scenario(row, vee=True), "span") for row in rows("zero-bubble", "V-adaptive")]
    cases += [(row, scenario(row), "makespan") for row in rows("zero-bubble", "ZB-ILP")]
    results = run.map([runner.search(text, "exact", arguments.budget, objective) for _, text, objective in cases])
    out = []
    for (row, _, objective), result in zip(cases, results):
        best, root = result[f"{objective}_ns"] / 1000, result["progress"][0]["bound"] / 1000
        out.append([row["case_id"], objective, f"P={row['P']} M={row['M']} V={row['V']}", row["mem_limit"], root,
                    result["lower_bound_ns"] / 1000, best, 100 * root / best])
    tight = sum(1 for line in out if line[4] == line[6])
    runner.table("Bounds before any search (root) and after it (proved), against the best value found",
                 ["row", "objective", "case", "limit", "root", "proved", "best", "root / best %"], out,
                 [f"{len(out)} cases; root bound met: {tight}; mean root / best "
                  f"{statistics.mean(line[7] for line in out):.1f} %"])
