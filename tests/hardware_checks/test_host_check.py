"""tools/host-check against a stand-in for the program."""
import contextlib
import io
import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from support import FAKE, no_children
from hardware import check_record, host_check


class HostCheck(unittest.TestCase):
    def run_tool(self, *words, status, **environment):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "record.json"
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
                    no_children(), mock.patch.dict(os.environ, environment):
                real = host_check.main(["--program", str(FAKE), "--record", str(path), *words])
            self.assertEqual(real, status, out.getvalue() + err.getvalue())
            return json.loads(path.read_text(encoding="utf-8")), out.getvalue()

    def test_every_schedule_is_in_the_table(self):
        rows = host_check.all_rows([2, 4, 8, 16], [8, 16, 64])
        self.assertEqual(len(rows), 23 * 12)
        self.assertEqual(len({(row.devices, row.microbatches, row.schedule) for row in rows}),
                         len(rows))

    def test_quick(self):
        value, out = self.run_tool("--quick", status=0)
        self.assertEqual(check_record.check(value), [])
        self.assertEqual(len(value["rows"]), 23 * 2)
        self.assertEqual(value["timer"], {"median_ns": 3000, "p99_ns": 9000})
        self.assertIn("timer: median 3.0 us, p99 9.0 us", out)
        self.assertIn("p4-m8", out)

    def test_one_row_above_the_limit_misses_in_the_full_table(self):
        value, out = self.run_tool("--devices", "2", "--microbatches", "8", status=1)
        worst = abs(value["summary"]["worst_error"])
        self.assertGreater(worst, host_check.LIMIT)
        self.assertIn("above 2 %", out)
        self.assertEqual(value["summary"]["above_limit"],
                         sum(abs(row["error"]) > 0.02 for row in value["rows"]))

    def test_refused_is_not_failed(self):
        value, out = self.run_tool("--quick", status=0, FAKE_REFUSE="dualpipe")
        refused = [row for row in value["rows"] if row["status"] == "refused"]
        self.assertEqual({row["schedule"] for row in refused}, {"dualpipe"})
        self.assertIn("needs more micro-batches", out)
        self.assertEqual(value["summary"]["failed"], 0)

    def test_a_crash_costs_one_row(self):
        value, _ = self.run_tool("--quick", status=1, FAKE_CRASH="zbv")
        failed = [row for row in value["rows"] if row["status"] != "ok"]
        self.assertEqual({row["schedule"] for row in failed}, {"zbv"})
        self.assertEqual({row["status"] for row in failed}, {"failed"})
        self.assertIn("SIGSEGV", failed[0]["message"])

    def test_measured_again(self):
        value, out = self.run_tool("--devices", "2", "--microbatches", "8", "--again", "2", status=1)
        again = [row for row in value["rows"] if "attempts" in row]
        self.assertTrue(again)
        self.assertTrue(all(len(row["attempts"]) == 3 for row in again))
        self.assertEqual(len(again), value["summary"]["above_limit_at_first"])
        self.assertIn(f"{len(again)} rows measured again", out)
        self.assertEqual(check_record.check(value), [])

    def test_failed_is_failed(self):
        value, _ = self.run_tool("--quick", status=1, FAKE_FAIL="hanayo")
        self.assertEqual(value["summary"]["failed"], 2)
        self.assertEqual(check_record.check(value), [])


if __name__ == "__main__":
    unittest.main()
