"""``nascence classify`` and ``nascence evaluate``: what they print, and what they refuse."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from nascence import cli
from nascence.inference import classify, find_images, read_classifier
from tests.inference.conftest import Made, make_network


def run(*words: object, stdin: str = "") -> Result:
    return CliRunner().invoke(cli.app, [str(word) for word in words], input=stdin)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_network(tmp_path_factory.mktemp("made"), grey=False)


@pytest.fixture
def expected(made: Made) -> dict[str, tuple[str, float]]:
    """The best class of each photo, and its probability."""
    classifier = read_classifier(made.path)
    found = {}
    for each in classify(classifier, find_images([made.photos])):
        ((index, share),) = each.top(1)
        found[each.image] = classifier.class_names[index], share
    return found


def test_text_csv_and_json_say_the_same(
    made: Made,
    expected: dict[str, tuple[str, float]],
) -> None:
    text = run("classify", made.path, made.photos, "--top", 1)
    assert text.exit_code == cli.DONE
    assert text.stdout.splitlines() == [
        f"{image}: {name} {share:.1%}" for image, (name, share) in expected.items()
    ]
    rows = list(
        csv.DictReader(io.StringIO(run("classify", made.path, made.photos, "--csv").stdout))
    )
    assert {row["image"]: row["class_1"] for row in rows} == {
        image: name for image, (name, _) in expected.items()
    }
    for row in rows:  # there are two classes, so that --top 3 gives two
        assert float(row["probability_1"]) + float(row["probability_2"]) == pytest.approx(1)
    facts = json.loads(run("classify", made.path, made.photos, "--json").stdout)
    assert [each["image"] for each in facts["images"]] == list(expected)
    assert [each["classes"][0]["class"] for each in facts["images"]] == [
        name for name, _ in expected.values()
    ]
    assert facts["skipped"] == []


def test_files_and_a_list_on_stdin(
    made: Made,
    expected: dict[str, tuple[str, float]],
) -> None:
    first, second, *_ = expected
    found = run("classify", made.path, second, "-", stdin=f"{first}\n\n{second}\n")
    assert [line.partition(": ")[0] for line in found.stdout.splitlines()] == [
        second, first, second,
    ]  # fmt: skip


def test_an_unreadable_image_is_named_and_the_exit_code_is_1(
    made: Made,
    tmp_path: Path,
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    good = find_images([made.photos])[0]
    for option in ([], ["--csv"], ["--json"]):
        found = run("classify", made.path, tmp_path / "broken.png", good, *option)
        assert found.exit_code == cli.FAILED
        assert found.stderr.splitlines() == [
            f"nascence: {tmp_path / 'broken.png'} is not a readable image"
        ]
        assert str(good) in found.stdout
    facts = json.loads(found.stdout)
    assert facts["skipped"][0]["image"] == str(tmp_path / "broken.png")


def test_names_cannot_write_on_the_terminal(made: Made, tmp_path: Path) -> None:
    name = 'a\x1b[31m,"b".png'
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / name)
    for option in ([], ["--csv"], ["--json"]):
        found = run("classify", made.path, tmp_path, *option)
        assert found.exit_code == cli.DONE
        assert "\x1b" not in found.stdout
    rows = list(csv.reader(io.StringIO(run("classify", made.path, tmp_path, "--csv").stdout)))
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none", "x.png"], "nothing at none"),
        (["{made}", "none.png"], "nothing at none.png"),
        (["{made}", "-"], "no image was given"),
        (["{made}", "{photos}", "--csv", "--json"], "choose one"),
        (["{photos}", "{photos}"], "holds no run"),
    ],
)
def test_what_cannot_be_done_is_one_line(made: Made, words: list[str], said: str) -> None:
    found = run("classify", *(word.format(made=made.path, photos=made.photos) for word in words))
    assert found.exit_code == cli.USAGE
    (line,) = found.stderr.splitlines()
    assert said in line
    assert not found.stdout


def test_evaluate_prints_what_its_json_says(made: Made) -> None:
    facts = json.loads(run("evaluate", made.path, made.photos, "--json").stdout)
    confusion = np.array(facts["confusion"])
    assert facts["images"] == confusion.sum() == 16
    assert facts["accuracy"] == pytest.approx(np.trace(confusion) / 16)
    assert [row["class"] for row in facts["classes"]] == ["cats", "dogs"]
    assert facts["classes"][0]["recall"] == pytest.approx(confusion[0, 0] / 8)
    assert sum(each["images"] for each in facts["calibration"]) == 16
    printed = run("evaluate", made.path, made.photos, "--quiet")
    assert printed.exit_code == cli.DONE
    assert printed.stderr == ""
    assert f"Accuracy {facts['accuracy']:.2%}" in printed.stdout
    assert f"error {facts['calibration_error']:.2%}" in printed.stdout
    assert printed.stdout.count("is better") >= 3


def test_a_reader_that_has_enough_is_no_failure_to_speak_of(made: Made) -> None:
    command = [sys.executable, "-m", "nascence.cli", "classify", str(made.path)]
    files = [str(path) for path in find_images([made.photos])] * 200
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, "-"], stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write("\n".join(files).encode())
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read().decode()
    assert "Broken pipe" not in said
    assert "Traceback" not in said
