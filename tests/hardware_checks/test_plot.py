"""plots/predicted_measured.py: equal bytes for equal records, and the figures it prints."""
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

from support import ROOT

SCRIPT = ROOT / "plots" / "predicted_measured.py"


def example():
    rows = [{"shape": shape, "devices": 2, "cut": "loop", "schedule": name, "status": "ok",
             "predicted_ns": predicted, "measured_ns": measured}
            for shape, name, predicted, measured in (
                ("small", "1f1b", 1_000_000, 1_020_000), ("small", "zbv", 900_000, 891_000),
                ("large", "1f1b", 8_000_000, 8_000_000), ("large", "zbv", 7_000_000, 7_350_000))]
    rows.append({"shape": "large", "schedule": "gpipe", "status": "failed", "message": "no"})
    return {"tool": "host-check", "backend": "host", "date": "2026-01-02T03:04:05Z",
            "machine": {"device": "host", "processor": "x", "cores": 2}, "rows": rows}


class Plot(unittest.TestCase):
    def run_script(self, record, *words):
        with tempfile.TemporaryDirectory() as folder:
            path, out = pathlib.Path(folder) / "r.json", pathlib.Path(folder) / "p.svg"
            path.write_text(json.dumps(record), encoding="utf-8")
            done = subprocess.run([sys.executable, str(SCRIPT), str(path), "-o", str(out), *words],
                                  capture_output=True, text=True, timeout=100, check=False)
            return done, out.read_bytes() if out.exists() else None

    def test_figures(self):
        done, picture = self.run_script(example(), "--table")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIsNone(picture)
        self.assertIn("4 rows, mean absolute error 2.000 %, worst 5.000 %", done.stdout)
        self.assertRegex(done.stdout, r"zbv +\+2\.00 % +-1\.00 \.\. \+5\.00 %")
        self.assertNotIn("gpipe", done.stdout)

    @unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed")
    def test_equal_input_gives_equal_bytes(self):
        first, again = self.run_script(example())[1], self.run_script(example())[1]
        self.assertIsNotNone(first)
        self.assertEqual(first, again)
        self.assertIn(b"host backend, timed ops, 2 cores", first)

    def test_nothing_measured(self):
        record = example()
        record["rows"] = record["rows"][-1:]
        done, _ = self.run_script(record, "--table")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no row", done.stderr)


if __name__ == "__main__":
    unittest.main()
