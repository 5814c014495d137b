"""Times as people write them: 90s, 10m, 1h30m."""

import re

from nascence.core.ranges import SECONDS

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Read a time as a number of seconds: "90", "90s", "10m", "1.5h", "1h30m" or "2d".

    Raises:
        ValueError: Anything else, or a time of nothing or of more than 366 days.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"budget is {text!r}; give a time such as 90s, 10m, 1.5h or 1h30m")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(f"budget is {text!r}; every part needs a unit, such as 1h30m")
    seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if not SECONDS.holds(seconds):
        raise ValueError(
            f"budget is {text!r}; it must be more than nothing, such as 10m, and at most 366d"
        )
    return seconds
