"""The report as a file: whole, escaped, without any address to load, and opened in Chromium."""

import io
import json
import math
import re
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from benchmarks.report import picture as front_page
from nascence.core.files import WriteError
from nascence.report import CandidatePoint, Mistake, ReportContents, render, write
from nascence.report.page import picture, script_json

EVIL = (
    "</script><script>alert('x')</script><img src=http://evil.example/x onerror=alert(1)> &amp; Ü"
)


class Reader(HTMLParser):
    """Elements, their attributes and their text, as a browser would take them."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def figures_of(document: str) -> dict:
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', document)
    assert found
    return json.loads(found[1])


def many_classes(contents: ReportContents, classes: int) -> ReportContents:
    generator = np.random.default_rng(0)
    confusion = np.where(generator.random((classes, classes)) < 0.02, 1, 0)
    names = tuple(f"{i} {'long name ' * (i % 9)}ß 日本" for i in range(classes))
    return replace(contents, classes=names, confusion=confusion + 30 * np.eye(classes, dtype=int))


def evil(contents: ReportContents) -> ReportContents:
    """Every string from outside is hostile."""
    return replace(
        contents,
        title=EVIL,
        data_name=EVIL,
        classes=(EVIL, EVIL + "2", "plain"),
        architecture=EVIL,
        cell_edges=((0, 1, EVIL),),
        skeleton=(EVIL,),
        score_name=EVIL,
        candidates=(CandidatePoint(EVIL, 1.0, 1, 1, True),),
        curves=(replace(contents.curves[0], name=EVIL),),
        mistakes=(Mistake(np.zeros((4, 4, 1), np.uint8), EVIL, EVIL, 0.5),),
        stages=(replace(contents.stages[0], name=EVIL),),
        designed=replace(contents.designed, name=EVIL),
        baseline=replace(contents.designed, name=EVIL),
        settings={EVIL: EVIL},
        environment={EVIL: EVIL},
        notes=(EVIL, "file \udcff\udcfe.png"),
        beginning=EVIL,
    )


def bare(contents: ReportContents) -> ReportContents:
    """As little as a run can leave behind."""
    nothing = replace(
        contents.designed,
        accuracy=math.nan,
        latency_ms=math.nan,
        folded_latency_ms=None,
        train_seconds=math.nan,
    )
    return replace(
        contents,
        cell_edges=(),
        skeleton=(),
        candidates=(CandidatePoint("only", math.nan, 0, 0, False),),
        curves=(),
        confusion=np.zeros((3, 3), dtype=int),
        mistakes=(),
        stages=(),
        designed=nothing,
        baseline=None,
        settings={},
        environment={},
        notes=(),
        validation_images=0,
    )


def one_candidate(contents: ReportContents) -> ReportContents:
    return replace(
        contents,
        classes=("no", "yes"),
        confusion=np.array([[5, 0], [1, 4]]),
        candidates=contents.candidates[-1:],
        mistakes=(),
    )


def hundred_classes(contents: ReportContents) -> ReportContents:
    return many_classes(contents, 120)


def thousand_classes(contents: ReportContents) -> ReportContents:
    """As large as a report gets: classes, candidates, mistakes."""
    large = np.random.default_rng(0).integers(0, 256, (400, 300, 3), dtype=np.uint8)
    return replace(
        many_classes(contents, 1000),
        candidates=tuple(
            CandidatePoint("c" * 90 + str(i), i / 7, 10**6 + 7 * i, 10**8 + 11 * i, i == 3)
            for i in range(12_000)
        ),
        mistakes=(Mistake(large, "cat", "dog", 0.5),) * 100,
    )


Change = Callable[[ReportContents], ReportContents]
CHANGES = [evil, bare, one_candidate, hundred_classes, thousand_classes]


@pytest.mark.parametrize("change", [lambda contents: contents, *CHANGES])
def test_a_report_loads_nothing_and_is_small(contents: ReportContents, change: Change) -> None:
    document = render(change(contents))
    assert len(document.encode("utf-8", "replace")) < 6_000_000
    for tag, attributes in Reader(document).elements:
        for name in ("src", "href", "srcset", "data", "poster", "action", "background"):
            address = attributes.get(name) or "#"
            assert address.startswith(("#", "data:image/")), (tag, name, address)
    style = "".join(re.findall(r"<style>(.*?)</style>", document, re.DOTALL))
    assert "@import" not in style
    assert "url(" not in style


def test_the_policy_lets_only_the_reports_own_scripts_run(contents: ReportContents) -> None:
    from hashlib import sha256

    document = render(evil(contents))
    policy = Reader(document).all("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'")
    allowed = {b64decode(digest) for digest in re.findall(r"'sha256-(.*?)'", policy)}
    scripts = re.findall(r"<script>(.*?)</script>", document, re.DOTALL)
    assert {sha256(script.encode()).digest() for script in scripts} == allowed
    assert len(scripts) == 2


def test_strings_from_outside_are_text(contents: ReportContents) -> None:
    document = render(evil(contents))
    read = Reader(document)
    assert len(read.all("script")) == 3
    assert all((image["src"] or "").startswith("data:") for image in read.all("img"))
    assert "".join(read.text).count(EVIL) >= 12
    assert figures_of(document)["candidates"]["layout"]["yaxis"]["title"]["text"].startswith("&lt;")


def test_the_beginning_of_the_training_stands_above_its_curves(contents: ReportContents) -> None:
    section = render(replace(contents, beginning="Trained with SGD.")).split('id="training"')[1]
    assert section.index("<p>Trained with SGD.</p>") < section.index('id="chart-accuracy"')
    assert "<p></p>" not in render(contents)


def test_json_cannot_end_its_script_element() -> None:
    value = {"</script>": ["<!--", "&", "\u2028", 1.5, None]}
    encoded = script_json(value)
    assert not set("<>&\u2028") & set(encoded)
    assert json.loads(encoded) == value


def test_images_have_texts_and_tables_have_heads(contents: ReportContents) -> None:
    read = Reader(render(contents))
    assert all(image["alt"] for image in read.all("img"))
    assert all(cell["scope"] in ("row", "col") for cell in read.all("th"))
    plots = [a for a in read.all("div") if "data-chart" in a]
    assert {plot["data-chart"] for plot in plots} == set(figures_of(render(contents)))
    assert all(plot["role"] == "img" and plot["aria-label"] for plot in plots)
    named = {a["id"] for _, a in read.elements if "id" in a}
    for _, attributes in read.elements:
        assert set((attributes.get("aria-labelledby") or "").split()) <= named
    assert {a["href"] for a in read.all("a")} <= {f"#{name}" for name in named}


def test_small_images_are_kept_pixel_by_pixel() -> None:
    for channels in (1, 3):
        image = np.random.default_rng(0).integers(0, 256, (9, 7, channels), dtype=np.uint8)
        data = b64decode(picture(Mistake(image, "a", "b", 0.5)).split(",")[1])
        read = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(read.reshape(image.shape), image)


def test_large_images_are_scaled_down() -> None:
    image = np.zeros((600, 300, 3), dtype=np.uint8)
    data = b64decode(picture(Mistake(image, "a", "b", 0.5)).split(",")[1])
    assert Image.open(io.BytesIO(data)).size == (64, 128)


def test_writing_replaces_the_file_whole(
    contents: ReportContents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError("no space left on device")

    path = tmp_path / "report.html"
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        with pytest.raises(OSError, match="no space left"):
            write(contents, path)
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]
    write(evil(contents), path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_folder_that_is_not_there_is_one_line(contents: ReportContents, tmp_path: Path) -> None:
    with pytest.raises(WriteError, match="cannot write") as caught:
        write(contents, tmp_path / "missing" / "report.html")
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def browser() -> ModuleType:
    if front_page.find_browser() is None:
        pytest.skip("no Chromium on this machine: the report is not opened in a browser")
    return front_page


@pytest.mark.parametrize(
    ("change", "charts", "flags"),
    [
        (lambda contents: contents, 4, ("--blink-settings=preferredColorScheme=1",)),
        (lambda contents: contents, 4, ("--blink-settings=preferredColorScheme=0",)),
        (evil, 4, ()),
        (bare, 0, ()),
        (thousand_classes, 4, ()),
    ],
)
def test_chromium_draws_every_chart_without_a_word_on_the_console(
    browser: ModuleType,
    contents: ReportContents,
    tmp_path: Path,
    change: Change,
    charts: int,
    flags: tuple[str, ...],
) -> None:
    page, shot = tmp_path / "report.html", tmp_path / "report.png"
    write(change(contents), page)
    seen = browser.visit(page, shot, width=1200, height=3000, flags=flags)
    assert seen.console == []
    assert seen.document.count('data-drawn="yes"') == charts
    assert seen.document.count('class="main-svg"') >= charts
    image = Image.open(shot).convert("RGB")
    assert image.size == (1200, 3000)
    assert len(image.getcolors(maxcolors=10**7) or []) > (100 if charts else 20)
    background = image.getpixel((2, 2))
    assert isinstance(background, tuple)
    assert (sum(background) < 128) == any(flag.endswith("=0") for flag in flags)


@pytest.mark.parametrize("change", [evil, hundred_classes])
def test_nothing_is_wider_than_the_window(
    browser: ModuleType, contents: ReportContents, tmp_path: Path, change: Change
) -> None:
    """Chromium's own window is at least 500 pixels wide: frames stand for telephones."""
    write(change(contents), tmp_path / "report.html")
    page, widths = tmp_path / "frames.html", (360, 800)
    page.write_text(
        "<!doctype html>"
        + "".join(f'<iframe src="report.html" width="{w}" height="900"></iframe>' for w in widths)
        + "<style>iframe { border: 0 }</style><p></p><script>onload = () => setTimeout(() => {"
        "const pages = [...document.querySelectorAll('iframe')].map("
        "(frame) => frame.contentDocument.documentElement);"
        "document.querySelector('p').textContent = pages.map("
        "(page) => `${page.clientWidth} of ${page.scrollWidth}`).join();"
        "}, 500)</script>"
    )
    flags = ("--allow-file-access-from-files",)
    seen = browser.visit(page, tmp_path / "frames.png", width=1300, height=1000, flags=flags)
    assert "<p>360 of 360,800 of 800</p>" in seen.document


def test_the_browser_reports_what_goes_wrong(browser: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<!doctype html><title>x</title><script>console.error('bad')</script>"
        "<script>setTimeout(() => missing(), 20); Promise.reject(new Error('later'))</script>"
        "<script>throw new Error('boom')</script>"
    )
    seen = browser.visit(page, tmp_path / "page.png", width=600, height=200)
    for said in ("bad", "missing is not defined", "later", "Uncaught Error: boom"):
        assert any(said in line for line in seen.console)


def test_the_policy_stops_a_script_that_is_not_the_reports(
    browser: ModuleType, contents: ReportContents, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    page.write_text(render(contents).replace("</main>", "<script>document.title='x'</script>"))
    seen = browser.visit(page, tmp_path / "page.png", width=600, height=200)
    assert any("Content Security Policy" in line for line in seen.console)
    assert "<title>Three animals</title>" in seen.document
