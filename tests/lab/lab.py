# SPDX-License-Identifier: MIT
"""What the tests of the lab share: where things are, and how a library is made for a test.

The environment has HAKMEM_BUILD, the build tree under test.
"""
import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

BUILD = Path(os.environ["HAKMEM_BUILD"])
LAB = BUILD / "bench" / "lab"
sys.path.insert(0, str(LAB.resolve()))

HANG_S = 300  # for runs that should end by themselves


class LabTest(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def library(self, name, source):
        """Compiles C text into a shared library; returns its path."""
        path = self.folder / f"{name}.so"
        subprocess.run(["cc", "-O1", "-fPIC", "-shared", "-fno-builtin", "-x", "c", "-", "-o",
                        str(path)], input=source, text=True, check=True)
        return path

    def command(self, *arguments):
        return subprocess.run([BUILD / "hakmem", *map(str, arguments)], capture_output=True,
                              text=True, timeout=HANG_S, check=False, cwd=self.folder,
                              stdin=subprocess.DEVNULL)

    def bench(self, *arguments):
        return self.command("bench", "--out", self.folder / "out", "--quick", *arguments)

    def results(self):
        return json.loads((self.folder / "out" / "results.json").read_text())
