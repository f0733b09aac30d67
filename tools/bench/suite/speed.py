"""How search throughput grows with threads, and the benchmarks of the inner loop."""
import pathlib
import subprocess

from . import adaptis, runner

ROOT = pathlib.Path(__file__).resolve().parents[3]


def threads(run, arguments):
    """Evaluations a second on one and on two threads, one after the other."""
    text = (ROOT / "scenarios/nemotron-nano-v2-9b.yaml").read_text()
    out = []
    for count in ("1", "2"):
        call, given = runner.search(text, "stagecraft", arguments.budget, sets=adaptis.OPEN)
        call[call.index("--threads") + 1] = count
        result = run.call(call, given)
        out.append([count, result["evaluated"], result["seconds"], result["evaluated"] / result["seconds"]])
    runner.table("Search throughput", ["threads", "evaluated", "seconds", "evaluated / s"], out,
                 [f"2 threads / 1 thread: {out[1][3] / out[0][3]:.2f}"])


def inner_loop(_run, arguments):
    """Google Benchmark's own table."""
    program = pathlib.Path(arguments.program).with_name("stagecraft_bench")
    print("\n## Inner loop: single-op moves and full replays\n", flush=True)
    subprocess.run([str(program), "--benchmark_filter=order|incremental|replay_order"], check=True,
                   stderr=subprocess.DEVNULL)
