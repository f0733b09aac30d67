"""What gpu-check runs: shapes of the model and pipeline, how they are cut for the schedules, rows.

A shape is one file of scenarios/hardware and stays one model whatever the cut: the same layers,
tokens and micro-batches, so that the times of all schedules of a shape can be ranked. A cut says
how its layers become stages (--set arguments) and is calibrated once for all its schedules.
"""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Cut:
    name: str
    schedule: str  # one that takes this cut, for the calibration
    settings: tuple = ()


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str  # of the file in scenarios/hardware
    devices: int
    cuts: dict  # name -> Cut
    row_seconds: float  # first guesses; the tool corrects them by what it sees
    calibration_seconds: float


@dataclasses.dataclass(frozen=True)
class Row:
    shape: Shape
    cut: str
    schedule: str  # as in `stagecraft list schedules`
    options: tuple = ()  # schedule.KEY=VALUE
    core: bool = True  # one of the twelve that every check must run

    @property
    def label(self):
        options = ", ".join(option.removeprefix("schedule.") for option in self.options)
        return f"{self.schedule} ({options})" if options else self.schedule

    @property
    def key(self):
        return f"{self.shape.name}/{self.cut}/{self.label}"


# The twelve that show most, in order of importance: every op kind, placement and mechanism.
CORE = [("loop", "1f1b", ()), ("loop", "zb-h1", ()), ("chunks", "interleaved", ()),
        ("vee", "zbv", ()), ("bidirectional", "chimera", ()), ("slices", "seq1f1b", ()),
        ("chunks", "pipeoffload", ()),
        ("chunks", "group-interleaved", ("schedule.recompute_chunks=1",)),
        ("loop", "gpipe", ()), ("bidirectional", "dualpipe", ()), ("vee", "v-half", ()),
        ("chunks", "interleaved-zb", ())]
MORE = [("loop", "zb-auto", ()), ("vee", "dualpipev", ()), ("slices", "terapipe", ()),
        ("loop", "zb-h2", ()), ("vee", "hanayo", ()), ("vee", "v-min", ()), ("vee", "v-flex", ()),
        ("chunks", "looped-bfs", ()), ("vee", "v-1f1b", ()), ("loop", "eager-1f1b", ()),
        ("chunks", "group-interleaved", ()), ("loop", "greedy", ())]
GRAPHS = ("1f1b", "zb-h1")  # run without graphs too, on the loop cut of one shape


def _cuts(chunks, bidirectional=(), slices=("pipeline.slices=4",)):
    """`chunks`: settings that cut the shape's layers into 2P stages."""
    two = ("pipeline.chunks=2", *chunks)
    cuts = [Cut("loop", "1f1b"), Cut("chunks", "interleaved", two), Cut("vee", "zbv", two),
            Cut("bidirectional", "chimera", bidirectional), Cut("slices", "seq1f1b", slices)]
    return {cut.name: cut for cut in cuts}


def _nested(lengths, microbatches):
    """The same slices in every micro-batch, as a value for execute.tokens."""
    return str([lengths] * microbatches).replace(" ", "")


SHAPES = {
    "cuda": [
        Shape("gpu-p4-heterogeneous", 4,
              _cuts(("execute.layers=[1,1,1,2,1,2,1,1]",
                     "execute.ffn=[8192,8192,8192,8192,6144,6144,6144,6144]")), 5.0, 8.0),
        Shape("gpu-p2-uniform", 2, _cuts(("execute.layers=1",)), 5.0, 8.0),
        # Later slices attend to more tokens: shorter ones take the same time.
        Shape("gpu-p8-uniform", 8,
              _cuts(("execute.layers=1",),
                    slices=("pipeline.slices=2",
                            f"execute.tokens={_nested([1088, 960], 16)}")), 6.0, 10.0),
    ],
    "host": [
        Shape("host-p2-uniform", 2, _cuts(("execute.layers=1",), slices=("pipeline.slices=2",)),
              3.0, 4.0),
        Shape("host-p2-heterogeneous", 2,
              _cuts(("execute.layers=[1,2,1,1]", "execute.ffn=[1024,1024,768,768]"),
                    slices=("pipeline.slices=2",)), 3.0, 4.0),
        Shape("host-p2-lengths", 2, _cuts(("execute.layers=1",), slices=("pipeline.slices=2",)),
              3.0, 4.0),
        Shape("host-p4-uniform", 4, _cuts(("execute.layers=1",), slices=("pipeline.slices=2",)),
              4.0, 6.0),
        Shape("host-p8-uniform", 8, _cuts(("execute.layers=1",), slices=("pipeline.slices=2",)),
              5.0, 8.0),
    ],
}


def shapes_of(backend, cores):
    """The shapes to check. On the host every device needs a core of its own."""
    shapes = SHAPES[backend]
    return [shape for shape in shapes if backend != "host" or shape.devices <= cores]


def rows_of(shapes):
    """All rows, most important first, the shapes in turn."""
    rows = [Row(shape, cut, schedule, options, core)
            for table, core in ((CORE, True), (MORE, False))
            for cut, schedule, options in table for shape in shapes]
    return [row for row in rows if row.cut in row.shape.cuts]
