"""GPT-like pipelines with offload against PipeOffload: tools/bench/offload_cases.py prints the table."""
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[3]


def offload(_run, arguments):
    print("\n## Offload: our search against PipeOffload at the same memory limits\n", flush=True)
    subprocess.run([sys.executable, str(ROOT / "tools/bench/offload_cases.py"), "--program", arguments.program,
                    "--budget", arguments.budget], check=True)
