"""Runs the steps of a check within its budget and collects the record."""
import json
import math

from . import child, record, steps, table

ERROR_LIMIT = 0.05  # mean absolute error of the iteration time over the table
MEMORY_LIMIT = 0.05  # worst error of the peak memory
ROWS_PER_SHAPE = 12


def small(measurement):
    """A calibration's figures without its long lists."""
    return {key: value for key, value in measurement.items()
            if key not in ("ops", "costs", "scenario")}


class Check:
    def __init__(self, programs, backend, chosen, commands, budget, environment, say,
                 keep=lambda record: None):
        self._programs, self._backend, self._shapes = programs, backend, chosen
        self._commands, self._budget, self._environment = commands, budget, environment
        self._say, self._keep = say, keep
        self._needed = steps.calibrations(chosen)
        self._broken = {}  # calibration -> why
        self._calibrated = set()
        self.interrupted = False
        self.self_test, self.calibrations, self.rows, self.graphs = None, [], [], []

    def run(self):
        order = steps.in_order(self._backend, self._shapes)
        for number, (step, what) in enumerate(order, 1):
            if self.interrupted or not self._fits(step):
                self._leave_out(step, what)
                continue
            self._say(f"[{number}/{len(order)}, {self._budget.elapsed():.0f} s] {step.key}")
            try:
                self._run(step, what)
            except KeyboardInterrupt:
                self.interrupted = True
                self._leave_out(step, what)
            self._keep(self)

    def _missing(self, step):
        return [self._needed[key] for key in step.needs
                if key not in self._calibrated and key not in self._broken]

    def _fits(self, step):
        return self._budget.fits(step, *(entry[0] for entry in self._missing(step)))

    def _leave_out(self, step, what):
        needed = sum(self._budget.expected(one) for one in
                     (step, *(entry[0] for entry in self._missing(step))))
        why = "interrupted" if self.interrupted else (
            f"about {needed:.0f} s needed, {max(0, math.floor(self._budget.left()))} s left")
        if what is None:
            self.self_test = {"passed": False, "output": f"left out: {why}"}
        elif what[0] == "row":
            self.rows.append(record.failed_row(self._names(what[1]), why, "left out"))
        else:
            self.graphs.append(record.failed_row(self._names(what[1]), why, "left out"))

    def _run(self, step, what):
        for entry in self._missing(step):
            self._calibrate(*entry)
        if what is None:
            self._run_self_test(step)
        elif what[0] == "row":
            self.rows.append(self._row(step, what[1]))
            self._tell(self.rows[-1])
        else:
            self.graphs.append(self._without_graphs(step, what[1]))

    def _child(self, step, command):
        done = child.run(command, self._budget.limit(steps.LIMITS[step.kind]), self._environment)
        if done.ok:
            self._budget.learn(step, done.seconds)
        return done

    def _run_self_test(self, step):
        path = self._commands.result(step)
        path.unlink(missing_ok=True)
        done = self._child(step, [self._programs.self_test, "--json", path])
        lines = (done.out + done.err).splitlines()
        self.self_test = {"passed": done.ok, "seconds": round(done.seconds, 2),
                          "output": "\n".join(lines[-60:] if done.ok
                                              else [done.message(), *lines[-60:]])}
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            self.self_test.update(device=told["device"], seed=told["seed"],
                                  checks=len(told["checks"]),
                                  failed=[one["name"] for one in told["checks"]
                                          if not one["passed"]])
        except (OSError, ValueError, KeyError):
            pass  # its exit status and text must do
        self._say(f"  self-test {'passed' if done.ok else 'FAILED: ' + done.message()}")

    def _calibrate(self, step, shape, cut):
        done = self._child(step, self._commands.calibrate(shape, cut))
        entry = {"shape": shape.name, "cut": cut.name, "seconds": round(done.seconds, 2)}
        try:
            if not done.ok:
                raise ValueError(done.message())
            path = self._commands.measurement(shape, cut.name)
            entry["measurement"] = small(json.loads(path.read_text(encoding="utf-8")))
            self._calibrated.add(step.key)
            self._say(f"  calibrated {shape.name}, {cut.name}, in {done.seconds:.1f} s")
        except (OSError, ValueError) as error:
            entry["message"] = str(error)
            self._broken[step.key] = str(error)
            self._say(f"  calibration of {shape.name}, {cut.name}, failed: {error}")
        self.calibrations.append(entry)

    @staticmethod
    def _names(row):
        return {"shape": row.shape.name, "devices": row.shape.devices, "cut": row.cut,
                "schedule": row.label}

    def _row(self, step, row, graphs=True):
        names = self._names(row)
        for key in step.needs:
            if key in self._broken:
                return record.failed_row(names, f"not calibrated: {self._broken[key]}")
        path = self._commands.result(step)
        path.unlink(missing_ok=True)
        done = self._child(step, self._commands.execute(row, step, graphs))
        names["seconds"] = round(done.seconds, 2)
        if not done.ok:
            return record.failed_row(names, done.message())
        try:
            return record.done_row(names, json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, ZeroDivisionError) as error:
            return record.failed_row(names, f"no usable result: {type(error).__name__} {error}")

    def _without_graphs(self, step, row):
        entry = self._row(step, row, graphs=False)
        twin = [other for other in self.rows if other["status"] == "ok"
                and (other["shape"], other["schedule"]) == (entry["shape"], entry["schedule"])]
        if entry["status"] == "ok" and twin:
            entry["with_graphs_ns"] = twin[0]["measured_ns"]
            entry["gain"] = entry["measured_ns"] / twin[0]["measured_ns"] - 1.0
        return entry

    def _tell(self, row):
        if row["status"] == "ok":
            self._say(f"  predicted {table.milliseconds(row['predicted_ns'])} ms, measured "
                      f"{table.milliseconds(row['measured_ns'])} ms, error "
                      f"{table.percent(row['error'])}, memory {table.percent(row['memory_error'])}")
        else:
            self._say(f"  {row['status']}: {row['message']}")

    def summary(self):
        """The table's figures, and every miss in words."""
        figures = table.summarize(self.rows)
        misses = self._misses(figures)
        return {**figures, "passed": not misses, "misses": misses,
                "limits": {"mean_absolute_error": ERROR_LIMIT, "memory_error": MEMORY_LIMIT,
                           "rows_per_shape": ROWS_PER_SHAPE}}

    def _misses(self, figures):
        misses = []
        if self._backend == "cuda" and not (self.self_test or {}).get("passed"):
            misses.append("the gradient self-test did not pass")
        if self.interrupted:
            misses.append("interrupted")
        misses += [f"{row['shape']}, {row['schedule']}: {row['message']}" for row in self.rows
                   if row["status"] == "failed"]
        misses += [f"{row['shape']}, {row['schedule']}, without graphs: {row['message']}"
                   for row in self.graphs if row["status"] == "failed"]
        misses += [f"{shape['shape']}: {shape['rows']} schedules measured, {ROWS_PER_SHAPE} wanted"
                   for shape in figures["shapes"] if shape["rows"] < ROWS_PER_SHAPE]
        if figures["mean_absolute_error"] > ERROR_LIMIT:
            misses.append(f"mean absolute error {100 * figures['mean_absolute_error']:.2f} % "
                          f"above {100 * ERROR_LIMIT:.0f} %")
        if abs(figures["memory_error"]) > MEMORY_LIMIT:
            misses.append(f"memory error {table.percent(figures['memory_error'])} beyond "
                          f"{100 * MEMORY_LIMIT:.0f} %")
        return misses
