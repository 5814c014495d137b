"""The ranges of all numbers that a user gives: one rule for commands, jobs and functions.

A range is written in the type of the setting, ``steps: Annotated[int, STEPS]``. Its upper end is
beyond every sensible use: it keeps a slip of the keyboard from filling the memory or the day.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, get_type_hints


class Range(NamedTuple):
    """Numbers that a setting may have.

    Attributes:
        least: The smallest, which is excluded where `above` is true.
        most: The largest.
        whole: Whether they are whole numbers.
        above: Whether `least` itself is too small.
        multiple: They are multiples of it.
    """

    least: float
    most: float
    whole: bool = True
    above: bool = False
    multiple: int = 1

    def __str__(self) -> str:
        """The range in words, as an error says what is allowed."""
        what = "a whole number" if self.whole else "a number"
        if self.multiple > 1:
            what = f"a multiple of {self.multiple}"
        if self.above:
            return f"{what} above {_written(self.least)}, at most {_written(self.most)}"
        return f"{what} from {_written(self.least)} to {_written(self.most)}"

    def holds(self, value: object) -> bool:
        """Whether a value is a number of the range; true and false are none."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        # Of the comparisons, NaN fails the first, and an infinite number the second.
        if not (self.least < value if self.above else self.least <= value) or value > self.most:
            return False
        return not self.whole or (value == int(value) and value % self.multiple == 0)

    def check(self, name: str, value: object) -> None:
        """Refuse a value that is not in the range.

        Raises:
            ValueError: What was got, under which name, and what is allowed.
        """
        if not self.holds(value):
            shown = repr(value)
            shown = shown if len(shown) <= 40 else f"{shown[:37]}..."
            raise ValueError(f"{name} is {shown}; give {self}")

    def read(self, name: str, text: str) -> int | float:
        """Read a number of the range.

        Raises:
            ValueError: The text is no number, or one that is not in the range.
        """
        value: object
        try:
            value = int(text) if self.whole else float(text)
        except ValueError:
            value = text
        self.check(name, value)
        assert isinstance(value, int | float)
        return value


def _written(number: float) -> str:
    """A bound as people write it, with commas between thousands."""
    return f"{int(number):,}" if number == int(number) else f"{number:g}"


SEED = Range(0, 2**32 - 1)
STEPS = Range(1, 100_000_000)
TRIALS = Range(1, 10_000_000)
SECONDS = Range(0, 366 * 86_400, whole=False, above=True)
CHECKPOINT_SECONDS = Range(0, 7 * 86_400, whole=False)
PROCESSES = Range(1, 1024)
PORT = Range(0, 65_535)
WORKERS_BESIDE = Range(0, 1024)
"""Processes that work ahead for one that can do without."""

SIDE = Range(1, 4096)
"""Of images, in pixels."""
DESIGN_SIDE = Range(8, 512, multiple=4)
META_TRAINING_SIDE = Range(8, 512)
LABEL_DEPTH = Range(1, 100)
"""Level of the folders that are classes."""
CROP = Range(0, 512)
CLASSES = Range(2, 100_000)
CLASSES_SHOWN = Range(1, 100_000)
IMAGES = Range(1, 10_000_000)
SPLIT_IMAGES = Range(2, 10_000_000)
"""Images that a model is fitted to, and as many to test it on."""
BATCH = Range(1, 65_536)
SHAPE = Range(1, 65_536)
"""Of each dimension of an example."""
ELEMENTS = Range(1, 2**28)
"""Of a whole example."""

PARAMETERS = Range(1, 500_000_000)
MULTIPLY_ADDS = Range(1, 1_000_000_000_000)
MILLISECONDS = Range(0, 1_000_000, whole=False, above=True)
COST = Range(0, 1e15, whole=False, above=True)
"""Of whatever kind, as a limit."""
OPSET = Range(7, 99)

WIDTH = Range(0, 4096, whole=False, above=True)
"""Channels, or a factor of them."""
CELLS = Range(1, 1000)
NETWORK_CELLS = Range(4, 1000)
CHANNELS = Range(8, 4096, multiple=8)
NETWORKS = Range(1, 100_000)
NETWORKS_OR_NONE = Range(0, 100_000)
PASSES = Range(1, 100_000)
SKIPS = Range(1, 1000)
LATENCY_WEIGHT = Range(0, 1000, whole=False)

META_BATCH = Range(1, 1024)
COHORTS = Range(1, 1024)
PAIRS = Range(1, 65_536)
LENGTH = Range(1, 10_000_000)
RAMP = Range(0, 100_000_000)
TASKS = Range(1, 1000)
REPETITIONS = Range(1, 1000)
SETTINGS_TRIED = Range(1, 10_000)
RATE = Range(0, 10, whole=False, above=True)
SHARE = Range(0, 1, whole=False)
KEPT_SHARE = Range(0, 0.999999, whole=False)
SETTING = Range(-1e8, 1e8, whole=False)
"""Of a strategy, which knows what its own may be."""
WEIGHT = Range(0, 1e6, whole=False, above=True)
"""Of one among several that are drawn."""
NOISE = Range(0, 10, whole=False)
"""Relative to what it is added to."""


def check_ranges(settings: object) -> None:
    """Refuse a number that is not in the range which its field's type names.

    None is a setting that was not given; of a tuple every number is checked.

    Args:
        settings: An instance of a class with annotated fields, such as a job.

    Raises:
        ValueError: What was got, and what is allowed.
    """
    for name, allowed in ranges_of(type(settings)).items():
        value = getattr(settings, name)
        for each in value if isinstance(value, tuple) else (value,):
            if each is not None:
                allowed.check(name, each)


def ranges_of(kind: type) -> Mapping[str, Range]:
    """Return the ranges that the annotations of a class name, by field."""
    found: dict[str, Range] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        notes: tuple[Any, ...] = getattr(hint, "__metadata__", ())
        for note in notes:
            if isinstance(note, Range):
                found[name] = note
    return found
