"""What fits into a given time: steps in order of importance, each with what it needs first."""
import dataclasses
import re
import time

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text):
    """Seconds of "8m", "90s", "1.5h" or "90"; ValueError otherwise."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) == 0:
        raise ValueError(f"'{text}' is not a positive time such as 90s, 8m or 1h")
    return float(match[1]) * UNITS[match[2] or "s"]


@dataclasses.dataclass(frozen=True)
class Step:
    key: str  # unique
    kind: str  # steps of one kind share what was learnt about how long they take
    estimate: float  # seconds
    needs: tuple = ()  # keys of steps that must have run


def plan(steps, needed, seconds):
    """Splits `steps` (in order of importance) into those that fit into `seconds` and the rest.

    `needed` maps keys to steps that run only where a chosen step needs them. The plan lists them
    right before the first step that does; their time counts once.
    """
    chosen, left_out, have, used = [], [], set(), 0.0
    for step in steps:
        before = [needed[key] for key in step.needs if key not in have]
        cost = step.estimate + sum(other.estimate for other in before)
        if used + cost > seconds:
            left_out.append(step)
            continue
        used += cost
        have.update(other.key for other in before)
        chosen += [*before, step]
    return chosen, left_out, used


class Budget:
    """Time that passes, and how long steps really take against their estimates."""

    def __init__(self, seconds, clock=time.monotonic):
        self.seconds = seconds
        self._clock = clock
        self._begin = clock()
        self._factors = {}

    def elapsed(self):
        return self._clock() - self._begin

    def left(self):
        return self.seconds - self.elapsed()

    def expected(self, step):
        """Seconds that `step` will take, corrected by how its kind fared so far."""
        return step.estimate * self._factors.get(step.kind, 1.0)

    def learn(self, step, seconds):
        """Moves the correction of a kind half of the way to what was seen, at least to 0.1."""
        seen = seconds / step.estimate
        self._factors[step.kind] = max(0.1, (self._factors.get(step.kind, seen) + seen) / 2)

    def fits(self, *steps):
        return sum(self.expected(step) for step in steps) <= self.left()

    def limit(self, most):
        """Time limit of a child: `most`, but never beyond the end of the budget."""
        return max(1.0, min(most, self.left()))
