"""The arithmetic of the error table, and the table as text.

A row is a dict of a record (see record.py). Ranking follows compare_ranking of the library: of two
rows whose predictions differ by more than the mean absolute error of all, the one predicted faster
must not have been measured slower.
"""


def relative_error(measured, predicted):
    return measured / predicted - 1.0 if predicted > 0 else 0.0


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def worst(values):
    """The largest in absolute value, with its sign; 0 of nothing."""
    return max(values, key=abs, default=0.0)


def ranking(rows):
    """(pairs whose predictions differ by more than the mean absolute error, those inverted)"""
    error = mean(abs(relative_error(row["measured_ns"], row["predicted_ns"])) for row in rows)
    pairs = inverted = 0
    for fast in rows:
        for slow in rows:
            if relative_error(slow["predicted_ns"], fast["predicted_ns"]) > error:
                pairs += 1
                inverted += fast["measured_ns"] > slow["measured_ns"]
    return pairs, inverted


def inversions(rows):
    """The inverted pairs by name, for the report of misses."""
    error = mean(abs(row["error"]) for row in rows)
    return [(fast["schedule"], slow["schedule"]) for fast in rows for slow in rows
            if relative_error(slow["predicted_ns"], fast["predicted_ns"]) > error
            and fast["measured_ns"] > slow["measured_ns"]]


def summarize(rows):
    """Figures over rows; those that did not run count only as such."""
    done = [row for row in rows if row["status"] == "ok"]
    shapes = []
    for name in dict.fromkeys(row["shape"] for row in rows):
        own = [row for row in done if row["shape"] == name]
        pairs, inverted = ranking(own)
        shapes.append({"shape": name, "rows": len(own),
                       "mean_absolute_error": mean(abs(row["error"]) for row in own),
                       "worst_error": worst([row["error"] for row in own]),
                       "pairs": pairs, "inverted": inverted})
    return {"rows": len(done),
            "failed": sum(row["status"] == "failed" for row in rows),
            "refused": sum(row["status"] == "refused" for row in rows),
            "left_out": sum(row["status"] == "left out" for row in rows),
            "mean_absolute_error": mean(abs(row["error"]) for row in done),
            "worst_error": worst([row["error"] for row in done]),
            "memory_error": worst([row["memory_error"] for row in done
                                   if row.get("memory_error") is not None]),
            "shapes": shapes}


def percent(value):
    return "" if value is None else f"{100 * value:+.2f} %"


def milliseconds(nanoseconds):
    return "" if nanoseconds is None else f"{nanoseconds / 1e6:.3f}"


def render(header, rows, left=1):
    """Columns of equal width; the first `left` are flush left, the last as it is."""
    widths = [max(len(str(line[i])) for line in [header, *rows]) for i in range(len(header))]

    def cell(text, i):
        if i == len(header) - 1:
            return str(text)
        return str(text).ljust(widths[i]) if i < left else str(text).rjust(widths[i])

    lines = ["  ".join(cell(text, i) for i, text in enumerate(line)).rstrip()
             for line in [header, ["-" * width for width in widths], *rows]]
    return "\n".join(lines)


def rows_table(rows):
    body = [[row["shape"], row["schedule"], row["cut"], milliseconds(row.get("predicted_ns")),
             milliseconds(row.get("measured_ns")), percent(row.get("error")),
             percent(row.get("memory_error")), row["status"] if row["status"] == "ok"
             else f"{row['status']}: {row.get('message', '')}"] for row in rows]
    return render(["shape", "schedule", "cut", "predicted (ms)", "measured (ms)", "error", "memory",
                   "status"], body, left=3)


def shapes_table(summary):
    body = [[shape["shape"], 0, "-", "-", "-"] if shape["rows"] == 0 else
            [shape["shape"], shape["rows"], f"{100 * shape['mean_absolute_error']:.2f} %",
             percent(shape["worst_error"]), f"{shape['inverted']} of {shape['pairs']}"]
            for shape in summary["shapes"]]
    return render(["shape", "rows", "mean absolute error", "worst error", "rankings inverted"], body)
