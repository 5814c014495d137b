"""Which networks the search of stages compares, and how long their short trainings are."""

from nascence.design import recipe
from nascence.design.families import staged_designs as designs
from nascence.design.families.halving import Entrant, Rounds
from nascence.design.families.staged_cost import StagedCost, space_of
from nascence.design.run import Run
from nascence.search import Limit, Limits, sample_allowed
from nascence.spaces import Architecture, StagedSpace
from nascence.training import faster_precision, unmeasured_precision

PASSES = (15.0, 60.0)
"""How often, at least and at most, a network should see every image in the time there is: in equal
time a wider network that sees them less often ends better (docs/results/design.md). A short
training favours what is cheap, so only networks that cost about the same are compared."""
OVERSIZE = 3.0
"""Networks with so many times the multiply-adds that the time allows at a usual speed are left out
at once."""
FIRST, SECOND = 0.02, 0.06
"""Shares of the whole training at the ends of the two rounds of short trainings."""
SPENT = 0.16
"""Share of the time that all first rounds may take together."""
LEAST_STEPS = 400
"""Steps below which a short training misleads: after 40 to 100 it liked best what ended worst."""
LEAST = 4
"""Networks below which there is nothing to compare, and the design by hand is taken at once."""
FEWEST_IMAGES = 20
"""Training images below which none can be held out to compare networks on."""
MOST = 8
"""Most networks in the first round."""


def space_in(run: Run) -> StagedSpace:
    """The space that is searched for the images of a run."""
    return space_of(run.data.image_shape, classes=run.data.classes)


def precision_of(run: Run, space: StagedSpace) -> dict[str, str]:
    """The faster precision on this machine, measured on a design by hand."""
    if run.settings.steps:
        return {"precision": unmeasured_precision(run.device)}
    model = space.build(designs.hand_designs(space)[1])
    return {"precision": faster_precision(model, run.data, device=run.device, **recipe.FEW)}


def rounds_of(run: Run, space: StagedSpace, cost: StagedCost, precision: str) -> Rounds:
    """Which networks are trained for how long."""
    settings, hands = run.settings, designs.hand_designs(space)
    # What no network can keep is said before the speed of the machine is measured.
    cost.limits(parameters=settings.max_params, latency_ms=settings.max_latency_ms)
    seconds = run.shares.search + run.shares.train
    slowness, step = 1.0, 0.0
    if not settings.steps:
        step = recipe.seconds_per_step(
            space.build(hands[1]),
            run.data,
            device=run.device,
            settings={**recipe.staged(run.side, optimizer=run.optimizer), **recipe.FEW},
            precision=precision,  # type: ignore[arg-type]
            steps=8,
        )
        step *= recipe.BATCH / min(recipe.FEW["batch_size"], len(run.data.train))
        slowness = step / (1e-3 * recipe.BATCH * cost.training_ms(hands[1]))
    steps = settings.steps or max(int(seconds / step), 1)
    first = max(FIRST, min(LEAST_STEPS, steps) / steps) if not settings.trials else FIRST
    count = settings.trials or min(int(SPENT / first), MOST)
    if len(run.data.train) < FEWEST_IMAGES or (not settings.trials and count < LEAST):
        count = 1
    names = entrants_of(run, space, cost, count, seconds=seconds / slowness)
    return Rounds(
        names=tuple(map(space.format, names)),
        mutants=count // 4 if len(names) > 2 else 0,
        first=first,
        second=max(SECOND, 2 * first),
        seconds=seconds,
        slowness=slowness,
        precision=precision,  # type: ignore[arg-type]
    )


def suited(
    run: Run, space: StagedSpace, cost: StagedCost, seconds: float, *, cheap: bool = False
) -> Limits:
    """The limits of the user, and those of the passes that fit into so many undisturbed seconds.

    ``cheap`` allows networks that see the images more often than ``PASSES`` says, too.
    """
    settings = run.settings
    allowed = cost.limits(parameters=settings.max_params, latency_ms=settings.max_latency_ms)
    if settings.steps:
        return allowed
    known = designs.hand_designs(space)[1]
    least, most = (1e3 * seconds / (len(run.data.train) * passes) for passes in reversed(PASSES))
    # Counting is free, timing is not: what is far too large is not timed at all.
    macs = OVERSIZE * most * cost.macs(known) / cost.training_ms(known)
    limits = (
        Limit("multiply-adds", cost.macs, macs),
        *allowed.limits,
        Limit("training ms", cost.training_ms, most),
    )
    enough = Limit("1 / training ms", lambda each: 1 / cost.training_ms(each), 1 / least)
    return Limits(*limits) if cheap else Limits(*limits, enough)


def entrants_of(
    run: Run, space: StagedSpace, cost: StagedCost, count: int, *, seconds: float
) -> list[Architecture]:
    """Designs by hand that suit the time, the largest first, and as many that are drawn."""
    fitting = suited(run, space, cost, seconds)
    affordable = suited(run, space, cost, seconds, cheap=True)
    by_size = designs.hand_designs(space)[::-1]
    hands = [each for each in by_size if fitting(each)]
    # In a long time even the largest design by hand sees the images more often than that.
    hands = hands or [each for each in by_size if affordable(each)][:1]
    settings = run.settings
    allowed = cost.limits(parameters=settings.max_params, latency_ms=settings.max_latency_ms)
    narrow = [each for each in by_size[::-1] if allowed(each)][:1]
    if count < 2 and (hands or narrow):
        return (hands or narrow)[:1]
    wanted = max(count - count // 4, 1)
    chosen = hands[: max(wanted // 2, 1)]
    chosen += designs.drawn(
        space,
        wanted - len(chosen),
        allowed=fitting,
        known=set(hands),
        generator=run.generator(2),
    )
    if chosen:
        return chosen
    # Nothing is fast enough for the time there is: the limits of the user alone count.
    return narrow or [sample_allowed(space, allowed=allowed, known=(), generator=run.generator(5))]


def mutants_of(
    run: Run,
    space: StagedSpace,
    cost: StagedCost,
    rounds: Rounds,
    begun: list[Entrant],
) -> list[str]:
    """Variants of the best two within the same limits as the others."""
    parents = sorted(begun, key=lambda each: each.loss)[:2]
    found = designs.mutants(
        space,
        [each.architecture for each in parents],
        rounds.mutants,
        allowed=suited(run, space, cost, rounds.seconds / rounds.slowness),
        known={each.architecture for each in begun},
        generator=run.generator(9),
    )
    return [space.format(each) for each in found]
