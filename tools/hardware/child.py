"""Child processes with a time limit. A child that hangs or fails is a result, never the end."""
import dataclasses
import os
import signal
import subprocess
import time


@dataclasses.dataclass(frozen=True)
class Outcome:
    status: int  # exit status; negative: the signal that ended it; None: it could not be started
    out: str
    err: str
    seconds: float
    timed_out: bool = False

    @property
    def ok(self):
        return self.status == 0 and not self.timed_out

    def message(self, length=400):
        """Why it failed, in one line."""
        if self.timed_out:
            return f"stopped after {self.seconds:.1f} s, its time limit"
        said = [line.strip() for line in (self.err + "\n" + self.out).splitlines() if line.strip()]
        errors = [line for line in said if "error" in line.lower()] or said[:1]
        cause = errors[0] if errors else "it printed nothing"
        if self.status is not None and self.status < 0:
            return f"ended by {signal.Signals(-self.status).name}: {cause}"[:length]
        return f"exit status {self.status}: {cause}"[:length]


def run(command, limit, environment=None, folder=None):
    """Runs `command` for at most `limit` seconds. At the limit its whole process group is ended."""
    begin = time.monotonic()
    try:
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                 errors="replace", env=environment, cwd=folder,
                                 start_new_session=True)
    except OSError as error:
        return Outcome(None, "", f"error: {command[0]}: {error.strerror}", 0.0)
    timed_out = False
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        timed_out = True
        _end_group(child)
        out, err = child.communicate()
    except BaseException:  # an interrupt from the keyboard: leave no child behind
        _end_group(child)
        child.wait()
        raise
    return Outcome(child.returncode, out, err, time.monotonic() - begin, timed_out)


def _end_group(child):
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
