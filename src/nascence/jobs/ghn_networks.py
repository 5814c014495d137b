"""The networks that the meta-training of a hypernetwork trains and validates on, by name."""

from collections.abc import Iterable, Mapping, Sequence

from nascence import registry
from nascence.hypernet import Mixture
from nascence.hypernet.draws import Networks
from nascence.spaces import Costed, SearchSpace
from nascence.spaces.deepnets import DeepNets
from nascence.spaces.meta_networks import SpaceNetworks, VisionTransformers

OWN_KINDS = {
    "deepnets": "networks of DeepNets-1M",
    "bn-free": "those without normalisation",
    "vit": "vision transformers",
}
"""Kinds of training networks that are no search spaces, with what they are."""


def networks_of(
    split: str,
    *,
    classes: int,
    size: int,
    cells: tuple[int, ...],
    channels: Sequence[int],
    max_macs: int,
) -> DeepNets:
    """Return the networks of one split at the size that the run is for.

    Training networks keep to the cells, channels and multiply-adds; those of the other splits
    to the channels (four times as many if wide), and have the split's own cells or steps.
    """
    if split == "predefined":
        return DeepNets(split, classes=classes, image_size=size)
    near = split in ("train", "search", "val", "test")
    factor = 4 if split == "wide" else 1
    fewest, most = cells
    return DeepNets(
        split,
        classes=classes,
        image_size=size,
        cells=None if split == "deep" else (fewest, most),
        channels=tuple(factor * width for width in channels),
        max_macs=max_macs if near else None,
    )


def training_networks(
    shares: Mapping[str, float],
    *,
    classes: int,
    size: int,
    cells: tuple[int, ...],
    channels: Sequence[int],
    max_macs: int,
) -> tuple[Networks, int]:
    """Return the networks to train on, and how many there are.

    Args:
        shares: Of every kind by name: those of ``OWN_KINDS``, and registered search spaces.
        classes: Outputs of the networks.
        size: Side of the images in pixels.
        cells: Fewest and most cells of a network of DeepNets-1M.
        channels: Widths of these to choose from.
        max_macs: Most multiply-adds of a network for an image.

    Raises:
        ValueError: A kind that there is not, a space without a network that can be trained on,
            or a share that is not positive.
    """
    check_kinds(shares)
    fewest, most = cells

    def deepnets(norm: str | None) -> DeepNets:
        return DeepNets(
            "train",
            classes=classes,
            image_size=size,
            cells=(fewest, most),
            channels=tuple(channels),
            max_macs=max_macs,
            norm=norm,
        )

    if set(shares) == {"deepnets"}:
        alone = deepnets(None)
        return alone.skeleton, len(alone)
    sources: dict[Networks, float] = {}
    for name, share in shares.items():
        if name == "vit":
            sources[VisionTransformers(classes=classes, image_size=size)] = share
        elif name in OWN_KINDS:
            sources[deepnets("none" if name == "bn-free" else None).skeleton] = share
        else:
            space = _space(name, classes, size)
            limit = max_macs if isinstance(space, Costed) else None
            networks = SpaceNetworks(space, image_size=size, max_macs=limit)
            networks(0)  # which says at once where none can be trained on
            sources[networks] = share
    mixture = Mixture(sources)
    return mixture, len(mixture)


def check_kinds(names: Iterable[str]) -> None:
    """Raise ValueError for a name of no kind of training network."""
    known = (*OWN_KINDS, *registry.names("space"))
    for name in names:
        if name not in known:
            raise ValueError(f"--networks has {name!r}; it may have {', '.join(known)}")


def _space(name: str, classes: int, size: int) -> SearchSpace:
    """The registered space of that name for images of ``size`` pixels."""
    make = registry.find(name, "space").load()
    try:
        space: SearchSpace = make.for_images((3, size, size), classes=classes)
    except (AttributeError, TypeError) as error:
        raise ValueError(f"--networks has {name}, which is not for images: {error}") from None
    return space
