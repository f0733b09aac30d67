"""Errors, rankings and the table."""
import json
import unittest

import support  # noqa: F401
from hardware import record, table


def row(schedule, predicted, measured, shape="s", memory=None):
    return {"shape": shape, "devices": 2, "cut": "loop", "schedule": schedule, "status": "ok",
            "predicted_ns": predicted, "measured_ns": measured,
            "error": measured / predicted - 1, "memory_error": memory}


class Arithmetic(unittest.TestCase):
    def test_summary(self):
        rows = [row("a", 100, 102, memory=0.01), row("b", 200, 190, memory=-0.03),
                record.failed_row({"shape": "s", "devices": 2, "cut": "loop", "schedule": "c"}, "no"),
                record.failed_row({"shape": "t", "devices": 2, "cut": "loop", "schedule": "c"},
                                  "no time", "left out")]
        summary = table.summarize(rows)
        self.assertEqual((summary["rows"], summary["failed"], summary["left_out"]), (2, 1, 1))
        self.assertAlmostEqual(summary["mean_absolute_error"], 0.035)
        self.assertAlmostEqual(summary["worst_error"], -0.05)
        self.assertAlmostEqual(summary["memory_error"], -0.03)
        self.assertEqual([shape["rows"] for shape in summary["shapes"]], [2, 0])

    def test_nothing_measured(self):
        summary = table.summarize([])
        self.assertEqual((summary["rows"], summary["mean_absolute_error"]), (0, 0.0))

    def test_ranking_counts_only_pairs_apart(self):
        # Mean absolute error 3 %: a and b are 1 % apart, c is far from both and was faster.
        rows = [row("a", 1000, 1030), row("b", 1010, 1040), row("c", 1500, 1455)]
        self.assertEqual(table.ranking(rows), (2, 0))
        rows[2] = row("c", 1500, 1020)
        pairs, inverted = table.ranking(rows)
        self.assertEqual((pairs, inverted), (2, 2))
        self.assertEqual(table.inversions(rows), [("a", "c"), ("b", "c")])

    def test_inverted_within_the_error_is_none(self):
        rows = [row("a", 1000, 1060), row("b", 1010, 950)]
        self.assertEqual(table.ranking(rows), (0, 0))

    def test_text(self):
        text = table.rows_table([row("1f1b", 2_000_000, 2_100_000, memory=0.001)])
        self.assertIn("+5.00 %", text)
        self.assertIn("2.100", text)
        self.assertEqual(len(text.splitlines()), 3)


class Rows(unittest.TestCase):
    def result(self, **more):
        return {"predicted": {"iteration_ns": 100, "makespan_ns": 120,
                              "devices": [{"peak_memory_bytes": 50}, {"peak_memory_bytes": 80}]},
                "measured": {"iteration_ns": 104, "makespan_ns": 121}, **more}

    def test_iteration_time_counts(self):
        done = record.done_row({}, self.result(held_bytes=[50, 76]))
        self.assertEqual((done["predicted_ns"], done["measured_ns"], done["time"]),
                         (100, 104, "iteration"))
        self.assertAlmostEqual(done["error"], 0.04)
        self.assertAlmostEqual(done["memory_error"], -0.05)
        self.assertEqual(done["predicted_peak_bytes"], 80)

    def test_makespan_where_one_iteration_ran(self):
        result = self.result()
        result["measured"]["iteration_ns"] = 0
        self.assertEqual(record.done_row({}, result)["predicted_ns"], 120)

    def test_memory_as_accounted_where_nothing_was_held(self):
        done = record.done_row({}, self.result(comparison={"peak_memory_error": 0.02}))
        self.assertEqual(done["memory_error"], 0.02)


class Text(unittest.TestCase):
    def test_reads_back_and_has_a_line_per_row(self):
        value = {"a": 1, "machine": {"device": "µ"}, "rows": [{"x": 1.5}, {"x": None}], "none": [],
                 "words": ["b", "c"]}
        text = record.text_of(value)
        self.assertEqual(json.loads(text), value)
        self.assertEqual(len(text.splitlines()), 7)


class Names(unittest.TestCase):
    def test_slug(self):
        self.assertEqual(record.slug("NVIDIA H200"), "nvidia-h200")
        self.assertEqual(record.slug("NVIDIA RTX 6000 Ada (48 GB)"), "nvidia-rtx-6000-ada-48-gb")
        self.assertEqual(record.slug("///"), "unknown")

    def test_a_second_record_of_a_day(self):
        name = record.file_name("NVIDIA H200", "2026-01-02")
        self.assertEqual(name, "nvidia-h200-2026-01-02.json")
        second = record.file_name("NVIDIA H200", "2026-01-02", {name})
        self.assertEqual(second, "nvidia-h200-2026-01-02-2.json")
        self.assertEqual(record.file_name("NVIDIA H200", "2026-01-02", {name, second}),
                         "nvidia-h200-2026-01-02-3.json")


if __name__ == "__main__":
    unittest.main()
