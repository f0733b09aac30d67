"""Makes a folder with the CUDA programs and the shared libraries they need beside glibc.

    bin/stagecraft  bin/stagecraft_gpu_selftest  lib/*.so*  manifest.json

The programs look for libraries in ../lib first (DT_RPATH, which also serves the libraries' own
needs). What comes with CUDA or the driver is not carried: the programs look for it when they start.
OpenBLAS is carried without LAPACK, which nothing here calls: linked anew from its static archive.
"""
import json
import pathlib
import re
import shutil

from . import child, programs

LARGEST = 40 << 20  # bytes of a pack
# glibc's own parts belong to the machine: together with its loader, or not at all.
GLIBC = re.compile(r"^(ld-linux.*|lib(c|m|dl|rt|pthread|resolv|util|nsl|anl|mvec|BrokenLocale|"
                   r"nss_\w+|thread_db)|linux-vdso)\.so(\.\d+)*$")
CUDA = re.compile(r"^lib(cuda|cudart|cublas|cublasLt|cudnn\w*|nccl|nvrtc\w*|nvJitLink|nvidia-\S+)"
                  r"\.so(\.\d+)*$")


class PackError(Exception):
    pass


def parse_ldd(text):
    """{name: path or None} of what `ldd` printed."""
    needs = {}
    for line in text.splitlines():
        words = line.split()
        if not words or words[0].startswith("linux-vdso") or "statically linked" in line:
            continue
        if "=>" in words:
            target = words[words.index("=>") + 1]
            needs[words[0]] = None if target == "not" else pathlib.Path(target)
        elif words[0].startswith("/"):
            needs[pathlib.Path(words[0]).name] = pathlib.Path(words[0])
    return needs


def to_carry(needs):
    """The part of what a program needs that a pack must hold."""
    carried = {name: path for name, path in needs.items()
               if not GLIBC.match(name) and not CUDA.match(name)}
    missing = sorted(name for name, path in carried.items() if path is None)
    if missing:
        raise PackError(f"libraries not found here: {', '.join(missing)}")
    return carried


def _must(command, limit, say):
    say(" ".join(str(word) for word in command))
    done = child.run(command, limit)
    if not done.ok:
        tail = "\n".join((done.out + done.err).splitlines()[-25:])
        raise PackError(f"{command[0]}: {done.message()}\n{tail}")
    return done.out


def configure_command(root, build):
    """The C++ runtime is carried like every other library, once for all that use it: linked
    statically there would be two copies of it beside libfmt and libyaml-cpp."""
    return ["cmake", "-S", root, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            "-DSTAGECRAFT_WITH_CUDA=ON", "-DSTAGECRAFT_BUILD_TESTS=OFF",
            "-DSTAGECRAFT_BUILD_BENCHMARKS=OFF", "-DSTAGECRAFT_INSTALL=OFF",
            "-DCMAKE_BUILD_RPATH=$ORIGIN/../lib",
            "-DCMAKE_EXE_LINKER_FLAGS=-Wl,--disable-new-dtags"]


def blas_symbols(text):
    """What a program needs of OpenBLAS, from `nm -D --undefined-only`."""
    names = (line.split()[-1].split("@")[0] for line in text.splitlines() if line.split())
    return sorted({name for name in names if re.match(r"(cblas|openblas|goto)_", name)})


def slim_openblas(library, needed, target, say):
    """OpenBLAS with only what `needed` names, if its static archive lies beside `library`."""
    archive = library.resolve().parent / "libopenblas.a"
    if not needed or not archive.is_file():
        return False
    _must(["cc", "-shared", "-s", "-o", target, f"-Wl,-soname,{target.name}",
           *(f"-Wl,-u,{name}" for name in needed), "-Wl,--gc-sections", "-Wl,-z,defs", archive,
           "-lm", "-lpthread"], 300, say)
    return True


def carry(programs_made, folder, say):
    """Copies the libraries of the programs in `folder`/bin into `folder`/lib; their names."""
    libraries, needed = {}, set()
    for program in programs_made:
        libraries.update(to_carry(parse_ldd(_must(["ldd", program], 60, say))))
        needed.update(blas_symbols(_must(["nm", "-D", "--undefined-only", program], 60, say)))
    blas = libraries.pop("libopenblas.so.0", None)
    if blas:
        target = folder / "lib" / "libopenblas.so.0"
        if slim_openblas(blas, sorted(needed), target, say):
            own = to_carry(parse_ldd(_must(["ldd", target], 60, say)))
            others = {}  # what the programs need beside BLAS: not what only the whole one needed
            for program in programs_made:
                direct = _must(["objdump", "-p", program], 60, say)
                others.update({name: path for name, path in libraries.items() if name in direct})
            for path in list(others.values()):
                others.update(to_carry(parse_ldd(_must(["ldd", path], 60, say))))
            libraries = {**own, **others}
        else:
            shutil.copy(blas, target)
    for name, path in libraries.items():
        shutil.copy(path, folder / "lib" / name)
    return sorted([*libraries, *(["libopenblas.so.0"] if blas else [])])


def make(folder, say, root=programs.ROOT, limit=3600):
    """Builds and packs into `folder`; returns the bytes of the pack."""
    folder, root = pathlib.Path(folder), pathlib.Path(root)
    build = root / "build" / "pack"
    sources = programs.source_hash(root)
    _must(configure_command(root, build), limit, say)
    _must(["cmake", "--build", build, "--target", "stagecraft_cli", programs.SELF_TEST], limit, say)
    if programs.source_hash(root) != sources:
        raise PackError("the sources changed during the build: run it again")
    if (folder / "manifest.json").is_file():
        shutil.rmtree(folder)  # an older pack; anything else is left alone
    (folder / "bin").mkdir(parents=True)
    (folder / "lib").mkdir()
    built = [build / "bin" / name for name in (programs.CLI, programs.SELF_TEST)]
    for program in built:
        _must(["strip", "-o", folder / "bin" / program.name, program], 60, say)
    libraries = carry(built, folder, say)
    commit, changed = programs.commit_of(root)
    manifest = {"sources": sources, "commit": commit, "changed": changed,
                "toolkit": programs.toolkit_version(), "libraries": libraries}
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if size > LARGEST:
        raise PackError(f"the pack takes {size / 2**20:.1f} MiB, more than {LARGEST >> 20} MiB")
    return size
