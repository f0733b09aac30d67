"""One command that checks the CUDA backend where there is a GPU: see `tools/gpu-check --help`."""
import argparse
import datetime
import pathlib
import sys

from . import budget, check, machine, pack, programs, record, shapes, steps, table

EPILOG = """\
On a machine with a GPU: builds the programs (or takes those of --packed, if they were made from the
same sources), holds the gradients of a stage against a float64 reference, calibrates every shape
from single ops, runs at least 12 schedules on each of 3 shapes (two also without graphs), prints
predicted against measured times and writes the record to tests/hardware/.

Exit status: 0 all ran, mean absolute error of the iteration time and error of the peak memory at
most 5 %; 1 something failed or missed that; 2 no GPU, no programs, or a wrong command line.
"""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="gpu-check", epilog=EPILOG,
                                     description="Checks predicted against measured times on a GPU.",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=["cuda", "host"], default="cuda",
                        help="host: the same with stages on the processor, to try the tool itself")
    parser.add_argument("--budget", default="8m", help="time for all of it (default 8m)")
    parser.add_argument("--plan", action="store_true", help="print what would run, and run nothing")
    parser.add_argument("--pack", nargs="?", const="build/gpu", metavar="FOLDER",
                        help="build here, with CUDA, what a machine with a GPU runs (build/gpu)")
    parser.add_argument("--packed", default="build/gpu", metavar="FOLDER",
                        help="programs made by --pack (default build/gpu)")
    parser.add_argument("--shapes", help="names with commas between (default: all that fit)")
    parser.add_argument("--gpus", choices=["auto", "whole", "divided"], default="auto",
                        help="use of the GPUs, as in `stagecraft execute`")
    parser.add_argument("--runs", type=int, default=3, help="runs of a row (default 3)")
    parser.add_argument("--iterations", type=int, default=3, help="of a run (default 3)")
    parser.add_argument("--record", metavar="FILE", help="where the record goes (default: "
                        "tests/hardware/GPU-DATE.json; on the host out/gpu-check-host.json)")
    parser.add_argument("--work", default=str(programs.ROOT / "out" / "gpu-check"),
                        metavar="FOLDER", help="for calibrated scenarios and results")
    parser.add_argument("--program", help="use this stagecraft and build nothing (backend host)")
    chosen = parser.parse_args(arguments)
    try:
        chosen.seconds = budget.parse_duration(chosen.budget)
    except ValueError as error:
        parser.error(f"--budget: {error}")
    if chosen.runs < 1 or chosen.iterations < 1:
        parser.error("--runs and --iterations must be at least 1")
    if chosen.program and chosen.backend != "host":
        parser.error("--program is for --backend host")
    return chosen


def choose_shapes(arguments, cores):
    fitting = shapes.shapes_of(arguments.backend, cores)
    if not arguments.shapes:
        return fitting[:3] if arguments.backend == "host" else fitting
    names = arguments.shapes.split(",")
    unknown = sorted(set(names) - {shape.name for shape in fitting})
    if unknown:
        raise programs.CannotBuild(
            f"no shape '{unknown[0]}' here, expected some of: "
            f"{' '.join(shape.name for shape in fitting)}")
    return [shape for shape in fitting if shape.name in names]


def print_plan(arguments, chosen):
    order = steps.in_order(arguments.backend, chosen)
    needed = {key: entry[0] for key, entry in steps.calibrations(chosen).items()}
    picked, left_out, used = budget.plan([step for step, _ in order], needed, arguments.seconds)
    body = [[step.key, step.kind, f"{step.estimate:.0f}"] for step in picked]
    print(table.render(["step", "kind", "expected (s)"], body, left=2))
    print(f"\n{len(picked)} steps, about {used:.0f} of {arguments.seconds:.0f} s; left out: "
          f"{', '.join(step.key for step in left_out) or 'nothing'}")


def get_programs(arguments, say, limit):
    if arguments.program:
        return programs.Programs(pathlib.Path(arguments.program).resolve(), None, "given",
                                 programs.commit_of()[0], True)  # nothing tells what it is made from
    if arguments.backend == "cuda":
        found, why_not = programs.packed(arguments.packed)
        if found:
            return found
        say(f"{why_not}: building")
    return programs.build(arguments.backend, limit, say)


def make_record(done, about, used, clock, now, arguments):
    return {"format": record.FORMAT, "tool": "gpu-check", "backend": arguments.backend,
            "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"), "machine": about, "commit": used.commit,
            "changed": used.changed, "programs": used.origin,
            "seconds": round(clock.elapsed(), 1), "budget_seconds": clock.seconds,
            "runs": arguments.runs, "iterations": arguments.iterations,
            "self_test": done.self_test, "calibrations": done.calibrations, "rows": done.rows,
            "graphs": done.graphs, "summary": done.summary()}


def print_result(result, path):
    print(table.rows_table(result["rows"]))
    print()
    print(table.shapes_table(result["summary"]))
    for row in result["graphs"]:
        if "gain" in row:
            print(f"\ngraphs, {row['shape']}, {row['schedule']}: "
                  f"{table.milliseconds(row['with_graphs_ns'])} ms with, "
                  f"{table.milliseconds(row['measured_ns'])} ms without "
                  f"({table.percent(row['gain'])})")
    summary = result["summary"]
    print(f"\n{summary['rows']} rows measured, {summary['failed']} failed, "
          f"{summary['left_out']} left out; mean absolute error "
          f"{100 * summary['mean_absolute_error']:.2f} %, worst "
          f"{table.percent(summary['worst_error'])}, memory "
          f"{table.percent(summary['memory_error'])}; {result['seconds']:.0f} s")
    for shape in summary["shapes"]:
        own = [row for row in result["rows"]
               if row["shape"] == shape["shape"] and row["status"] == "ok"]
        for fast, slow in table.inversions(own):
            print(f"inverted: {shape['shape']}: {fast} was predicted faster than {slow}, and was slower")
    for miss in summary["misses"]:
        print(f"missed: {miss}")
    print("passed" if summary["passed"] else "NOT passed")
    print(f"record: {path}")


def run(arguments, about, say):
    clock = budget.Budget(arguments.seconds)
    chosen = choose_shapes(arguments, machine.cores())
    used = get_programs(arguments, say, clock.limit(arguments.seconds))
    if arguments.backend == "cuda":
        about = {**about, "toolkit": used.toolkit, "nccl": machine.nccl_version()}
    work = pathlib.Path(arguments.work)
    work.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    path = arguments.record or (
        record.free_path(programs.ROOT / "tests" / "hardware", about["device"], now.date())
        if arguments.backend == "cuda" else programs.ROOT / "out" / "gpu-check-host.json")
    commands = steps.Commands(used.cli, arguments.backend, work,
                              programs.ROOT / "scenarios" / "hardware", arguments.gpus,
                              arguments.runs, arguments.iterations)

    def keep(done):
        record.write(work / "so-far.json", make_record(done, about, used, clock, now, arguments))

    done = check.Check(used, arguments.backend, chosen, commands, clock, programs.environment(),
                       say, keep)
    done.run()
    result = make_record(done, about, used, clock, now, arguments)
    record.write(path, result)
    print_result(result, path)
    return 0 if result["summary"]["passed"] else 1


def main(words):
    def say(text):
        print(text, file=sys.stderr, flush=True)

    arguments = parse(words)
    try:
        if arguments.pack:
            size = pack.make(arguments.pack, say)
            say(f"packed into {arguments.pack}: {size / 2**20:.1f} MiB")
            return 0
        if arguments.plan:
            print_plan(arguments, choose_shapes(arguments, machine.cores()))
            return 0
        about = machine.gpu() if arguments.backend == "cuda" else machine.host()
        return run(arguments, about, say)
    except machine.NoGpu as reason:
        say(f"gpu-check: error: {reason}\n"
            "hint: --backend host runs the same checks on the processor; DEVELOPERS.md says what to do where a GPU is")
    except (programs.CannotBuild, pack.PackError) as error:
        say(f"gpu-check: error: {error}")
    return 2
