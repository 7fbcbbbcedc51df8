"""X-CLIP: messages inside CLIP's tower, a layer over the frames, texts prompted by each video."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, attention, linear, norm, products, table, total, transformer_layer


def clips(tower: Tower, n_classes: int, frames: int, prompt_layers: int, label_smoothing: float) -> Adapted:
    """See `vidprism.methods.x_clip`. The texts are frozen, but what a video adds to them is computed for each view."""
    width, dim = tower.width, tower.dim
    message = total(linear(frames, width, width), norm(width), attention(frames, width)).times(tower.layers)
    joined = attention(tower.tokens + 1, width).macs - attention(tower.tokens, width).macs
    one_more_token = Cost(tower.layers * frames * joined)
    over_time = table(frames, dim) + transformer_layer(frames, dim)
    new = total(message, one_more_token, over_time, prompt(tower, n_classes, frames, prompt_layers))
    cosines = Cost(dim * n_classes)
    view = tower.view(frames) + new + cosines
    return Adapted(view, view.parameters)


def prompt(tower: Tower, n_classes: int, frames: int, layers: int) -> Cost:
    """The patches in the joint width, and the layers in which texts attend to them."""
    dim, patches = tower.dim, tower.patches
    summary = total(norm(tower.width), linear(frames * patches, tower.width, dim, bias=False), norm(dim))
    maps = linear(n_classes, dim, dim, bias=False) + linear(patches, dim, dim, bias=False).times(2)
    mixing = products(n_classes, patches, dim) + linear(n_classes, dim, dim)
    mlp = linear(n_classes, dim, 4 * dim) + linear(n_classes, 4 * dim, dim)
    return total(summary, total(maps, mixing, mlp, norm(dim).times(2)).times(layers), table(dim))
