"""Planning within a time budget, and what is learnt while it passes."""
import unittest

from support import Clock
from hardware import shapes, steps
from hardware.budget import Budget, Step, parse_duration, plan


class Durations(unittest.TestCase):
    def test_units(self):
        for text, seconds in (("8m", 480), ("90s", 90), ("90", 90), ("1.5h", 5400), (" 2 m ", 120)):
            self.assertEqual(parse_duration(text), seconds)

    def test_nonsense(self):
        for text in ("", "m", "-3s", "0", "8 minutes", "1e3"):
            with self.assertRaises(ValueError):
                parse_duration(text)


class Planning(unittest.TestCase):
    needed = {"c": Step("c", "calibration", 4.0)}

    def test_a_need_is_paid_once(self):
        rows = [Step(str(i), "row", 3.0, ("c",)) for i in range(4)]
        chosen, left_out, used = plan(rows, self.needed, 10.0)
        self.assertEqual([step.key for step in chosen], ["c", "0", "1"])
        self.assertEqual([step.key for step in left_out], ["2", "3"])
        self.assertEqual(used, 10.0)

    def test_no_calibration_without_a_row(self):
        chosen, left_out, used = plan([Step("0", "row", 3.0, ("c",))], self.needed, 6.0)
        self.assertEqual((chosen, used), ([], 0.0))
        self.assertEqual(len(left_out), 1)

    def test_a_shorter_later_step_may_still_fit(self):
        rows = [Step("long", "row", 9.0), Step("short", "row", 1.0)]
        chosen, left_out, _ = plan(rows, {}, 5.0)
        self.assertEqual([step.key for step in chosen], ["short"])
        self.assertEqual([step.key for step in left_out], ["long"])


class Passing(unittest.TestCase):
    def test_estimates_follow_what_was_seen(self):
        clock = Clock()
        budget = Budget(100.0, clock)
        row = Step("a", "row", 10.0)
        self.assertEqual(budget.expected(row), 10.0)
        budget.learn(row, 20.0)
        self.assertEqual(budget.expected(row), 20.0)
        budget.learn(row, 10.0)
        self.assertEqual(budget.expected(row), 15.0)
        self.assertEqual(budget.expected(Step("b", "calibration", 10.0)), 10.0)

    def test_what_fits(self):
        clock = Clock()
        budget = Budget(30.0, clock)
        row = Step("a", "row", 10.0)
        clock.now += 15
        self.assertTrue(budget.fits(row))
        self.assertFalse(budget.fits(row, row))
        self.assertEqual(budget.limit(45.0), 15.0)
        self.assertEqual(budget.limit(5.0), 5.0)
        clock.now += 20
        self.assertEqual(budget.limit(45.0), 1.0)


class TheCheck(unittest.TestCase):
    def test_eight_minutes_hold_twelve_schedules_of_three_shapes(self):
        chosen = shapes.shapes_of("cuda", 1)
        self.assertEqual(sorted(shape.devices for shape in chosen), [2, 4, 8])
        order = steps.in_order("cuda", chosen)
        needed = {key: entry[0] for key, entry in steps.calibrations(chosen).items()}
        picked, _, used = plan([step for step, _ in order], needed, 480.0)
        keys = {step.key for step in picked}
        self.assertLessEqual(used, 480.0)
        for shape in chosen:
            core = [row for row in shapes.rows_of([shape]) if row.core]
            self.assertGreaterEqual(len(core), 12)
            self.assertTrue(all(row.key in keys for row in core))
        self.assertTrue(any(key.endswith("/no-graphs") for key in keys))

    def test_shapes_take_turns(self):
        rows = shapes.rows_of(shapes.shapes_of("cuda", 1))
        self.assertEqual(len({row.shape.name for row in rows[:3]}), 3)
        self.assertEqual(len({row.key for row in rows}), len(rows))

    def test_host_devices_need_cores(self):
        for cores in (1, 2, 4, 64):
            self.assertTrue(all(shape.devices <= cores
                                for shape in shapes.shapes_of("host", cores)))
        self.assertEqual(len(shapes.shapes_of("host", 2)), 3)


if __name__ == "__main__":
    unittest.main()
