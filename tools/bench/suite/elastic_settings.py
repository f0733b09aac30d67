"""What the comparison of elastic with its baselines hangs on: the layout, the tokens of a batch, hidden communication."""
from . import elastic, runner

LAYOUTS = ((32, 1), (16, 2), (8, 4), (4, 8), (2, 16), (1, 32))  # stages, Ulysses degree
PIPELINED = ("elastic", "1f1b", "seq1f1b", "slimpipe", "terapipe", "dynapipe", "chunkflow")
GROUPED = ("flexsp", "deepspeed", "megatron")


def layouts(run, arguments):
    """Every strategy with a pipeline in every layout of 32 GPUs; the others choose their own degrees anyway."""
    iterations = min(arguments.iterations, 5)
    rows, notes = [], []
    for model, context, corpus in (("llama-7b", "48K", "commoncrawl"), ("llama-13b", "96K", "github"),
                                   ("llama-30b", "96K", "commoncrawl")):
        calls = [elastic.compare(elastic.scenario(model, context, corpus, iterations=iterations, pipeline=stages, ulysses=degree),
                                 PIPELINED) for stages, degree in LAYOUTS]
        times = [elastic.means(result) for result in run.map(calls)]
        for (stages, degree), time in zip(LAYOUTS, times):
            rows.append([f"{model} {corpus} {context}", f"{stages} x {degree}", *(time.get(name) for name in PIPELINED)])
        given = elastic.means(run.call(*elastic.compare(elastic.scenario(model, context, corpus, iterations=iterations),
                                                        ("best", *GROUPED))))
        fastest = {name: min((time[name] for time in times if name in time), default=None) for name in PIPELINED}
        named = ", ".join(f"{name} {value:.2f} s" for name, value in {**fastest, **given}.items() if value)
        notes.append(f"{model} {corpus} {context}, each in its best layout: {named}")
    runner.table("Strategies with a pipeline by layout (stages x Ulysses), iteration in s",
                 ["setting", "layout", *PIPELINED], rows, ["  \n".join(notes)])


def tokens(run, arguments):
    """More sequences per batch: pipelines fill and drain once per batch, groups of GPUs gather once per round."""
    names = ("elastic", "best", *GROUPED, "seq1f1b")
    rows = []
    for model, batches in (("llama-7b", (512, 1024, 2048)), ("llama-13b", (512, 1024, 2048))):
        results = run.map([elastic.compare(elastic.scenario(model, batch=batch, iterations=min(arguments.iterations, 3)), names)
                           for batch in batches])
        for batch, result in zip(batches, results):
            time = elastic.means(result)
            one = elastic.figures(result, "elastic")
            rows.append([model, batch, one.get("tokens_per_second", 0) * time.get("elastic", 0) / 1e6, time.get("elastic"),
                         *(elastic.ratio(time.get(name), time.get("elastic")) for name in names[1:])])
    runner.table("Tokens of a batch, commoncrawl 48K: times over elastic's",
                 ["model", "sequences", "M tokens", "elastic s", *names[1:]], rows)


def overlap(run, arguments):
    """Communication that hides behind computation, as real systems do for gathered parameters and ring exchange."""
    names = ("elastic", "best", *GROUPED, "seq1f1b")
    rows = []
    for model in elastic.MODELS:
        for share in (0, 0.5, 1):
            constants = [("overlap", f"{{parameters: {share}, exchange: {share}}}")]
            time = elastic.means(run.call(*elastic.compare(
                elastic.scenario(model, profile=constants, iterations=min(arguments.iterations, 5)), names)))
            rows.append([model, share, time.get("elastic"),
                         *(elastic.ratio(time.get(name), time.get("elastic")) for name in names[1:])])
    runner.table("Share of hidden communication (parameters and ring exchange), commoncrawl 48K: times over elastic's",
                 ["model", "share", "elastic s", *names[1:]], rows,
                 ["Share 0 is what the fits and the paper's equations add up; 1 hides all that fits behind computation."])
