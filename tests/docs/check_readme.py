#!/usr/bin/env python3
"""Runs the README's console examples and compares what they print, both streams together, with what stands there.

Usage: check_readme.py README PROGRAM. A block marked ```console begins with "$ build/release/bin/stagecraft ...".
"""
import pathlib
import re
import shlex
import subprocess
import sys

readme, program = pathlib.Path(sys.argv[1]), sys.argv[2]
blocks = re.findall(r"^```console\n\$ build/release/bin/stagecraft (.*?)\n(.*?)^```$", readme.read_text(encoding="utf-8"),
                    re.MULTILINE | re.DOTALL)
failures = 0
for arguments, expected in blocks:
    done = subprocess.run([program, *shlex.split(arguments)], cwd=readme.parent, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.stdout != expected:
        failures += 1
        print(f"stagecraft {arguments}\n--- the README says\n{expected}--- it prints\n{done.stdout}")
print(f"{len(blocks)} examples, {failures} differ")
sys.exit(1 if failures or not blocks else 0)
