"""The programs a check runs: from a pack that was built elsewhere, or built here."""
import dataclasses
import glob
import hashlib
import json
import os
import pathlib

from . import child

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLI, SELF_TEST = "stagecraft", "stagecraft_gpu_selftest"
# What the programs are made of.
SOURCES = ("CMakeLists.txt", "include", "sim", "tools/CMakeLists.txt", "tools/cli", "tools/cmake",
           "tools/gpu")


class CannotBuild(Exception):
    """Why there are no programs, and what to do."""


@dataclasses.dataclass(frozen=True)
class Programs:
    cli: pathlib.Path
    self_test: pathlib.Path  # None on the host
    origin: str  # "packed" or "built"
    commit: str
    changed: bool  # were there changes that the commit does not have?
    toolkit: str = None  # None: without CUDA


def source_hash(root=ROOT, sources=SOURCES):
    """A hash over names and contents of the sources; clocks of another machine do not matter."""
    total = hashlib.sha256()
    for part in sources:
        top = pathlib.Path(root) / part
        files = [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.is_file())
        for file in files:
            total.update(str(file.relative_to(root)).encode() + b"\0")
            total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def commit_of(root=ROOT):
    """(commit, changed); ("unknown", True) outside a git checkout."""
    head = child.run(["git", "-C", root, "rev-parse", "HEAD"], 20)
    if not head.ok:
        return "unknown", True
    status = child.run(["git", "-C", root, "status", "--porcelain", "--", *SOURCES], 60)
    return head.out.strip(), not status.ok or bool(status.out.strip())


def cuda_folders():
    """Folders of the toolkit's shared libraries that exist."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda",
             *sorted(glob.glob("/usr/local/cuda-*"), reverse=True)]
    folders = [pathlib.Path(home) / name for home in homes if home for name in ("lib64", "lib")]
    return list(dict.fromkeys(str(folder) for folder in folders if folder.is_dir()))


def environment():
    """The own environment, in which the programs also find the toolkit's libraries."""
    known = os.environ.get("LD_LIBRARY_PATH", "")
    folders = [*filter(None, known.split(":")), *cuda_folders()]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(dict.fromkeys(folders))}


def toolkit_version():
    """"13.0" of the nvcc in use, or None."""
    candidates = [os.environ.get("CUDACXX"), "nvcc", "/usr/local/cuda/bin/nvcc"]
    for nvcc in filter(None, candidates):
        told = child.run([nvcc, "--version"], 20)
        if told.ok and "release " in told.out:
            return told.out.split("release ", 1)[1].split(",", 1)[0]
    return None


def packed(folder, root=ROOT):
    """(Programs, None) of a usable pack, else (None, why not)."""
    folder = pathlib.Path(folder)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None, f"no pack in {folder}"
    except (OSError, ValueError) as error:
        return None, f"unreadable pack in {folder}: {error}"
    if manifest.get("sources") != source_hash(root):
        return None, f"the pack in {folder} was made from other sources"
    cli, self_test = folder / "bin" / CLI, folder / "bin" / SELF_TEST
    for program in (cli, self_test):
        if not program.is_file():
            return None, f"the pack in {folder} lacks {program.name}"
        program.chmod(0o755)
    return Programs(cli, self_test, "packed", manifest["commit"], manifest["changed"],
                    manifest.get("toolkit")), None


def build(backend, limit, say, root=ROOT):
    """Configures and builds what `backend` needs; CannotBuild says how else to get it."""
    cuda = backend == "cuda"
    folder = pathlib.Path(root) / "build" / ("cuda" if cuda else "release")
    targets = ["stagecraft_cli", SELF_TEST] if cuda else ["stagecraft_cli"]
    if cuda or not (folder / "build.ninja").is_file():
        configure = ["cmake", "-S", root, "-B", folder, "-G", "Ninja",
                     "-DCMAKE_BUILD_TYPE=Release", "-DSTAGECRAFT_BUILD_TESTS=OFF",
                     "-DSTAGECRAFT_BUILD_BENCHMARKS=OFF"]
        _step([*configure, *(["-DSTAGECRAFT_WITH_CUDA=ON"] if cuda else [])], limit, say)
    _step(["cmake", "--build", folder, "--target", *targets], limit, say)
    commit, changed = commit_of(root)
    return Programs(folder / "bin" / CLI, folder / "bin" / SELF_TEST if cuda else None, "built",
                    commit, changed, toolkit_version() if cuda else None)


def _step(command, limit, say):
    say(" ".join(str(word) for word in command))
    done = child.run(command, limit)
    if not done.ok:
        tail = "\n".join((done.out + done.err).splitlines()[-15:])
        raise CannotBuild(
            f"{command[0]} failed: {done.message()}\n{tail}\n"
            "hint: tools/setup installs what building needs on Debian 12; elsewhere build on such a machine with\n"
            "      tools/gpu-check --pack build/gpu and bring that folder along")
