"""The space of Once-for-All against its published size and its own networks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.graph import count_macs, count_parameters
from nascence.spaces import Architecture, ElasticMobile, SearchSpace, Stage
from nascence.spaces.decisions import one_hot

PUBLISHED = ElasticMobile()
SMALL = ElasticMobile(
    classes=7,
    in_channels=1,
    stages=(Stage(8, 1, squeeze=True), Stage(16, 2, hard_swish=True)),
    depths=(1, 3),
    expansions=(2, 4),
    resolutions=(9, 12),
    final=24,
    last=16,
)
architectures = st.tuples(*(st.integers(0, len(d.choices) - 1) for d in SMALL.decisions))
published = st.tuples(*(st.integers(0, len(d.choices) - 1) for d in PUBLISHED.decisions))


def test_size_is_the_published_one() -> None:
    """Cai et al. (2020), section 3.1: ((3x3)^2 + (3x3)^3 + (3x3)^4)^5, about 2 x 10^19."""
    assert isinstance(PUBLISHED, SearchSpace)
    assert PUBLISHED.networks == 25 * (9**2 + 9**3 + 9**4) ** 5
    assert PUBLISHED.networks // 25 == pytest.approx(2.18e19, rel=0.002)
    assert PUBLISHED.size == 25 * 3 ** (5 + 40)
    assert PUBLISHED.decisions[0].choices[::24] == (128, 224)


def test_networks_counts_the_different_ones() -> None:
    space = ElasticMobile(
        stages=(Stage(8, 1),), depths=(1, 2), kernels=(3, 5), expansions=(2, 3), resolutions=(8, 9)
    )
    different = {space.canonical(architecture) for architecture in space}
    assert space.networks == len(different) == 2 * (4 + 16)


def test_samples_are_uniform(generator: torch.Generator) -> None:
    drawn = torch.tensor([SMALL.sample(generator=generator) for _ in range(3000)])
    for place, decision in enumerate(SMALL.decisions):
        count = len(decision.choices)
        shares = drawn[:, place].bincount(minlength=count) / 3000
        assert len(shares) == count
        assert (shares - 1 / count).abs().max() < 0.045  # five standard deviations


def test_costs_of_the_largest_published_network() -> None:
    with torch.device("meta"):
        model = PUBLISHED.build(PUBLISHED.largest)
        macs = count_macs(model, torch.zeros(1, 3, 224, 224))
    assert PUBLISHED.cost(PUBLISHED.largest) == (count_parameters(model), macs)


@settings(deadline=None, max_examples=15)
@given(architectures, st.sampled_from([8, 12, 15]))
def test_costs_are_those_of_the_built_network(architecture: Architecture, side: int) -> None:
    """A network scales whatever images it gets, so their side changes nothing."""
    model = SMALL.build(architecture)
    images = torch.zeros(1, 1, side, side)
    assert SMALL.cost(architecture) == (count_parameters(model), count_macs(model, images))
    assert model.eval()(images).shape == (1, 7)


def test_costs_without_resolutions_follow_the_side(generator: torch.Generator) -> None:
    space = ElasticMobile(classes=3, stages=(Stage(8, 2),), resolutions=(), final=8, last=8)
    architecture = space.sample(generator=generator)
    model = space.build(architecture)
    assert space.decisions[0].name == "stage_1_depth"
    for side in (9, 16):
        macs = count_macs(model, torch.zeros(1, 3, side, side))
        assert space.macs(architecture, side=side) == macs
    assert space.macs(architecture) == space.macs(architecture, side=224)
    with pytest.raises(ValueError, match="scales all images to 12"):
        SMALL.macs(SMALL.largest, side=224)


@settings(deadline=None)
@given(published)
def test_lines_are_read_back(architecture: Architecture) -> None:
    assert PUBLISHED.parse(PUBLISHED.format(architecture)) == architecture


def test_a_line_names_values() -> None:
    line = "r12 k3e2 (k7e4) (k5e2) | k7e2 k3e4 k5e4"
    architecture = SMALL.parse(line)
    assert SMALL.format(architecture) == line
    assert SMALL.setting(architecture).resolution == 12
    assert SMALL.setting(architecture).stages == (((3, 2),), ((7, 2), (3, 4), (5, 4)))
    assert SMALL.values(architecture)["stage_2_block_3_kernel"] == 5


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "must start with a resolution"),
        ("k3e2 (k7e4) (k5e2) | k7e2 k3e4 k5e4", "must start with a resolution"),
        ("r12 k3e2 (k7e4) (k5e2)", "1 stages between"),
        ("r13 k3e2 (k7e4) (k5e2) | k7e2 k3e4 k5e4", "resolution is 13"),
        ("r12 k3e2 (k7e4) | k7e2 k3e4 k5e4", "stage 1 has 2 blocks"),
        ("r12 k3e2 (k7e4 (k5e2) | k7e2 k3e4 k5e4", "stage 1 has the block"),
        ("r12 (k3e2) k7e4 (k5e2) | k7e2 k3e4 k5e4", "after one in brackets"),
        ("r12 k3e2 k7e4 (k5e2) | k7e2 k3e4 k5e4", "stage_1_depth is 2"),
        ("r12 k4e2 (k7e4) (k5e2) | k7e2 k3e4 k5e4", "stage_1_block_1_kernel is 4"),
        ("r12 k3e2 (k7e4) (k5e2) | k7e2 k3e4 k٣e4", "stage 2 has the block"),
    ],
)
def test_what_cannot_be_read_is_named(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        SMALL.parse(line)
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=50)
@given(st.text(alphabet="rke|() 0123456789\n", max_size=30))
def test_any_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):  # none of these is an architecture
        SMALL.parse(text)


@settings(deadline=None, max_examples=15)
@given(architectures)
def test_blocks_beyond_the_depth_do_not_matter(architecture: Architecture) -> None:
    canonical = SMALL.canonical(architecture)
    assert SMALL.setting(canonical) == SMALL.setting(architecture)
    built = SMALL.built(architecture)
    assert all(index == 0 for index, there in zip(canonical, built, strict=True) if not there)
    changed = tuple(
        index if there else 1 - min(index, 1)
        for index, there in zip(architecture, built, strict=True)
    )
    assert SMALL.canonical(changed) == canonical
    assert SMALL.cost(changed) == SMALL.cost(architecture)
    assert (SMALL.codes([changed]) == SMALL.codes([architecture])).all()


def test_codes_are_one_hot_where_something_is_built() -> None:
    whole, shallow = SMALL.largest, SMALL.parse("r12 k3e2 (k3e2) (k3e2) | k7e2 k3e4 k5e4")
    codes = SMALL.codes([whole, shallow])
    assert codes.shape == (2, sum(len(decision.choices) for decision in SMALL.decisions))
    assert codes.sum(1).tolist() == [len(SMALL.decisions), len(SMALL.decisions) - 4]
    assert codes[0].tolist() == one_hot([whole], SMALL.decisions)[0].tolist()


def test_images_are_scaled_by_their_longer_side() -> None:
    model = SMALL.build(SMALL.largest)
    assert model.resize(torch.zeros(2, 1, 24, 16)).shape == (2, 1, 12, 8)
    constant = torch.full((1, 1, 30, 30), 0.7)
    torch.testing.assert_close(model.resize(constant), torch.full((1, 1, 12, 12), 0.7))


@pytest.mark.parametrize(
    ("side", "strides", "width"),
    [(224, [2, 2, 2, 2, 1, 2], 24), (32, [1, 1, 2, 2, 1, 2], 8), (16, [1, 1, 1, 2, 1, 2], 8)],
)
def test_strides_for_a_side(side: int, strides: list[int], width: int) -> None:
    space = ElasticMobile.for_side(side, classes=10)
    assert [space.stem_stride, *(stage.stride for stage in space.stages)] == strides
    assert space.resolutions[-1] == side
    assert len(space.resolutions) == 3
    assert space.geometry.places[0][0].out_channels == width
    assert ElasticMobile.for_side(side, width=16).geometry.places[0][0].out_channels == 16


def test_channels_of_the_published_geometry() -> None:
    assert [places[0].out_channels for places in PUBLISHED.geometry.places] == [
        24,
        40,
        80,
        112,
        160,
    ]
    assert (PUBLISHED.geometry.stem, PUBLISHED.geometry.final, PUBLISHED.geometry.last) == (
        16,
        960,
        1280,
    )


@pytest.mark.parametrize(
    ("given_settings", "message"),
    [
        ({"kernels": (3, 4)}, "must be odd"),
        ({"expansions": (1, 2)}, "expansions 2 or more"),
        ({"depths": (3, 2)}, "ascending"),
        ({"depths": ()}, "one or more"),
        ({"stages": ()}, "at least one"),
        ({"stages": (Stage(8, 3),)}, "strides"),
        ({"resolutions": (0, 8)}, "positive"),
        ({"width": 0}, "width is 0"),
        ({"classes": 0}, "classes is 0"),
    ],
)
def test_impossible_settings(given_settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ElasticMobile(**given_settings)


def test_impossible_sides() -> None:
    with pytest.raises(ValueError, match="8 or more pixels"):
        ElasticMobile.for_side(4)
    with pytest.raises(ValueError, match="width is 0"):
        ElasticMobile.for_side(32, width=0)
