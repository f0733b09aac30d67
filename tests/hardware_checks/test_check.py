"""The whole check against a stand-in for the program."""
import contextlib
import copy
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

from support import FAKE, ROOT, Clock, no_children
from hardware import (budget, check, check_record, child, gpu_check, machine, programs, shapes,
                      steps)

GPU = {"device": "NVIDIA Test 9", "driver": "1.2.3 (CUDA 13.0)", "gpus": 1, "toolkit": "13.0",
       "nccl": None}


class Folder(unittest.TestCase):
    in_process = True

    def setUp(self):
        if self.in_process:
            patch = no_children()
            patch.start()
            self.addCleanup(patch.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def environment(self, **more):
        return mock.patch.dict(os.environ, more)


class HostFlow(Folder):
    def run_tool(self, *words, status=None):
        path = self.folder / "host-stages.json"
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), \
                mock.patch.object(machine, "cores", return_value=2):
            real = gpu_check.main(["--backend", "host", "--program", str(FAKE), "--work",
                                   str(self.folder), "--record", str(path), *words])
        self.assertEqual(real, status, out.getvalue() + err.getvalue())
        return json.loads(path.read_text(encoding="utf-8")), out.getvalue()

    def test_everything_runs(self):
        value, out = self.run_tool(status=0)
        self.assertEqual(len(value["rows"]), 3 * (len(shapes.CORE) + len(shapes.MORE)))
        self.assertTrue(all(row["status"] == "ok" for row in value["rows"]))
        self.assertEqual(check_record.check(value), [])
        self.assertIn("passed\n", out)
        self.assertNotIn("ops", value["calibrations"][0]["measurement"])
        self.assertLess(abs(value["summary"]["memory_error"] - 0.01), 1e-9 + 0.001)

    def test_failures_are_rows(self):
        with self.environment(FAKE_FAIL="zbv", FAKE_GARBAGE="gpipe"):
            value, out = self.run_tool("--shapes", "host-p2-uniform", status=1)
        by_name = {row["schedule"]: row for row in value["rows"]}
        self.assertIn("CUDA_ERROR_ILLEGAL_ADDRESS", by_name["zbv"]["message"])
        self.assertIn("no usable result", by_name["gpipe"]["message"])
        self.assertEqual(by_name["1f1b"]["status"], "ok")
        self.assertEqual(check_record.check(value), [])
        self.assertIn("missed: host-p2-uniform, zbv", out)

    def test_a_broken_calibration_costs_its_rows_only(self):
        with self.environment(FAKE_NO_CALIBRATION="schedule.kind=zbv"):
            value, _ = self.run_tool("--shapes", "host-p2-uniform", status=1)
        for row in value["rows"]:
            self.assertEqual(row["status"], "failed" if row["cut"] == "vee" else "ok")
        broken = [entry for entry in value["calibrations"] if "message" in entry]
        self.assertEqual(len(broken), 1)

    def test_a_small_budget_leaves_rows_out(self):
        value, out = self.run_tool("--budget", "5s", status=1)
        left_out = [row for row in value["rows"] if row["status"] == "left out"]
        self.assertTrue(left_out)
        self.assertEqual(len(value["rows"]), 3 * (len(shapes.CORE) + len(shapes.MORE)))
        self.assertIn("schedules measured, 12 wanted", out)
        self.assertEqual(check_record.check(value), [])


class Children(Folder):
    in_process = False

    def test_a_row_that_hangs_is_stopped_with_its_children(self):
        chosen = shapes.shapes_of("host", 2)[:1]
        used = programs.Programs(FAKE, None, "given", "0" * 40, False)
        commands = steps.Commands(FAKE, "host", self.folder, ROOT / "scenarios" / "hardware")
        order = steps.in_order("host", chosen)[:2]
        with self.environment(FAKE_HANG="1f1b"), \
                mock.patch.object(steps, "in_order", return_value=order), \
                mock.patch.dict(steps.LIMITS, {"row": 2.0}):
            done = check.Check(used, "host", chosen, commands, budget.Budget(300.0),
                               dict(os.environ), lambda text: None)
            done.run()
        self.assertIn("its time limit", done.rows[0]["message"])
        self.assertEqual(done.rows[0]["status"], "failed")
        # On a machine so busy that the stand-in takes 2 s this would be a timeout as well.
        self.assertEqual(len(done.rows), 2)

    def test_what_cannot_be_started(self):
        done = child.run([self.folder / "nonesuch"], 5)
        self.assertFalse(done.ok)
        self.assertIn("nonesuch", done.message())

    def test_a_signal_is_named(self):
        done = child.run(["/bin/sh", "-c", "kill -SEGV $$"], 5)
        self.assertIn("SIGSEGV", done.message())


class GpuFlow(Folder):
    """What a machine with a GPU would do, the programs replaced."""

    def record(self, clock=None, self_test="/bin/true"):
        used = programs.Programs(FAKE, self_test, "packed", "0" * 40, False, "13.0")
        arguments = gpu_check.parse(["--work", str(self.folder)])
        chosen = shapes.shapes_of("cuda", 1)
        clock = clock or budget.Budget(arguments.seconds)
        commands = steps.Commands(FAKE, "cuda", self.folder, ROOT / "scenarios" / "hardware")
        done = check.Check(used, "cuda", chosen, commands, clock, dict(os.environ),
                           lambda text: None)
        done.run()
        return gpu_check.make_record(done, GPU, used, clock, gpu_check.datetime.datetime(2026, 1, 2),
                                     arguments)

    def test_record(self):
        value = self.record()
        self.assertEqual(check_record.check(value, "nvidia-test-9-2026-01-02.json"), [])
        self.assertTrue(value["summary"]["passed"], value["summary"]["misses"])
        self.assertEqual([entry["schedule"] for entry in value["graphs"]], list(shapes.GRAPHS))
        for entry in value["graphs"]:
            self.assertAlmostEqual(entry["gain"], 0.1, places=3)

    def test_wrong_gradients_fail_the_check(self):
        value = self.record(self_test="/bin/false")
        self.assertFalse(value["summary"]["passed"])
        self.assertIn("the gradient self-test did not pass", value["summary"]["misses"])

    def test_no_time_at_all(self):
        clock = Clock()
        late = budget.Budget(10.0, clock)
        clock.now += 20
        value = self.record(late)
        self.assertTrue(all(row["status"] == "left out" for row in value["rows"]))
        self.assertFalse(value["self_test"]["passed"])
        self.assertEqual(value["calibrations"], [])

    def test_faults_are_found(self):
        value = self.record()
        name = "nvidia-test-9-2026-01-02.json"
        changes = [lambda v: v.pop("commit"), lambda v: v["rows"][0].update(error=0.5),
                   lambda v: v["rows"].pop(), lambda v: v["summary"].update(worst_error=0.0),
                   lambda v: v["summary"].update(passed=False), lambda v: v.update(rows=[]),
                   lambda v: v["machine"].pop("driver"), lambda v: v.update(commit="HEAD"),
                   lambda v: v["rows"][0].pop("measured_ns"), lambda v: v.update(format=99),
                   lambda v: v["rows"][3].update(status="fine"),
                   lambda v: v["summary"]["shapes"][0].update(inverted=-1),
                   lambda v: v["machine"].update(device="NVIDIA Other")]
        for number, change in enumerate(changes):
            broken = copy.deepcopy(value)
            change(broken)
            self.assertTrue(check_record.check(broken, name), f"change {number} went unseen")


class WithoutGpu(Folder):
    def test_says_so_and_exits_2(self):
        words = [sys.executable, str(ROOT / "tools" / "gpu-check"), "--work", str(self.folder)]
        with mock.patch.object(machine, "_library", return_value=None):
            with self.assertRaises(machine.NoGpu) as caught:
                machine.gpu()
        self.assertIn("libcuda.so.1", str(caught.exception))
        try:
            machine.gpu()
        except machine.NoGpu as reason:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 2)
            self.assertIn(f"gpu-check: error: {reason}", done.stderr)
            self.assertIn("--backend host", done.stderr)
            self.assertEqual(done.stdout, "")
        else:
            self.skipTest("this machine has a GPU")

    def test_plan_needs_none(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            self.assertEqual(gpu_check.main(["--plan"]), 0)
        self.assertIn("gpu-p8-uniform/chunks/pipeoffload", out.getvalue())

    def test_wrong_words(self):
        for words in (["--budget", "soon"], ["--runs", "0"], ["--program", "x"], ["--backend", "x"]):
            with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
                gpu_check.main(words)
            self.assertEqual(caught.exception.code, 2)
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(gpu_check.main(["--plan", "--shapes", "nonesuch"]), 2)

    def test_nccl_code(self):
        self.assertEqual(machine.decode_nccl(22803), "2.28.3")


if __name__ == "__main__":
    unittest.main()
