#!/usr/bin/env python3
"""Checks records of measurements: form, names, and that their figures follow from their rows.

    tools/hardware/check_record.py tests/hardware        # all of a folder, or single files

Exit status 0 if all are sound (also if there are none), 1 otherwise, every fault on a line.
"""
import json
import math
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from hardware import record, table  # noqa: E402

NUMBER, TEXT, COUNT = (int, float), (str,), (int,)
TOP = {"format": COUNT, "tool": TEXT, "backend": TEXT, "date": TEXT, "machine": (dict,),
       "commit": TEXT, "changed": (bool,), "programs": TEXT, "seconds": NUMBER, "runs": COUNT,
       "iterations": COUNT, "rows": (list,), "summary": (dict,)}
TOOLS = {"gpu-check": {"budget_seconds": NUMBER, "calibrations": (list,), "graphs": (list,),
                       "self_test": (dict, type(None))},
         "host-check": {"body": TEXT, "real_time": (bool,), "timer": (dict,)}}
MACHINES = {"cuda": {"device": TEXT, "driver": TEXT, "toolkit": TEXT, "gpus": COUNT,
                     "nccl": (str, type(None))},
            "host": {"device": TEXT, "processor": TEXT, "cores": COUNT}}
NAMES = {"shape": TEXT, "devices": COUNT, "cut": TEXT, "schedule": TEXT, "status": TEXT}
DONE = {"predicted_ns": COUNT, "measured_ns": COUNT, "error": NUMBER, "time": TEXT,
        "memory_error": (int, float, type(None)), "predicted_peak_bytes": COUNT,
        "held_bytes": (list,), "kinds": (list,)}
STATUSES = ("ok", "failed", "refused", "left out")
SUMMARY = {"passed": (bool,), "misses": (list,), "rows": COUNT, "failed": COUNT,
           "mean_absolute_error": NUMBER, "worst_error": NUMBER, "shapes": (list,)}


def fields(faults, where, value, expected):
    """Does `value` have these keys, each of one of its types? (bool is no number)"""
    for key, types in expected.items():
        if key not in value:
            faults.append(f"{where}: '{key}' is missing")
        elif not isinstance(value[key], types) or (isinstance(value[key], bool)
                                                   and bool not in types):
            faults.append(f"{where}: '{key}' is {value[key]!r}, expected "
                          f"{' or '.join(kind.__name__ for kind in types)}")


def check_row(faults, where, row):
    before = len(faults)
    fields(faults, where, row, NAMES)
    if len(faults) > before:
        return
    if row["status"] not in STATUSES:
        faults.append(f"{where}: unknown status '{row['status']}'")
    elif row["status"] != "ok":
        fields(faults, where, row, {"message": TEXT})
    else:
        fields(faults, where, row, DONE)
        if len(faults) > before:
            return
        if row["predicted_ns"] <= 0 or row["measured_ns"] <= 0:
            faults.append(f"{where}: times must be positive")
        elif not math.isclose(row["error"], row["measured_ns"] / row["predicted_ns"] - 1.0,
                              abs_tol=1e-9):
            faults.append(f"{where}: 'error' does not follow from its times")


def check_summary(faults, value):
    """The summary must follow from the rows."""
    told, real = value["summary"], table.summarize(value["rows"])
    for key, expected in real.items():
        if isinstance(expected, float):
            same = isinstance(told.get(key), NUMBER) and math.isclose(told[key], expected,
                                                                      abs_tol=1e-9)
        else:
            same = told.get(key) == expected
        if not same and key != "shapes":
            faults.append(f"summary: '{key}' is {told.get(key)!r}, its rows say {expected!r}")
    shapes = [(shape.get("shape"), shape.get("rows"), shape.get("inverted"))
              for shape in told.get("shapes", [])]
    if shapes != [(shape["shape"], shape["rows"], shape["inverted"]) for shape in real["shapes"]]:
        faults.append("summary: 'shapes' do not follow from the rows")
    if told.get("passed") == bool(told.get("misses")):
        faults.append("summary: it passed and has misses, or neither")


def check(value, name=None):
    """All faults of a record, in words; `name` is that of its file."""
    faults = []
    if not isinstance(value, dict):
        return ["not a map"]
    fields(faults, "record", value, TOP)
    if faults:
        return faults
    if value["format"] != record.FORMAT:
        return [f"format {value['format']}, expected {record.FORMAT}"]
    if value["tool"] not in TOOLS or value["backend"] not in MACHINES:
        return [f"unknown tool '{value['tool']}' or backend '{value['backend']}'"]
    fields(faults, "record", value, TOOLS[value["tool"]])
    fields(faults, "machine", value["machine"], MACHINES[value["backend"]])
    fields(faults, "summary", value["summary"], SUMMARY)
    if not re.fullmatch(r"[0-9a-f]{40}", value["commit"]):
        faults.append(f"commit '{value['commit']}' is not one")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", value["date"]):
        faults.append(f"date '{value['date']}' is not YYYY-MM-DDTHH:MM:SSZ")
    before = len(faults)
    for number, row in enumerate(value["rows"]):
        check_row(faults, f"row {number}", row)
    if not value["rows"]:
        faults.append("no rows")
    if len(faults) == before:
        check_summary(faults, value)
    if name is not None and not faults:
        base = f"{record.slug(record_device(value))}-{value['date'][:10]}"
        if not re.fullmatch(re.escape(base) + r"(-\d+)?\.json", name):
            faults.append(f"named {name}, expected {base}.json")
    return faults


def record_device(value):
    """What names the file: the GPU, or on the host what was run."""
    if value["backend"] == "cuda":
        return value["machine"]["device"]
    return "host timed" if value["tool"] == "host-check" else "host stages"


def main(words):
    paths = [file for path in map(pathlib.Path, words)
             for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    bad = 0
    for path in paths:
        try:
            faults = check(json.loads(path.read_text(encoding="utf-8")), path.name)
        except (OSError, ValueError) as error:
            faults = [str(error)]
        bad += bool(faults)
        for fault in faults:
            print(f"{path}: {fault}")
    print(f"{len(paths)} records, {bad} faulty")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
