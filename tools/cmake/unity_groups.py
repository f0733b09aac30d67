#!/usr/bin/env python3
"""Says which source files the compiler may take together: those that never say a name of another's unnamed namespace.

Usage: unity_groups.py REPOSITORY FILES_PER_GROUP < LIST_OF_FILES
Prints one line GROUP;FILE per file, in the order of the list. The same list and the same files give the same groups.
"""
import pathlib
import re
import sys

OPEN = re.compile(r"^namespace(?: ([\w:]+))? \{(?!\})")
CLOSE = re.compile(r"^\}  // namespace")
TYPE = re.compile(r"^(?:struct|class|enum class|enum|union) (\w+)\b[^;]*$|^using (\w+) =")
NAME = re.compile(r"^(?!return\b|if\b|for\b|while\b|template\b|TEST_CASE|BENCHMARK)"
                  r"[A-Za-z_\[:][^=(]*?(\w+)(?:\[[^\]]*\])?\s*[={(]")
MACRO = re.compile(r"^#define (\w+)")
# Comments, literals, and what follows a dot, an arrow or two colons: it is looked up elsewhere.
SILENT = re.compile(r"//[^\n]*|/\*.*?\*/|R\"\((?:.|\n)*?\)\"|\"(?:[^\"\\\n]|\\.)*\"|(?:\.|->|::)\s*\w+|#include[^\n]*", re.S)
WORD = re.compile(r"\b[A-Za-z_]\w+")
MOST_LINES = 2500  # of a group, so that one compilation stays small


def names_of(text: str, unshareable: bool) -> set[str]:
    """Names that would collide with, or hide, one of another file: of unnamed namespaces, static, macros. Or else those
    that every includer of a header sees.

    Formatted code begins a declaration in the first column of its line, which is what this relies on."""
    stack: list[str] = []
    names = set()
    for line in text.splitlines():
        if opened := OPEN.match(line):
            stack.append(opened.group(1) or "")
        elif CLOSE.match(line) and stack:
            stack.pop()
        elif macro := MACRO.match(line):
            names.add(macro.group(1))
        elif ("" in stack or line.startswith("static ")) == unshareable:
            if kind := TYPE.match(line):
                names.add(kind.group(1) or kind.group(2))
            elif name := NAME.match(line):
                names.add(name.group(1))
    return names


def header_names(root: pathlib.Path) -> set[str]:
    """Types and constants of all headers."""
    names = set()
    for top in ("include", "sim", "tests", "tools"):
        for path in sorted((root / top).rglob("*.hpp")):
            names |= names_of(path.read_text(encoding="utf-8"), False)
    return {name for name in names if re.match("[A-Z]|k[A-Z]", name)}  # functions overload


def main() -> None:
    headers = header_names(pathlib.Path(sys.argv[1]))
    most = int(sys.argv[2])
    groups: list[dict] = []
    for path in sys.stdin.read().split("\n"):
        if not path:
            continue
        text = pathlib.Path(path).read_text(encoding="utf-8")
        own = names_of(text, True)
        # Like a name of a header that another file of the group may include: it stays alone.
        size = 1 if own & headers else most
        # A name that is only said would find the other file's, or be ambiguous with one of a header.
        said = set(WORD.findall(SILENT.sub(" ", text))) | own
        lines = text.count("\n")
        for number, group in enumerate(groups):
            if (group["files"] < min(size, group["size"]) and group["lines"] + lines <= MOST_LINES and not group["own"] & said
                    and not own & group["said"]):
                break
        else:
            number = len(groups)
            groups.append({"files": 0, "size": size, "lines": 0, "own": set(), "said": set()})
        group = groups[number]
        group["files"] += 1
        group["lines"] += lines
        group["own"] |= own
        group["said"] |= said
        print(f"{number};{path}")


main()
