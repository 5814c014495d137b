"""Studies in a journal file: what is refused, what is mended, what is left alone."""

import multiprocessing
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution

from nascence.search import open_study, read_history
from nascence.spaces import NB201

SPACE = NB201(width=4, cells=1)


def test_a_journal_holds_studies_of_several_spaces(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "search.journal"
    open_study(path, space=SPACE, name="small")
    open_study(path, space=NB201(), name="published")
    assert open_study(path, space=SPACE, name="small").study_name == "small"
    with pytest.raises(ValueError, match=r"'small' was made with the space NB201.*width=4"):
        open_study(path, space=NB201(), name="small")


def test_direction_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    open_study(path, space=SPACE, name="search", direction="minimize")
    with pytest.raises(ValueError, match="is to minimize the score, not to maximize it"):
        open_study(path, space=SPACE, name="search")
    with pytest.raises(ValueError, match="direction is 'up'"):
        open_study(path, space=SPACE, name="search", direction="up")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "content",
    [
        b"a note\n",
        b"a note without an end",
        b'{"width": 3}\n',
        b'{"width": 3}',
        b'{"op_code":0}\nnot json\n{"op_code":0}\n',
        b"\xff\xfe\x00\n",
        b"[" * 100_000 + b"\n",
        b"\n",
    ],
)
def test_a_file_of_another_kind_is_refused_and_left_alone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not an Optuna journal"):
        open_study(path, space=SPACE, name="search")
    assert path.read_bytes() == content


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="is a folder"):
        open_study(tmp_path, space=SPACE, name="search")


def test_optuna_reads_the_study_and_stays_quiet(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = optuna.logging.get_verbosity()
    path = tmp_path / "search.journal"
    open_study(path, space=SPACE, name="search")
    open_study(path, space=SPACE, name="search")
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
    backend = optuna.storages.journal.JournalFileBackend(str(path))
    storage = optuna.storages.JournalStorage(backend)
    assert optuna.load_study(study_name="search", storage=storage).user_attrs == {
        "space": SPACE.description
    }
    assert [file.name for file in tmp_path.iterdir()] == ["search.journal"]


def test_trials_that_are_no_architecture_are_refused(tmp_path: Path) -> None:
    study = open_study(tmp_path / "search.journal", space=SPACE, name="search")
    study.add_trial(
        optuna.create_trial(
            params={"edge_0_1": "none"},
            distributions={"edge_0_1": CategoricalDistribution(("none",))},
            value=1.0,
        )
    )
    with pytest.raises(ValueError, match="trial 0 of study 'search' is not an architecture"):
        read_history(study, space=SPACE)


def add_attributes(path: Path, writer: int) -> None:
    study = open_study(path, space=SPACE, name="search")
    for number in range(20):
        study.set_user_attr(f"{writer}.{number}", number)


def test_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "search.journal"
    open_study(path, space=SPACE, name="search")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=add_attributes, args=(path, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(open_study(path, space=SPACE, name="search").user_attrs) == 1 + 40
