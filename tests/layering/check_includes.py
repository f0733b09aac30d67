#!/usr/bin/env python3
"""Fails on an include that runs upward in the house (DESIGN section 3), on a public header that includes anything but
the standard library and the project, on a room that is not in the list, and on a type that two headers define under
one name (in one namespace the linker would take either for both).

Usage: check_includes.py REPOSITORY
"""
import pathlib
import re
import sys

# Bottom to top.
ROOMS = ["core", "hardware", "model", "data", "plan", "cost", "schedule", "engine", "generators", "execute", "calibrate",
         "search", "scenario", "report"]
NAMESPACE = re.compile(r"^namespace ([\w:]+) {")
TYPE = re.compile(r"^(?:struct|class|enum class|union) (\w+)\b(?!::)[^;]*{")  # not a member such as Lengths::Source
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    findings = []
    seen = 0
    types = {}
    for top in ("include/stagecraft", "sim"):
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in (".hpp", ".cpp", ".h", ".cu"):
                continue
            seen += 1
            relative = path.relative_to(root / top)
            room = relative.parts[0]
            if room not in ROOMS:
                findings.append(f"{path.relative_to(root)}: '{room}' is not a room")
                continue
            namespace = ""
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if opened := NAMESPACE.match(line):
                    namespace = opened.group(1)
                defined = TYPE.match(line) if path.suffix in (".hpp", ".h") else None
                if defined:
                    name = f"{namespace}::{defined.group(1)}"
                    here = f"{path.relative_to(root)}:{number}"
                    if name in types:
                        findings.append(f"{here}: {name} is also defined in {types[name]}")
                    types.setdefault(name, here)
                match = INCLUDE.match(line)
                if not match:
                    continue
                kind, target = match.groups()
                where = f"{path.relative_to(root)}:{number}"
                parts = target.removeprefix("stagecraft/").split("/")
                if len(parts) > 1 and parts[0] in ROOMS and ROOMS.index(parts[0]) > ROOMS.index(room):
                    findings.append(f"{where}: room {room} includes {target}, which lies above it")
                if top == "include/stagecraft" and not target.startswith("stagecraft/") and (
                        kind == '"' or "/" in target or target.endswith((".h", ".hpp"))):
                    findings.append(f"{where}: a public header includes {target}, not of the standard library")
    for finding in findings:
        print(finding)
    print(f"{seen} files, {len(findings)} findings")
    return 1 if findings or seen == 0 else 0


sys.exit(main())
