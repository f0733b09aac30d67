"""All schedules on the host backend with timed ops, against the prediction: see tools/host-check."""
import argparse
import dataclasses
import datetime
import json
import pathlib
import statistics
import sys
import tempfile

from . import budget, child, machine, programs, record, table

LIMIT = 0.02  # error of the iteration time
ROW_LIMIT = 60.0  # seconds of one row
CUTS = {
    "loop": (("gpipe", "1f1b", "eager-1f1b", "zb-h1", "zb-h2", "zb-auto", "greedy"), ()),
    "chunks": (("interleaved", "looped-bfs", "interleaved-zb", "group-interleaved", "pipeoffload"),
               ("pipeline.chunks=2",)),
    "vee": (("zbv", "v-half", "v-min", "v-flex", "v-1f1b", "dualpipev", "hanayo"),
            ("pipeline.chunks=2",)),
    "bidirectional": (("chimera", "dualpipe"), ()),
    # Two slices of a micro-batch share its duration, so that ops stay at 1 ms and above.
    "slices": (("seq1f1b", "terapipe"),
               ("pipeline.slices=2", "costs.forward=2", "costs.backward_input=2.4",
                "costs.backward_weight=2.2")),
}
EPILOG = """\
Runs scenarios/hardware/host-timed.yaml on threads whose ops wait for as long as the scenario says
(none shorter than 1 ms) and prints the error of the measured iteration time for every schedule.

Exit status: 0 every row within 2 % (--quick: 2 % on average); 1 not so, or a row failed; 2 no
program or a wrong command line.
"""


@dataclasses.dataclass(frozen=True)
class Row:
    devices: int
    microbatches: int
    cut: str
    schedule: str

    def settings(self):
        return (f"pipeline.devices={self.devices}", f"pipeline.microbatches={self.microbatches}",
                *CUTS[self.cut][1])

    def names(self):
        return {"shape": f"p{self.devices}-m{self.microbatches}", "devices": self.devices,
                "microbatches": self.microbatches, "cut": self.cut, "schedule": self.schedule}


def all_rows(devices, microbatches):
    return [Row(p, m, cut, schedule) for p in devices for m in microbatches
            for cut, (schedules, _) in CUTS.items() for schedule in schedules]


class Runner:
    """Runs rows: all schedules of a cut in one process, singly where that process fails."""

    def __init__(self, cli, scenario, arguments, folder):
        self._cli, self._scenario, self._arguments = cli, scenario, arguments
        self._path = pathlib.Path(folder) / "result.json"
        self.timers = []

    def measure(self, rows):
        """The record's rows. `rows` differ only in the schedule."""
        names = [row.schedule for row in rows]
        done, value = self._execute(rows[0], ["--schedules", ",".join(names)], len(rows))
        results = {result.get("schedule"): result for result in (value or {}).get("results", [])}
        if all(name in results for name in names):
            share = round(done.seconds / len(rows), 2)
            return [self._row(row, results[row.schedule], done, share) for row in rows]
        return [self._single(row) for row in rows]

    def again(self, rows, measured):
        """Rows above the limit once more, as often as asked; the one nearest to its prediction
        counts, and 'attempts' keeps the errors of all."""
        best = []
        for row, first in zip(rows, measured):
            attempts = [first]
            while (first["status"] == "ok" and len(attempts) <= self._arguments.again
                   and min(abs(one["error"]) for one in attempts) > LIMIT):
                once_more = self._single(row)
                if once_more["status"] != "ok":
                    attempts = [once_more]
                    break
                attempts.append(once_more)
            if len(attempts) > 1:
                errors = [one["error"] for one in attempts]
                attempts = [{**min(attempts, key=lambda one: abs(one["error"])),
                             "attempts": errors}]
            best.append(attempts[0])
        return best

    def _execute(self, row, schedules, count):
        self._path.unlink(missing_ok=True)
        settings = [word for given in row.settings() for word in ("--set", given)]
        first = ["chrt", "--rr", "10"] if self._arguments.real_time else []
        done = child.run([*first, self._cli, "execute", self._scenario, "--backend", "host", "--body",
                          self._arguments.body, *schedules, "--runs", self._arguments.runs,
                          "--iterations", self._arguments.iterations, "--json", self._path,
                          *settings], ROW_LIMIT * count)
        try:
            return done, json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return done, None

    def _single(self, row):
        done, value = self._execute(row, ["--schedule", row.schedule], 1)
        return self._row(row, value, done, round(done.seconds, 2))

    def _row(self, row, result, done, seconds):
        names = {**row.names(), "seconds": seconds}
        if result is None:
            return record.failed_row(names, *self._why(row, done))
        if "timer" in result:
            self.timers.append(result["timer"])
        if not result["predicted"].get("feasible"):
            return record.failed_row(names, problem(result["predicted"]), "refused")
        if "comparison" not in result:
            return record.failed_row(names, problem(result.get("measured", {})))
        try:
            return record.done_row(names, result)
        except (KeyError, ZeroDivisionError) as error:
            return record.failed_row(names, f"no usable result: {type(error).__name__} {error}")

    def _why(self, row, done):
        """(message, status): what the simulator refuses as well is refused, not failed."""
        settings = [word for given in row.settings() for word in ("--set", given)]
        simulated = child.run([self._cli, "simulate", self._scenario, "--schedule", row.schedule,
                               *settings], ROW_LIMIT)
        if done.ok:
            return "no usable result", "failed"
        refused = not done.timed_out and not simulated.ok and not simulated.timed_out
        return done.message(), "refused" if refused else "failed"


def problem(side):
    """The first problem of a result that did not run."""
    for one in side.get("problems", []):
        return one if isinstance(one, str) else one.get("message", str(one))
    return "it did not run, and says not why"


def groups(rows):
    """Rows that one process can run, in order."""
    together = {}
    for row in rows:
        together.setdefault((row.devices, row.microbatches, row.cut), []).append(row)
    return list(together.values())


def summarize(rows, judge):
    """Figures, and what misses the limit of `judge` ("worst" or "mean")."""
    figures = table.summarize(rows)
    misses = [f"{row['shape']}, {row['schedule']}: {row['message']}" for row in rows
              if row["status"] == "failed"]
    above = [row for row in rows if row["status"] == "ok" and abs(row["error"]) > LIMIT]
    if judge == "worst":
        misses += [f"{row['shape']}, {row['schedule']}: error {table.percent(row['error'])}"
                   for row in above]
    elif figures["mean_absolute_error"] > LIMIT:
        misses.append(f"mean absolute error {100 * figures['mean_absolute_error']:.2f} %")
    if figures["rows"] == 0:
        misses.append("nothing was measured")
    first = [row["attempts"][0] if "attempts" in row else row["error"] for row in rows
             if row["status"] == "ok"]
    return {**figures, "above_limit": len(above),
            "above_limit_at_first": sum(abs(error) > LIMIT for error in first),
            "mean_absolute_error_at_first": table.mean(map(abs, first)), "passed": not misses, "misses": misses,
            "limits": {"error": LIMIT, "judged": judge}}


def matrix(rows):
    """Errors by schedule (down) and shape (across)."""
    columns = list(dict.fromkeys(row["shape"] for row in rows))
    lines = {}
    for row in rows:
        text = (f"{100 * row['error']:+.2f}" if row["status"] == "ok"
                else "-" if row["status"] == "refused" else row["status"])
        lines.setdefault(row["schedule"], {})[row["shape"]] = text
    body = [[name, *(cells.get(column, "") for column in columns)]
            for name, cells in lines.items()]
    return table.render(["error of iteration, %", *columns, ""], [[*line, ""] for line in body])


def parse(words):
    parser = argparse.ArgumentParser(prog="host-check", epilog=EPILOG,
                                     description="Predicted against measured times, timed ops.",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="P = 2, 4 and M = 8 only")
    parser.add_argument("--devices", default="2,4,8,16", help="numbers P (default 2,4,8,16)")
    parser.add_argument("--microbatches", default="8,16,64", help="numbers M (default 8,16,64)")
    parser.add_argument("--body", choices=["sleep", "busy"], default="sleep")
    parser.add_argument("--real-time", action="store_true",
                        help="give the threads real-time priority (as root), so that other work of "
                             "a busy machine does not delay them")
    parser.add_argument("--again", type=int, default=0, metavar="N",
                        help="measure rows above 2 %% up to N times more, for a machine with other "
                             "work; the record keeps every error")
    parser.add_argument("--runs", type=int, default=1, help="after a warm-up run (default 1)")
    parser.add_argument("--iterations", type=int, default=3, help="of a run (default 3)")
    parser.add_argument("--record", default=str(programs.ROOT / "out" / "host-check.json"),
                        metavar="FILE")
    parser.add_argument("--program", help="use this stagecraft and build nothing")
    chosen = parser.parse_args(words)
    try:
        chosen.devices = [int(text) for text in ("2,4" if chosen.quick else chosen.devices).split(",")]
        chosen.microbatches = [int(text) for text in
                               ("8" if chosen.quick else chosen.microbatches).split(",")]
    except ValueError:
        parser.error("--devices and --microbatches take whole numbers with commas between")
    return chosen


def print_result(result, path):
    rows, summary = result["rows"], result["summary"]
    print(matrix(rows))
    print()
    print(table.shapes_table(summary))
    refusals = [row for row in rows if row["status"] == "refused"]
    if refusals:
        print(f"\n{len(refusals)} combinations that a schedule does not take, first of all "
              f"{refusals[0]['schedule']} at {refusals[0]['shape']}: {refusals[0]['message']}")
    for row in sorted(rows, key=lambda row: -abs(row.get("error") or 0)):
        if row["status"] == "ok" and abs(row["error"]) > LIMIT:
            print(f"above {100 * LIMIT:.0f} %: {row['shape']}, {row['schedule']}: "
                  f"{table.percent(row['error'])}")
    if result["timer"]:
        print("timer: " + ", ".join(f"{name.removesuffix('_ns').replace('_', ' ')} "
                                    f"{value / 1000:.1f} us"
                                    for name, value in result["timer"].items()))
    print(f"{summary['rows']} rows, {summary['failed']} failed; error of the iteration time: mean "
          f"{100 * summary['mean_absolute_error']:.3f} %, worst "
          f"{table.percent(summary['worst_error'])}, {summary['above_limit']} above "
          f"{100 * LIMIT:.0f} %; {result['seconds']:.0f} s")
    again = sum("attempts" in row for row in rows)
    if again:
        print(f"{again} rows measured again; at first: mean "
              f"{100 * summary['mean_absolute_error_at_first']:.3f} %, "
              f"{summary['above_limit_at_first']} above {100 * LIMIT:.0f} %")
    print("passed" if summary["passed"] else "NOT passed")
    print(f"record: {path}")


def main(words):
    def say(text):
        print(text, file=sys.stderr, flush=True)

    arguments = parse(words)
    clock = budget.Budget(3600)
    try:
        commit, changed = programs.commit_of()
        changed = changed or bool(arguments.program)  # nothing tells what that was made from
        cli = (pathlib.Path(arguments.program).resolve() if arguments.program
               else programs.build("host", 3600, say).cli)
    except programs.CannotBuild as error:
        say(f"host-check: error: {error}")
        return 2
    scenario = programs.ROOT / "scenarios" / "hardware" / "host-timed.yaml"
    rows, done = all_rows(arguments.devices, arguments.microbatches), []
    now = datetime.datetime.now(datetime.timezone.utc)
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(cli, scenario, arguments, folder)
        for group in groups(rows):
            done += runner.again(group, runner.measure(group))
            say(f"[{len(done)}/{len(rows)}, {clock.elapsed():.0f} s] {group[0].names()['shape']}, "
                f"{group[0].cut}: " + ", ".join(
                    table.percent(row["error"]) if row["status"] == "ok" else row["status"]
                    for row in done[-len(group):]))
    result = {"format": record.FORMAT, "tool": "host-check", "backend": "host",
              "body": arguments.body, "real_time": arguments.real_time, "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
              "machine": machine.host(), "commit": commit, "changed": changed,
              "programs": "given" if arguments.program else "built",
              "seconds": round(clock.elapsed(), 1), "runs": arguments.runs,
              "iterations": arguments.iterations, "timer": timer(runner.timers), "rows": done,
              "summary": summarize(done, "mean" if arguments.quick else "worst")}
    record.write(arguments.record, result)
    print_result(result, arguments.record)
    return 0 if result["summary"]["passed"] else 1


def timer(timers):
    """The timer's errors, measured by every process: the median of each figure."""
    return {name: round(statistics.median(one[name] for one in timers))
            for name in (timers[0] if timers else {})}
