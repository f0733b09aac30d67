"""Every row of every shape is a scenario that the program takes, with costs that are made up here.

STAGECRAFT_PROGRAM names the program.
"""
import os
import subprocess
import unittest

from support import ROOT
from hardware import host_check, shapes

PROGRAM = os.environ.get("STAGECRAFT_PROGRAM")
COSTS = ("time_unit=ms", "costs.forward=1", "costs.backward_input=1", "costs.backward_weight=1",
         "costs.offload=1")


def simulate(name, schedule, settings):
    words = [PROGRAM, "simulate", ROOT / "scenarios" / "hardware" / f"{name}.yaml", "--schedule",
             schedule]
    for setting in settings:
        words += ["--set", setting]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


@unittest.skipUnless(PROGRAM, "no program given")
class Scenarios(unittest.TestCase):
    def test_every_row_can_be_made(self):
        for table in shapes.SHAPES.values():
            for row in shapes.rows_of(table):
                with self.subTest(row.key):
                    done = simulate(row.shape.name, row.schedule,
                                    [f"schedule.kind={row.schedule}", *row.options,
                                     *row.shape.cuts[row.cut].settings, *COSTS])
                    self.assertEqual(done.returncode, 0, done.stderr)

    def test_only_costs_are_missing_for_a_calibration(self):
        for table in shapes.SHAPES.values():
            for shape in table:
                for cut in shape.cuts.values():
                    with self.subTest(f"{shape.name}/{cut.name}"):
                        done = simulate(shape.name, cut.schedule,
                                        [f"schedule.kind={cut.schedule}", *cut.settings])
                        self.assertEqual(done.stderr.count("error:"), 1, done.stderr)
                        self.assertIn("the costs are missing", done.stderr)

    def test_timed_rows(self):
        for row in host_check.all_rows([2, 4], [8]):
            with self.subTest(row.schedule):
                done = simulate("host-timed", row.schedule, row.settings())
                self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
