"""What the tests of these tools share."""
import os
import pathlib
import sys
from unittest import mock

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
FAKE = HERE / "fake_stagecraft.py"
sys.path.insert(0, str(ROOT / "tools"))
import fake_stagecraft  # noqa: E402
from hardware import child  # noqa: E402

REAL_RUN = child.run


class Clock:
    """Time that passes when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run_in_process(command, limit, environment=None, folder=None):
    """child.run, but the stand-in is called here instead of started."""
    if pathlib.Path(command[0]) != FAKE:
        return REAL_RUN(command, limit, environment, folder)
    status, said = fake_stagecraft.answer([str(word) for word in command[1:]],
                                          environment or os.environ)
    return child.Outcome(status, "", said, 0.01)


def no_children():
    return mock.patch.object(child, "run", run_in_process)
