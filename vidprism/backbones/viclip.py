"""ViCLIP: CLIP's image tower over all patches of a clip at once, and a text tower, as a clip encoder.

The patches of all frames get CLIP's positions and one learned position per frame. They form one sequence behind a
single class token, in which every token sees every other. A clip is one feature. Source: Wang et al., "InternVid",
ICLR 2024, Section 4, and github.com/OpenGVLab/InternVideo, Data/InternVid/viclip (Apache-2.0; facts only).

Letters: B clips, T frames, S pixels, L tokens, W width, D joint width.
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn

from vidprism.backbones import NORMALISATIONS
from vidprism.backbones._checkpoints import fill, read_state, weights_path
from vidprism.backbones._towers import JointTower
from vidprism.backbones.clip import ClipBackbone, create, load_weights
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig, ConfigError

FRAMES = 8  # of a clip, each with a position of its own
_CHUNK_CLIPS = 8  # encoded at a time when no gradients are kept
# Names in the published files -> names in the model of open_clip with `times_TW`.
_RENAMED = (
    (r"vision_encoder\.temporal_positional_embedding$", "visual.times_TW"),
    (r"vision_encoder\.", "visual."),
    (r"text_encoder\.", ""),
    (r"temp$", "logit_scale"),
)


class ViClipBackbone(ClipBackbone):
    """A ViCLIP model as a clip encoder (see vidprism.backbones). Its image tower owns the positions of frames,
    `times_TW`.
    """

    tubelet = FRAMES

    def encode_clips(self, clips: Tensor) -> Tensor:
        """(B, T, S, S, 3) uint8 RGB to (B, 1, D) float32; gradients flow if they are enabled.

        Raises:
            ConfigError: another number of frames than the model has positions for.
            ValueError: another shape or type.
        """
        size = self.image_size
        if clips.dtype != torch.uint8 or clips.shape[2:] != (size, size, 3):
            wrong = f"{tuple(clips.shape)} {clips.dtype}"
            raise ValueError(f"clips must be (B, T, {size}, {size}, 3) uint8, not {wrong}; see vidprism.videos.clips")
        if clips.shape[1] != FRAMES:
            raise ConfigError(f"params.yaml: ViCLIP sees clips of {FRAMES} frames, not of {clips.shape[1]}")
        if torch.is_grad_enabled():
            return self._encode(clips)
        return torch.cat([self._encode(part) for part in clips.split(_CHUNK_CLIPS)])

    def encode_frames(self, frames: Tensor) -> Tensor:
        """There is no feature of a single frame.

        Raises:
            ValueError: always.
        """
        raise ValueError("ViCLIP encodes clips, not single frames")

    def _encode(self, clips: Tensor) -> Tensor:
        tower = self.tower()
        x_BLW = self.module.transformer(tower.norm_in(tower.tokens(clips)))
        return tower.project(tower.norm_out(x_BLW[:, :1])).float()

    def tower(self) -> JointTower:
        """See `vidprism.backbones.Backbone`."""
        return JointTower(self.module, self._normalised)


def build(spec: BackboneConfig, device: str = "cpu") -> ViClipBackbone:
    """A ViCLIP backbone with weights.

    Args:
        spec: `model` is a CLIP model, as for `vidprism.backbones.clip`, with 32 tokens of text for the published
            weights (`viclip_b16`, `viclip_l14`). `weights` is a file or a folder of this suite, a published file
            (such as ViCLIP-B_InternVid-FLT-10M.pth), or ``random``.

    Raises:
        ValueError: unknown model; a checkpoint that is damaged or of another shape.
        FileNotFoundError: nothing is at `weights`.
    """
    import open_clip

    model = with_times(create(spec.model))
    if spec.weights != RANDOM_WEIGHTS:
        path = weights_path(spec.weights)
        fill(model, from_published(read_state(path)), path)
    if spec.normalisation != "checkpoint":
        mean, std = NORMALISATIONS[spec.normalisation]
        model.visual.preprocess_cfg.update(mean=mean, std=std)
    return ViClipBackbone(model, open_clip.get_tokenizer(spec.model), device)


def from_clip(spec: BackboneConfig, device: str = "cpu") -> ViClipBackbone:
    """A ViCLIP that has seen no video: the weights of a CLIP file, and positions of frames that are zero.

    Raises:
        ValueError, FileNotFoundError: see `vidprism.backbones.clip.build`.
    """
    import open_clip

    model = create(spec.model)
    load_weights(model, weights_path(spec.weights), spec.model)
    return ViClipBackbone(with_times(model), open_clip.get_tokenizer(spec.model), device)


def with_times(model: Any) -> Any:
    """The CLIP model, whose image tower has got a position for each frame of a clip, all zero."""
    first = model.visual.conv1.weight
    model.visual.times_TW = nn.Parameter(torch.zeros(FRAMES, first.shape[0], device=first.device))
    return model


def from_published(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights under the names of open_clip's model; those of a published file are renamed and reshaped, others stay."""
    if not any(name.startswith("vision_encoder.") for name in found):
        return found
    state = {}
    for name, value in found.items():
        for pattern, replacement in _RENAMED:
            name, n_found = re.subn(f"^{pattern}", replacement, name)
            if n_found:
                break
        state[name] = value
    state["visual.conv1.weight"] = state["visual.conv1.weight"].squeeze(2)  # its convolution has one frame
    state["visual.times_TW"] = state["visual.times_TW"].squeeze(0)
    state["logit_scale"] = -state["logit_scale"].float().log()  # the file has the temperature itself
    return state


def visual(name: str) -> tuple[nn.Module, int]:
    """The image tower on the device "meta", and D."""
    tower = with_times(create(name, device="meta")).visual
    return tower, int(tower.output_dim)
