"""Runs `stagecraft search` and remembers what it printed, so that a suite can be interrupted and continued."""
import concurrent.futures
import hashlib
import json
import pathlib
import subprocess
import sys
import threading


class Runner:
    """Calls the program; every finished call is a line in `store` and is not made again."""

    def __init__(self, program, store, jobs):
        self.program = str(program)
        self.store = pathlib.Path(store)
        self.jobs = jobs
        self.done = {}
        self.lock = threading.Lock()
        self.version = hashlib.sha256(pathlib.Path(program).read_bytes()).hexdigest()[:16]
        if self.store.exists():
            for line in self.store.read_text().splitlines():
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue  # the last line of a run that was killed
                if record["version"] == self.version:
                    self.done[record["key"]] = record["result"]
        self.store.parent.mkdir(parents=True, exist_ok=True)

    def call(self, arguments, text=None):
        """The JSON that the program wrote for `arguments`; `text` is its standard input."""
        key = json.dumps([arguments, hashlib.sha256((text or "").encode()).hexdigest()])
        if key in self.done:
            return self.done[key]
        run = subprocess.run([self.program, *arguments], input=text, capture_output=True, text=True, check=False)
        if run.returncode == 0:
            result = json.loads(run.stdout)
        elif run.returncode == 3:
            result = {"infeasible": run.stderr.strip().splitlines()[0] if run.stderr.strip() else "infeasible"}
        else:
            sys.exit(f"{self.program} {' '.join(arguments)}\nfailed with exit status {run.returncode}:\n{run.stderr}")
        with self.lock:
            self.done[key] = result
            with self.store.open("a") as out:
                out.write(json.dumps({"version": self.version, "key": key, "result": result}) + "\n")
        return result

    def map(self, calls):
        """Results of (arguments, text) pairs in their order, `jobs` at a time, with progress on a terminal."""
        count = [0]

        def one(call):
            result = self.call(*call)
            with self.lock:
                count[0] += 1
                if sys.stderr.isatty():
                    print(f"\r{count[0]} of {len(calls)}", end="", file=sys.stderr, flush=True)
            return result

        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            results = list(pool.map(one, calls))
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        return results


def search(text, method, budget, objective="makespan", sets=(), options=()):
    """One call of the search command for a scenario given as text."""
    arguments = ["search", "-", "--method", method, "--budget", budget, "--threads", "1", "--objective", objective,
                 "--json", "-"]
    for given in sets:
        arguments += ["--set", given]
    for option in options:
        arguments += ["--option", option]
    return arguments, text


def value(result, objective="makespan"):
    """The best plan's time in ns, or None."""
    return None if "infeasible" in result else result[f"{objective}_ns"]


def table(title, head, rows, notes=()):
    """Prints a table with columns as wide as they need."""
    print(f"\n## {title}\n")
    cells = [head] + [[text(cell) for cell in row] for row in rows]
    widths = [max(len(row[k]) for row in cells) for k in range(len(head))]
    for i, row in enumerate(cells):
        print("| " + " | ".join(cell.rjust(width) if i and k else cell.ljust(width)
                                for k, (cell, width) in enumerate(zip(row, widths))) + " |")
        if i == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    for note in notes:
        print(f"\n{note}")


def text(cell):
    if cell is None:
        return "-"
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def percent(of, base):
    """How much `of` lies above `base`, in percent."""
    return None if of is None or not base else 100.0 * (of / base - 1.0)
