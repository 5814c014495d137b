"""Numbers as a reader wants them: three digits, a unit, a dash where nothing was measured."""

import math

MISSING = "–"
GAP = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def three_digits(value: float) -> str:
    """``value`` (below 1,000 in size) with three significant digits, two decimals at most."""
    if not math.isfinite(value):
        return MISSING
    size = abs(value)
    decimals = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{value:.{decimals}f}".replace("-", MINUS)


def magnitude(value: float) -> str:
    """A count with three digits and k, M, G or T: 1,241,000 is ``1.24 M``."""
    if not math.isfinite(value):
        return MISSING
    for exponent, unit in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 0.9995 * 10**exponent:
            return f"{three_digits(value / 10**exponent)}{GAP}{unit}"
    return f"{value:.0f}"


def count(value: float) -> str:
    """A whole number with thousands separated."""
    return f"{value:,.0f}" if math.isfinite(value) else MISSING


def percent(share: float, decimals: int = 1) -> str:
    """A share (0 to 1) in percent, never rounded to 100 or to 0 unless it is."""
    if not math.isfinite(share):
        return MISSING
    smallest = 10.0**-decimals
    shown = round(100 * share, decimals)
    if share < 1 and shown >= 100:
        shown = 100 - smallest
    if share > 0 and shown <= 0:
        shown = smallest
    return f"{shown:.{decimals}f}{GAP}%"


def points(difference: float, decimals: int = 1) -> str:
    """A signed difference of two shares, in percentage points."""
    if not math.isfinite(difference):
        return MISSING
    shown = round(100 * difference, decimals)
    sign = "+" if shown > 0 else MINUS if shown < 0 else "±"
    return f"{sign}{abs(shown):.{decimals}f}"


def milliseconds(value: float | None) -> str:
    """Milliseconds with three digits; thousands where it takes seconds."""
    if value is None or not math.isfinite(value):
        return MISSING
    digits = f"{value:.3f}" if value < 0.0995 else three_digits(value)
    return f"{count(value) if value >= 999.5 else digits}{GAP}ms"


def duration(seconds: float) -> str:
    """Seconds as ``340 ms``, ``4.2 s``, ``3 min 05 s`` or ``1 h 02 min``."""
    if not math.isfinite(seconds):
        return MISSING
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f}{GAP}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}{GAP}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{GAP}s"
    if whole < 3600:
        return f"{whole // 60}{GAP}min {whole % 60:02d}{GAP}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}{GAP}h {minutes:02d}{GAP}min"


def shorten(text: str, length: int) -> str:
    """``text`` in at most ``length`` characters, its middle left out where it is longer."""
    text = " ".join(text.split())
    if len(text) <= length:
        return text
    head = (length - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"
