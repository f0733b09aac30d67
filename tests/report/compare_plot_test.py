#!/usr/bin/env python3
"""plots/compare.py draws a comparison, the same bytes every time, and refuses what is not one.
Usage: compare_plot_test.py STAGECRAFT PLOT SCENARIO. Exit status 77 (skipped) without matplotlib."""

import os
import subprocess
import sys
import tempfile

try:
    import matplotlib  # noqa: F401
except ImportError:
    print("skipped: matplotlib is not installed")
    sys.exit(77)


def main():
    stagecraft, plot, scenario = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as folder:
        result = os.path.join(folder, "compare.json")
        subprocess.run([stagecraft, "compare", scenario, "--schedules", "gpipe,1f1b,zb-h1", "--json", result],
                       check=True, stdout=subprocess.DEVNULL)
        pictures = []
        for name in ("a.svg", "b.svg"):
            picture = os.path.join(folder, name)
            subprocess.run([sys.executable, plot, result, "-o", picture], check=True)
            with open(picture, "rb") as file:
                pictures.append(file.read())
        assert pictures[0] == pictures[1], "equal input gives equal bytes"
        # Text is drawn as paths, named by comments.
        for word in (b"zb-h1", b"iteration time"):
            assert word in pictures[0], f"the picture says {word}"
        refused = subprocess.run([sys.executable, plot, "-"], input="{}", text=True, capture_output=True)
        assert refused.returncode == 2 and "expected the output of" in refused.stderr, refused.stderr


if __name__ == "__main__":
    main()
