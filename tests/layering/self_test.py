#!/usr/bin/env python3
"""The layering check must fail on an upward include and on a type that is defined twice: plants both in a scratch tree
and expects the findings."""
import pathlib
import subprocess
import sys
import tempfile

check = pathlib.Path(__file__).with_name("check_includes.py")
with tempfile.TemporaryDirectory() as scratch:
    room = pathlib.Path(scratch, "sim", "core")
    room.mkdir(parents=True)
    (room / "bad.cpp").write_text('#include "stagecraft/engine/replay.hpp"\n', encoding="utf-8")
    for header in ("one.hpp", "two.hpp"):
        (room / header).write_text("namespace a::b {\nstruct Twice {\n};\n}\n", encoding="utf-8")
    result = subprocess.run([sys.executable, check, scratch], capture_output=True, text=True, check=False)
    expected = "sim/core/bad.cpp:1: room core includes stagecraft/engine/replay.hpp, which lies above it"
    twice = "sim/core/two.hpp:2: a::b::Twice is also defined in sim/core/one.hpp:2"
    if result.returncode != 1 or expected not in result.stdout or twice not in result.stdout:
        print(result.stdout)
        sys.exit(1)
