"""The page of a network, opened in Chromium: it says of pictures what Python says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.inference.browser import Browser
from benchmarks.report.picture import find_browser
from nascence.inference import classify, find_images, read_classifier
from nascence.inference.browser_runtime import (
    BrowserRuntime,
    RuntimeUnavailableError,
    browser_runtime,
)
from nascence.inference.page import render_page, write_page
from nascence.inference.server import page_server
from tests.inference.conftest import Made

STATE = "document.documentElement.dataset.state"
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
NOTHING = BrowserRuntime(b"export {}", b"\0asm", "MIT </pre><script>alert(1)</script>")


@pytest.fixture(scope="module")
def runtime() -> BrowserRuntime:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine: the page is not opened in a browser")
    try:
        return browser_runtime(seconds=20)
    except RuntimeUnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def browser(runtime: BrowserRuntime) -> Iterator[Browser]:
    with Browser(*FAKE_CAMERA) as opened:
        yield opened


def seen(browser: Browser, file: Path) -> dict[str, float]:
    """The classes that the page shows for a file, with their probabilities."""
    browser.evaluate(f"{STATE} = ''")
    browser.choose("#file", file)
    state = browser.until(STATE + " !== 'working' && " + STATE)
    assert state == "done", browser.evaluate("document.getElementById('message').textContent")
    rows = browser.evaluate(
        "[...document.querySelectorAll('li')].map("
        "(row) => [row.firstChild.textContent, row.dataset.probability])"
    )
    return {name: float(share) for name, share in rows}


@pytest.mark.parametrize("kind", ["made", "made_grey"])
def test_every_photo_gets_the_answer_of_python(
    kind: str, request: pytest.FixtureRequest, browser: Browser, runtime: BrowserRuntime,
    tmp_path: Path,
) -> None:  # fmt: skip
    """By double click: the page is a file. JPEG is decoded by another program than Python's."""
    made: Made = request.getfixturevalue(kind)
    classifier = read_classifier(made.path)
    write_page(classifier, runtime, tmp_path / "try.html")
    browser.console.clear()
    browser.open((tmp_path / "try.html").as_uri())
    assert browser.until(STATE + " !== 'starting' && " + STATE) == "ready"
    files = find_images([made.photos])
    big = tmp_path / "big.jpg"  # decoded at a smaller scale, then reduced
    Image.open(files[0]).resize((900, 700), Image.Resampling.BICUBIC).save(big, quality=92)
    for each in classify(classifier, [*files, big]):
        found = seen(browser, Path(each.image))
        assert list(found) == [classifier.class_names[index] for index, _ in each.top(5)]
        gap = max(abs(found[classifier.class_names[i]] - share) for i, share in each.top(5))
        assert gap < (0.004 if each.image.endswith("jpg") else 5e-4), each.image
    assert re.fullmatch(
        r"[\d.]+ ms for the network, .*", browser.evaluate("at('latency').textContent")
    )
    (tmp_path / "broken.png").write_bytes(b"no picture")
    browser.choose("#file", tmp_path / "broken.png")
    browser.until(f"{STATE} === 'failed'")
    assert "no picture" in browser.evaluate("at('message').textContent")
    assert browser.console == []


def test_by_its_address_with_the_camera(
    browser: Browser, runtime: BrowserRuntime, made: Made
) -> None:
    import threading

    page = render_page(read_classifier(made.path), runtime).encode()
    with page_server(page, port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.console.clear()
        browser.open(f"http://127.0.0.1:{server.server_port}/")
        browser.until(f"{STATE} === 'ready'")
        browser.evaluate("at('camera').click()")
        browser.until(f"{STATE} === 'done'")
        assert browser.evaluate("at('message').textContent") == "What the camera sees"
        assert len(browser.evaluate("[...document.querySelectorAll('li')].map(String)")) == 2
        browser.evaluate("at('camera').click()")
        assert browser.evaluate("at('camera').textContent") == "Use the camera"
        server.shutdown()
    assert browser.console == []


def test_framings_are_those_of_pillow(made: Made, tmp_path: Path) -> None:
    """Squashed, and padded with black, from sizes large and small."""
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    write_page(read_classifier(made.path), NOTHING, tmp_path / "try.html")
    rng = np.random.default_rng(0)
    with Browser() as browser:
        browser.open((tmp_path / "try.html").as_uri())
        browser.until("typeof fitted === 'function'")
        for width, height in ((50, 31), (23, 140), (9, 7)):
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            image = Image.fromarray(pixels)
            scale = max(width, height) / 16
            inner = round(width / scale), round(height / scale)
            padded = Image.new("RGB", (16, 16))
            small = image.resize(inner, Image.Resampling.BICUBIC, reducing_gap=2.0)
            padded.paste(small, ((16 - inner[0]) // 2, (16 - inner[1]) // 2))
            squashed = image.resize((16, 16), Image.Resampling.BICUBIC, reducing_gap=2.0)
            for framing, expected in (("pad", padded), ("squash", squashed)):
                found = browser.evaluate(
                    f"Array.from(fitted({{data: new Uint8ClampedArray({pixels.ravel().tolist()}), "
                    f"width: {width}, height: {height}}}, 16, 16, false, '{framing}').data)"
                )
                gap = np.abs(np.array(found) - np.asarray(expected).ravel().astype(int)).max()
                assert gap <= 1, (framing, width, height)


def test_a_browser_without_webassembly_is_told_so(made: Made, tmp_path: Path) -> None:
    if find_browser() is None:
        pytest.skip("no Chromium on this machine")
    write_page(read_classifier(made.path), NOTHING, tmp_path / "try.html")
    with Browser() as browser:
        browser.call("Page.addScriptToEvaluateOnNewDocument", source="delete self.WebAssembly")
        browser.open((tmp_path / "try.html").as_uri())
        browser.until(f"{STATE} === 'failed'")
        message = browser.evaluate("document.getElementById('message').textContent")
        assert message.startswith("This browser has no WebAssembly")
        assert browser.console == []


def test_the_page_needs_no_other_file_and_escapes_names(made: Made, tmp_path: Path) -> None:
    folder = tmp_path / "<b>run"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(made.path.read_bytes())
    document = render_page(read_classifier(folder), NOTHING)
    assert "<title>Try &lt;b&gt;run</title>" in document
    assert "</pre><script>alert" not in document
    assert "MIT &lt;/pre&gt;" in document
    assert not re.search(r"(src|href)=\"(?!data:)", document)
    facts = json.loads(re.search(r'id="facts">(.*?)</script>', document)[1])
    assert facts["classes"] == ["cats", "dogs"]
    assert np.prod([facts["height"], facts["width"]]) == made.data.image_shape[1] ** 2


def test_two_pages_of_a_network_are_equal(made: Made) -> None:
    classifier = read_classifier(made.path)
    assert render_page(classifier, NOTHING) == render_page(classifier, NOTHING)
