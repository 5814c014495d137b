"""A picture of the page that `nascence try` makes, for the documentation.

    python -m benchmarks.inference.picture RUN PICTURE.jpg docs/try.png

The network's own browser page is opened in headless Chromium, and a picture is dropped on it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ledger
from benchmarks.inference.browser import Browser
from benchmarks.report.picture import shrink
from nascence.inference import read_classifier
from nascence.inference.browser_runtime import browser_runtime
from nascence.inference.page import write_page

STATE = "document.documentElement.dataset.state"


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("network", type=Path, help="folder of a finished run, or an ONNX file")
    parser.add_argument("image", type=Path, help="the picture to classify")
    parser.add_argument("out", type=Path, help="the PNG file to write")
    options = ledger.parse(parser, words)
    with ledger.Report(options) as report, tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "try.html"
        write_page(read_classifier(options.network), browser_runtime(), page)
        with Browser() as browser:
            browser.open(page.as_uri())
            browser.until(f"{STATE} === 'ready'")
            browser.choose("#file", options.image)
            browser.until(f"{STATE} === 'done'")
            browser.picture(options.out, width=900, height=520)
        shrink(options.out)
        report.table("The picture", "file", ("size", "bytes", "lower")).row(
            options.out.name, options.out.stat().st_size
        )


if __name__ == "__main__":
    main()
