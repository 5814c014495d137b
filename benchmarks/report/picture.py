"""A picture of a run's report for the front page of the repository.

    python -m benchmarks.report.picture RUN_FOLDER OUT.png

Opens the report in headless Chromium 1,200 pixels wide and keeps the top of the page in at most
300 kB.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from benchmarks import ledger

MOST_BYTES = 300_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Visit(NamedTuple):
    """What a browser did with a page: its document after the scripts, and its console."""

    document: str
    console: list[str]


def find_browser() -> str | None:
    """Path of an installed Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def visit(
    page: Path, picture: Path, *, width: int, height: int, flags: tuple[str, ...] = ()
) -> Visit:
    """Open ``page`` in headless Chromium and write a picture of its first ``height`` pixels.

    Raises FileNotFoundError without a browser or a page, RuntimeError where the browser fails.
    """
    browser = find_browser()
    if browser is None:
        raise FileNotFoundError(f"no browser found; install one of {', '.join(BROWSERS)}")
    if not page.is_file():
        raise FileNotFoundError(f"there is no file {page}; give the folder of a finished run")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [
            browser,
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000", "--dump-dom"),
            *(f"--user-data-dir={profile}", f"--screenshot={picture.resolve()}"),
            *(f"--window-size={width},{height}", *flags, page.resolve().as_uri()),
        ]
        done = subprocess.run(
            command, capture_output=True, timeout=120, encoding="utf-8", errors="replace"
        )
    if done.returncode or not picture.is_file():
        raise RuntimeError(f"{browser} failed with status {done.returncode}: {done.stderr[-500:]}")
    # Chromium logs every console message of a page, an exception too, as INFO:CONSOLE.
    console = [line for line in done.stderr.splitlines() if ":CONSOLE:" in line]
    return Visit(done.stdout, console)


def shrink(picture: Path) -> None:
    """Reduce the colours, then the height, until the file is small enough."""
    image = Image.open(picture).convert("RGB")
    while True:
        image.quantize(256).save(picture, optimize=True)
        if picture.stat().st_size <= MOST_BYTES:
            return
        image = image.crop((0, 0, image.width, image.height * 9 // 10))


def main(words: Sequence[str] | None = None) -> int:
    parser = ledger.parser(__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, which holds report.html")
    parser.add_argument("out", type=Path, help="the picture to write, a PNG file")
    parser.add_argument("--height", type=int, default=1620, help="pixels of the page to keep")
    arguments = ledger.parse(parser, words)
    try:
        seen = visit(
            arguments.run / "report.html", arguments.out, width=1200, height=arguments.height
        )
    except (OSError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    if seen.console:
        print("the report has errors:", *seen.console, sep="\n", file=sys.stderr)
        return 1
    shrink(arguments.out)
    with ledger.Report(arguments) as report:
        report.table("The picture", "file", ("size", "bytes", "lower")).row(
            arguments.out.name, arguments.out.stat().st_size
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
