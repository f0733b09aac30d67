#!/usr/bin/env python3
"""A picture of an HTML report, taken with headless Chromium (Debian: chromium).

    stagecraft compare scenarios/nemotron-nano-v2-9b.yaml --schedules all --html report.html
    plots/screenshot.py report.html -o plots/report.png
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", help="report written by stagecraft --html")
    parser.add_argument("-o", "--output", default="report.png")
    parser.add_argument("--size", default="1280x800", metavar="WxH", help="in pixels (default: %(default)s)")
    arguments = parser.parse_args()
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("screenshot.py: error: chromium is missing; install it (Debian: apt-get install chromium)")
    if not os.path.isfile(arguments.page):
        sys.exit(f"screenshot.py: error: {arguments.page}: no such file")
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
             "--no-first-run", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
             f"--user-data-dir={profile}", "--virtual-time-budget=2000", "--force-device-scale-factor=1",
             f"--window-size={arguments.size.replace('x', ',')}",
             f"--screenshot={os.path.abspath(arguments.output)}", f"file://{os.path.abspath(arguments.page)}"],
            check=True, stderr=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
