"""The steps of a check: which there are, in which order, and the commands they run."""
import pathlib

from . import shapes
from .budget import Step

SELF_TEST = Step("self-test", "self-test", 15.0)
# No child may take longer, whatever time is left (seconds).
LIMITS = {"self-test": 120.0, "calibration": 90.0, "row": 45.0}


def calibration_key(shape, cut):
    return f"calibration/{shape.name}/{cut}"


def calibrations(chosen):
    """key -> (Step, Shape, Cut)"""
    return {calibration_key(shape, name):
            (Step(calibration_key(shape, name), "calibration", shape.calibration_seconds), shape,
             cut) for shape in chosen for name, cut in shape.cuts.items()}


def row_step(row, suffix=""):
    return Step(row.key + suffix, "row", row.shape.row_seconds,
                (calibration_key(row.shape, row.cut),))


def graph_rows(chosen):
    """What runs with graphs and without: the loop cut of the first shape."""
    if not chosen:
        return []
    return [shapes.Row(chosen[0], "loop", schedule) for schedule in shapes.GRAPHS]


def in_order(backend, chosen):
    """[(Step, what)]: what is None for the self-test, else ("row" | "no-graphs", Row)."""
    rows = shapes.rows_of(chosen)
    core = [(row_step(row), ("row", row)) for row in rows if row.core]
    more = [(row_step(row), ("row", row)) for row in rows if not row.core]
    if backend != "cuda":
        return core + more
    graphs = [(row_step(row, "/no-graphs"), ("no-graphs", row)) for row in graph_rows(chosen)]
    return [(SELF_TEST, None), *core, *graphs, *more]


class Commands:
    """Command lines of the program, and where the files between them lie."""

    def __init__(self, cli, backend, work, scenarios, gpus="auto", runs=3, iterations=3):
        self._cli, self._backend, self._work = cli, backend, pathlib.Path(work)
        self._scenarios, self._gpus = pathlib.Path(scenarios), gpus
        self._runs, self._iterations = runs, iterations

    def calibrated(self, shape, cut):
        return self._work / f"{shape.name}-{cut}.yaml"

    def measurement(self, shape, cut):
        return self._work / f"{shape.name}-{cut}-measurement.json"

    def result(self, step):
        return self._work / (step.key.replace("/", "_").replace(" ", "_") + ".json")

    def calibrate(self, shape, cut):
        settings = [f"schedule.kind={cut.schedule}", *cut.settings]
        return [self._cli, "calibrate", self._scenarios / f"{shape.name}.yaml", "--device",
                self._backend, "--out", self.calibrated(shape, cut.name), "--json",
                self.measurement(shape, cut.name), *self._set(settings)]

    def execute(self, row, step, graphs=True):
        settings = [f"schedule.kind={row.schedule}", *row.options]
        command = [self._cli, "execute", self.calibrated(row.shape, row.cut), "--backend",
                   self._backend, "--schedule", row.schedule, "--runs", self._runs, "--iterations",
                   self._iterations, "--watchdog", "10s", "--json", self.result(step),
                   *self._set(settings)]
        if self._backend == "host":
            command += ["--body", "stage"]
        else:
            command += ["--gpus", self._gpus, *([] if graphs else ["--no-graphs"])]
        return command

    @staticmethod
    def _set(settings):
        return [word for setting in settings for word in ("--set", setting)]
