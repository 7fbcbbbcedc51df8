"""Which blocks of a backbone the tuned track trains (`train.tuning`), and at which share of the backbone's learning
rate.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable

import torch
from torch import nn

from vidprism.backbones import Backbone
from vidprism.config import ConfigError, nearest
from vidprism.training.recipe import Recipe, Tuning, parameter_groups

Groups = list[tuple[list[nn.Parameter], float]]


def select(backbone: Backbone, tuned: Tuning) -> Groups:
    """Freeze the parts that are not trained, and list the trained ones.

    With layer decay d, the n-th of N blocks (from 1) has the share d ** (N - n), so that the last block, which ends in
    the embedding, has 1 (Bao et al., "BEiT", 2022, where the head has the exponent 0).

    Returns:
        Trained parameters with their share of the backbone's learning rate; a single entry if neither blocks
        nor a decay are set.

    Raises:
        ConfigError: an entry of `train.blocks` names no block.
    """
    if tuned.tuning == "frozen":
        backbone.module.requires_grad_(False)
        return []
    if tuned.tuning == "full" and tuned.layer_decay == 1.0:
        return [([p for p in backbone.module.parameters() if p.requires_grad], 1.0)]
    blocks = backbone.blocks()
    names = [name for name, _ in blocks]
    chosen = set(names) if tuned.tuning == "full" else matching(tuned.blocks, names)
    groups = []
    for depth, (name, parameters) in enumerate(blocks, start=1):
        for parameter in parameters:
            parameter.requires_grad_(parameter.requires_grad and name in chosen)
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        groups.append((trained, tuned.layer_decay ** (len(blocks) - depth)))
    return [(parameters, share) for parameters, share in groups if parameters]


def matching(entries: tuple[str, ...], names: list[str]) -> set[str]:
    """The blocks that `train.blocks` names: a name, a pattern such as `block_*`, or `last 3` (of all names in order).

    Raises:
        ConfigError: an entry names no block.
    """
    chosen: set[str] = set()
    for entry in entries:
        word, _, count = entry.partition(" ")
        if word == "last" and count.isdecimal() and 0 < int(count) <= len(names):
            found = names[-int(count) :]
        else:
            found = fnmatch.filter(names, entry)
        if not found:
            raise ConfigError(f"params.yaml: train.blocks names the unknown block '{entry}'; {nearest(entry, names)}")
        chosen |= set(found)
    return chosen


def own(model: nn.Module, trained: Iterable[tuple[Iterable[nn.Parameter], float]], tuned: Tuning) -> Groups:
    """Freeze all of a model but what its method trains, and list that with its share of the searched rate.

    Raises:
        ConfigError: `train.tuning`, `blocks`, `layer_decay` or `strategy` ask for something else.
    """
    asked = {"tuning": "full", "layer_decay": 1.0, "strategy": "ddp"}
    for name, value in asked.items():
        if getattr(tuned, name) != value:
            raise ConfigError(
                f"params.yaml: train.{name} is {getattr(tuned, name)}, but this method says itself what trains, and "
                f"runs with {value} only; set it to {value}, or take the method out of the lists"
            )
    groups = [(list(parameters), share) for parameters, share in trained]
    model.requires_grad_(False)
    for parameters, _ in groups:
        for parameter in parameters:
            parameter.requires_grad_(True)
    return groups


def optimizer(groups: Groups, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW over groups of parameters, each with its share of the recipe's rate."""
    return torch.optim.AdamW(
        [group for parameters, share in groups for group in parameter_groups(parameters, recipe, lr_scale=share)],
        betas=(0.9, recipe.beta2),
    )


def units(backbone: Backbone) -> list[nn.Module]:
    """The modules that form one block of the backbone each. A block of several modules, such as a stem, has none."""
    # the outermost module with these parameters, because the backbone calls this module
    by_parameters = {frozenset(map(id, m.parameters())): m for m in reversed(list(backbone.module.modules()))}
    found = [by_parameters.get(frozenset(map(id, parameters))) for _, parameters in backbone.blocks()]
    return [module for module in found if module is not None]
