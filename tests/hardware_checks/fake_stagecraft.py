#!/usr/bin/env python3
"""A stand-in for `stagecraft` that follows its command line and writes results of its form.

FAKE_FAIL, FAKE_CRASH, FAKE_HANG, FAKE_GARBAGE, FAKE_REFUSE name schedules (commas between) that
fail, crash, hang, write no JSON, or are refused by simulate too; FAKE_NO_CALIBRATION a setting that cannot be
calibrated. Tests call `answer` in their own process where they need no real child.
"""
import argparse
import json
import os
import pathlib
import sys
import time
import zlib


def told(environment, variable, name):
    return name in environment.get(variable, "").split(",")


def parse(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["execute", "calibrate", "simulate"])
    parser.add_argument("scenario")
    for name in ("--backend", "--device", "--out", "--json", "--schedule", "--schedules", "--body", "--runs",
                 "--iterations", "--watchdog", "--gpus"):
        parser.add_argument(name)
    parser.add_argument("--no-graphs", action="store_true")
    parser.add_argument("--set", action="append", default=[])
    return parser.parse_args(words)


def times(name):
    """Predicted and measured ns, different for every schedule, the error within 3 %."""
    number = zlib.crc32(name.encode())
    predicted = 100_000_000 + number % 50_000_000
    return predicted, round(predicted * (1 + (number // 7 % 61 - 30) / 1000))


def result(arguments):
    predicted, measured = times(arguments.schedule)
    if arguments.no_graphs:
        measured = measured * 11 // 10

    def side(value):
        return {"feasible": True, "iteration_ns": value, "makespan_ns": value + 1,
                "peak_memory_bytes": 1000,
                "devices": [{"peak_memory_bytes": 1000}, {"peak_memory_bytes": 900}]}

    return {"stagecraft": "0", "scenario": "fake", "schedule": arguments.schedule,
            "backend": "fake", "predicted": side(predicted), "measured": side(measured),
            "comparison": {"iteration_error": measured / predicted - 1, "peak_memory_error": 0.0,
                           "kinds": []},
            "makespans_ns": [measured], "iterations_ns": [measured], "held_bytes": [1010, 891],
            "counters": {}, "timer": {"median_ns": 3000, "p99_ns": 9000}}


def table(arguments, environment):
    """Results of --schedules; a process that hangs or dies takes all of them with it."""
    results = []
    for name in arguments.schedules.split(","):
        if told(environment, "FAKE_CRASH", name):
            return None
        one = argparse.Namespace(**{**vars(arguments), "schedule": name})
        value = result(one)
        if told(environment, "FAKE_REFUSE", name):
            value = {"schedule": name, "predicted": {
                "feasible": False, "problems": ["needs more micro-batches"]}}
        elif told(environment, "FAKE_FAIL", name):
            value = {"schedule": name, "predicted": value["predicted"], "measured": {
                "feasible": False, "problems": ["a stream stopped"]}}
        results.append(value)
    return {"stagecraft": "0", "results": results}


def answer(words, environment):
    """(exit status, text for standard error)"""
    arguments = parse(words)
    if arguments.command == "calibrate":
        if environment.get("FAKE_NO_CALIBRATION", "-") in arguments.set:
            return 1, "error: out of memory\n"
        pathlib.Path(arguments.out).write_text("name: measured\n", encoding="utf-8")
        pathlib.Path(arguments.json).write_text(
            json.dumps({"device": "fake", "interference": 0.02, "ops": [1, 2]}), encoding="utf-8")
        return 0, ""
    if told(environment, "FAKE_REFUSE", arguments.schedule):
        return 2, "fake.yaml:1:1: error: needs more micro-batches\n"
    if arguments.command == "simulate":
        return 0, ""
    if arguments.schedules:
        value = table(arguments, environment)
        if value is None:
            return -11, ""
        pathlib.Path(arguments.json).write_text(json.dumps(value), encoding="utf-8")
        return 0, ""
    if told(environment, "FAKE_CRASH", arguments.schedule):
        return -11, ""
    if told(environment, "FAKE_HANG", arguments.schedule):
        time.sleep(600)
    if told(environment, "FAKE_FAIL", arguments.schedule):
        return 1, "warning: something\nerror: CUDA_ERROR_ILLEGAL_ADDRESS\n"
    garbage = told(environment, "FAKE_GARBAGE", arguments.schedule)
    text = "{" if garbage else json.dumps(result(arguments))
    pathlib.Path(arguments.json).write_text(text, encoding="utf-8")
    return 0, ""


def main():
    status, said = answer(sys.argv[1:], os.environ)
    sys.stderr.write(said)
    return status


if __name__ == "__main__":
    sys.exit(main())
