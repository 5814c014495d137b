"""The work of ``nascence predict``: a network, predicted parameters, and how good they are."""

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.weights import write_weights
from nascence.data import Dataset
from nascence.graph import Graph, trace
from nascence.hypernet import (
    GHN,
    accuracy,
    break_symmetry,
    classifier_name,
    recalibrate,
    ridge_head,
    state_of,
)
from nascence.hypernet.predict import single_precision
from nascence.params import Params


class Prediction(NamedTuple):
    """The result of ``predict_network``: facts to print, and the values to save by name."""

    facts: dict[str, Any]
    state: Params


def predict_network(
    model: nn.Module,
    ghn: GHN,
    data: Dataset,
    *,
    images: int,
    noise: float,
    head: str,
    generator: torch.Generator,
    device: torch.device,
    own: str | None = None,
) -> Prediction:
    """Predict all parameters of ``model`` and measure them on ``data`` before any training.

    At most ``images`` training images give BatchNorm its statistics and fit the closed-form
    head; as many validation images are classified. ``noise`` parts tiled filters
    (:func:`break_symmetry`) and ``head`` "ridge" or "predicted" says which classifier the state
    has. Beside the prediction stand the model's own values treated alike; ``own`` names them
    where they are not random, and then their BatchNorm statistics are left alone.
    """
    x, labels = data.batch(min(images, len(data.train)), generator=generator)
    held = data.batch(min(images, len(data.validation)), generator=generator, split="validation")
    x, labels, held_x, held_labels = (value.to(device) for value in (x, labels, *held))
    given_model = model
    model, ghn = single_precision(model).to(device), ghn.to(device).eval()
    start = time.process_time()
    graph = trace(model, x[:1])
    with torch.no_grad():
        params = ghn([graph])[0]
    seconds = time.process_time() - start
    if noise:
        params = break_symmetry(params, generator=generator, scale=noise)
    predicted = {**params, **recalibrate(model, params, _batches(x))}
    given: Params = {name: value.detach() for name, value in model.named_parameters()}
    given.update(
        recalibrate(model, given, _batches(x)) if own is None else dict(model.named_buffers())
    )
    refused = _no_head(model, graph, data.classes)
    accuracies: dict[str, float] = {}
    heads: dict[str, Params] = {}
    for name, values in (("predicted", predicted), (own or "random", given)):
        accuracies[name] = accuracy(model, values, held_x, held_labels)
        if refused is None:
            heads[name] = ridge_head(model, graph, values, x, labels)
            fitted = {**values, **heads[name]}
            accuracies[f"{name}, closed-form head"] = accuracy(model, fitted, held_x, held_labels)
    if head == "ridge" and refused is None:
        predicted.update(heads["predicted"])
    facts = {
        "nodes": len(graph),
        "parameters": graph.parameter_count,
        "macs": graph.macs,
        "classes": data.classes,
        "seconds": seconds,
        "training_images": len(x),
        "validation_images": len(held_x),
        "accuracy": accuracies,
        "head": "ridge" if head == "ridge" and refused is None else "predicted",
        "no_closed_form_head": refused,
    }
    return Prediction(facts, state_of(given_model, predicted))


def _batches(images: Tensor) -> list[Tensor]:
    return [batch for batch in images.split(64) if len(batch) > 1]


def _no_head(model: nn.Module, graph: Graph, classes: int) -> str | None:
    """Return why the classifier cannot be fitted in closed form, or None if it can."""
    try:
        name = classifier_name(graph)
    except ValueError as error:
        return str(error)
    outputs = len(model.get_parameter(f"{name}.weight"))
    if outputs < classes:
        raise ValueError(f"the network has {outputs} outputs but the data {classes} classes")
    return None


def save_state(state: Params, path: Path, facts: dict[str, Any]) -> None:
    """Write a state atomically as safetensors, with ``facts`` as its card."""
    write_weights(path, state, metadata={"card": json.dumps(facts)}, parents=False)
