"""Numbered families take turns and depend on the number alone."""

from nascence.tasks import NumberedFamily
from nascence.tasks.functions import Function


def test_problems_take_turns_and_the_family_costs_its_most_costly() -> None:
    family = NumberedFamily("two", (Function("bowl"), Function("ackley")), 5)
    assert len(family) == 5
    assert [family.task(k).problem for k in range(3)] == [
        Function("bowl"),
        Function("ackley"),
        Function("bowl"),
    ]
    assert family.cost == Function("bowl").cost


def test_a_task_depends_on_family_and_number_alone() -> None:
    long, short = (NumberedFamily("one", (Function("bowl"),), count) for count in (9, 3))
    other = NumberedFamily("other", (Function("bowl"),), 9)
    assert long.task(2).constants["scale"] == short.task(2).constants["scale"]
    assert long.task(2).constants["scale"] != other.task(2).constants["scale"]
    assert long.task(2).constants["scale"] != long.task(1).constants["scale"]
