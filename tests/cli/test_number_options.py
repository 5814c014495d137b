"""Every number of every command: what makes no sense ends on one line, before any work."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from nascence.cli import USAGE, app
from nascence.cli.number_options import Number

PLACES = {
    "design": ["nowhere"],
    "resume": ["nowhere"],
    "fold": ["nowhere"],
    "predict": ["nowhere"],
    "search": ["nowhere"],
    "classify": ["nowhere", "photo.png"],
    "evaluate": ["nowhere", "photos"],
    "try": ["nowhere"],
    "bench latency": ["nowhere"],
    "bench optimizers": [],
    "meta-train ghn": ["--out", "run"],
    "meta-train optimizer": ["--out", "run"],
}
"""What each command needs to start, with which it could not work: numbers are refused before."""
NUMBERS_IN_TEXTS = {
    ("design", "--budget"): ["{}", "{}s"],
    ("search", "--budget"): ["{}", "{}s"],
    ("search", "--limit"): ["macs={}", "latency={}"],
    ("search", "--setting"): ["population={}"],
    ("fold", "--shape"): ["{},3,32,32", "1,3,{},32"],
    ("bench optimizers", "--trials"): ["{}", "1,{}"],
    ("meta-train ghn", "--for"): ["{}", "{}s"],
    ("meta-train ghn", "--networks"): ["deepnets={}"],
    ("meta-train ghn", "--cells"): ["{},{}", "4,{}"],
    ("meta-train ghn", "--channels"): ["{}", "16,{}"],
    ("meta-train optimizer", "--for"): ["{}", "{}s"],
    ("meta-train optimizer", "--lengths"): ["{},{}", "1,{}"],
}
WORDS = {
    *("--out", "--data", "--device", "--family", "--block", "--start", "--optimizer", "--kind"),
    *("--architecture", "--onnx", "--weights", "--head", "--strategy", "--preset", "--evaluator"),
    *("--table", "--cost", "--latencies", "--split", "--splits", "--schedule", "--families"),
    *("--method", "--objective", "--outer", "--optimizers"),
    *("--pretrained", "--teacher", "--inputs", "--runtime"),
}
"""Options that hold no number; a new option of text belongs here or above."""
ABSURD = ["0", "-1", "nan", "inf", "-inf", "1e300", "1" + "0" * 18, "-1e-300", "", "five", "1e5000"]


def commands() -> Iterator[tuple[str, Any]]:
    found = typer.main.get_command(app)
    for name, command in found.commands.items():
        inner = getattr(command, "commands", None)
        if inner is None:
            yield name, command
        else:
            yield from ((f"{name} {each}", below) for each, below in inner.items())


def signatures() -> dict[str, dict[str, Any]]:
    """The options of every command as they are written, by command and by name."""
    found: dict[str, dict[str, Any]] = {}
    groups = [("", app), *((f"{g.name} ", g.typer_instance) for g in app.registered_groups)]
    for prefix, group in groups:
        for each in group.registered_commands:
            notes = each.callback.__annotations__
            options = {}
            for name, hint in notes.items():
                for note in getattr(hint, "__metadata__", ()):
                    if isinstance(note, typer.models.OptionInfo):
                        # of an annotation, typer keeps the first name as the default
                        words = (note.default, *(note.param_decls or ()))
                        declared = [word for word in words if str(word)[:2] == "--"]
                        option = declared[0] if declared else "--" + name.replace("_", "-")
                        options[option] = (hint.__origin__, note)
            command = each.name or each.callback.__name__
            found[prefix + command] = options
    return found


SIGNATURES = signatures()
NUMBERS = [
    (command, option, note.parser)
    for command, options in SIGNATURES.items()
    for option, (_, note) in options.items()
    if isinstance(note.parser, Number)
]


def test_all_commands_are_walked() -> None:
    assert set(SIGNATURES) == set(PLACES) == {name for name, _ in commands()}
    assert len(NUMBERS) > 50


@pytest.mark.parametrize("command", SIGNATURES)
def test_every_option_is_a_number_with_a_range_or_known_as_none(command: str) -> None:
    for option, (kind, note) in SIGNATURES[command].items():
        if isinstance(note.parser, Number):
            assert note.parser.option == option
        elif (command, option) not in NUMBERS_IN_TEXTS and kind is not bool:
            assert option in WORDS, f"{command} {option} has neither a range nor is it known"
            assert "int" not in str(kind), option
            assert "float" not in str(kind), option


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def run(command: str, option: str, text: str) -> str:
        words = [*command.split(), *PLACES[command], f"{option}={text}"]
        result = CliRunner().invoke(app, words)
        said = result.stderr.strip()
        assert result.exit_code == USAGE, (words, said, result.exception)
        assert said.startswith("nascence: "), said
        assert "\n" not in said
        assert not result.stdout
        assert not list(tmp_path.iterdir()), "work was begun"
        return said

    return run


@pytest.mark.parametrize(("command", "option", "parser"), NUMBERS)
def test_a_number_out_of_range_ends_on_one_line(refused, command, option, parser: Number) -> None:
    allowed = parser.allowed
    beyond = [str(allowed.most * 10 + 1), str(allowed.least - 1), *(["2.5"] * allowed.whole)]
    texts = [*ABSURD, *beyond]
    if allowed.holds(0):
        texts.remove("0")
    for text in texts:
        said = refused(command, option, text)
        assert f"{option} is " in said
        assert f"give {allowed}" in said


@pytest.mark.parametrize(
    ("command", "option", "form"),
    [(*key, form) for key, forms in NUMBERS_IN_TEXTS.items() for form in forms],
)
def test_a_number_in_a_text_ends_on_one_line(refused, command, option, form: str) -> None:
    texts = ABSURD
    if option == "--setting":  # which numbers it may be, the strategy knows
        texts = ["NaN", "Infinity", "-Infinity", "1e300", "1" + "0" * 18]
    for text in texts:
        filled = form.format(text, text)
        if filled:
            said = refused(command, option, filled)
            assert option in said or "budget" in said, said


def test_a_billion_is_taken_for_seeds_and_multiply_adds_alone() -> None:
    taken = {option for _, option, parser in NUMBERS if parser.allowed.holds(10**9)}
    assert taken == {"--seed", "--max-macs", "--max-cost"}
