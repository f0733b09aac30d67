"""What a pack holds, and when it may be used."""
import json
import pathlib
import tempfile
import unittest

import support  # noqa: F401
from hardware import pack, programs

LDD = """\
\tlinux-vdso.so.1 (0x00007ffc7b5f2000)
\tlibfmt.so.9 => /usr/lib/x86_64-linux-gnu/libfmt.so.9 (0x00007f1)
\tlibstdc++.so.6 => /usr/lib/x86_64-linux-gnu/libstdc++.so.6 (0x00007f2)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f3)
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f4)
\tlibcublasLt.so.13 => not found
\t/lib64/ld-linux-x86-64.so.2 (0x00007f5)
"""


class Libraries(unittest.TestCase):
    def test_glibc_and_cuda_stay(self):
        carried = pack.to_carry(pack.parse_ldd(LDD))
        self.assertEqual(sorted(carried), ["libfmt.so.9", "libstdc++.so.6"])
        self.assertEqual(carried["libfmt.so.9"],
                         pathlib.Path("/usr/lib/x86_64-linux-gnu/libfmt.so.9"))

    def test_a_missing_one_is_an_error(self):
        with self.assertRaisesRegex(pack.PackError, "libopenblas.so.0"):
            pack.to_carry(pack.parse_ldd(LDD + "\tlibopenblas.so.0 => not found\n"))

    def test_what_is_needed_of_blas(self):
        text = ("                 U cblas_sgemm\n                 U openblas_get_config@VERS_1\n"
                "                 U memcpy@GLIBC_2.14\n                 w __gmon_start__\n")
        self.assertEqual(pack.blas_symbols(text), ["cblas_sgemm", "openblas_get_config"])

    def test_every_part_of_glibc(self):
        for name in ("libc.so.6", "libm.so.6", "libmvec.so.1", "libpthread.so.0", "librt.so.1",
                     "libdl.so.2", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1",
                     "libresolv.so.2", "libnss_files.so.2"):
            self.assertTrue(pack.GLIBC.match(name), name)
        for name in ("libcrypt.so.1", "libmagic.so.1", "libgcc_s.so.1", "libdlna.so.2"):
            self.assertFalse(pack.GLIBC.match(name), name)


class Use(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name in programs.SOURCES:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name / "a.txt" if "." not in name else self.root / name).parent.mkdir(
                parents=True, exist_ok=True)
        (self.root / "CMakeLists.txt").write_text("project(x)\n")
        (self.root / "sim" / "a.cpp").write_text("int a;\n")
        self.folder = self.root / "build" / "gpu"

    def write_pack(self):
        (self.folder / "bin").mkdir(parents=True)
        for name in (programs.CLI, programs.SELF_TEST):
            (self.folder / "bin" / name).write_text("#!/bin/sh\n")
        (self.folder / "manifest.json").write_text(json.dumps(
            {"sources": programs.source_hash(self.root), "commit": "1" * 40, "changed": False,
             "toolkit": "13.0"}))

    def test_of_the_same_sources(self):
        self.write_pack()
        found, why_not = programs.packed(self.folder, self.root)
        self.assertIsNone(why_not)
        self.assertEqual((found.commit, found.toolkit, found.origin), ("1" * 40, "13.0", "packed"))

    def test_not_of_other_sources(self):
        self.write_pack()
        (self.root / "sim" / "a.cpp").write_text("int b;\n")
        found, why_not = programs.packed(self.folder, self.root)
        self.assertIsNone(found)
        self.assertIn("other sources", why_not)

    def test_a_new_file_counts(self):
        before = programs.source_hash(self.root)
        (self.root / "sim" / "b.cpp").write_text("")
        self.assertNotEqual(before, programs.source_hash(self.root))

    def test_absent_broken_or_incomplete(self):
        self.assertIn("no pack", programs.packed(self.folder, self.root)[1])
        self.write_pack()
        (self.folder / "bin" / programs.SELF_TEST).unlink()
        self.assertIn("lacks stagecraft_gpu_selftest", programs.packed(self.folder, self.root)[1])
        (self.folder / "manifest.json").write_text("{")
        self.assertIn("unreadable", programs.packed(self.folder, self.root)[1])


if __name__ == "__main__":
    unittest.main()
