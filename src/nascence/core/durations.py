"""Times as people write them: 90s, 10m, 1h30m."""

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_duration(text: str) -> float:
    """Read a time as a number of seconds: "90", "90s", "10m", "1.5h", "1h30m" or "2d".

    Raises:
        ValueError: Anything else, or a time of nothing.
    """
    compact = text.strip().lower().replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise ValueError(f"budget is {text!r}; give a time such as 90s, 10m, 1.5h or 1h30m")
    if len(parts) > 1 and any(not unit for _, unit in parts):
        raise ValueError(f"budget is {text!r}; every part needs a unit, such as 1h30m")
    seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if seconds <= 0:
        raise ValueError(f"budget is {text!r}; it must be more than nothing, such as 10m")
    return seconds
