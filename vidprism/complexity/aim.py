"""AIM inside CLIP's tower, whose attention runs a second time, over time."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, bottleneck, linear, products, table


def clips(
    tower: Tower,
    n_classes: int,
    frames: int,
    mlp_scale: float,
    input_adapter: bool,
    drop_path: float,
    dropout: float,
    label_smoothing: float,
) -> Adapted:
    """See `vidprism.methods.aim`; of the options only `input_adapter` changes the count."""
    width, tokens = tower.width, tower.tokens
    adapters = bottleneck(tokens, width, width // 4).times(4 if input_adapter else 3).applied(frames)
    over_time = Cost(frames * 4 * tokens * width**2 + tokens * products(frames, frames, width).macs)
    classifier = linear(1, width, n_classes)
    new = adapters.times(tower.layers) + table(frames, width) + classifier
    unused = Cost(-frames * tower.projection.macs)
    view = tower.view(frames) + new + Cost(tower.layers * over_time.macs) + unused
    return Adapted(view, new.parameters + tower.norm_out.parameters)
