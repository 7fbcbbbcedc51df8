"""VideoMAE as a clip encoder, through transformers: the published V2 checkpoints and the small model of the mini world.

Two frames become one time step, and all patches of a clip attend to each other. The feature of a time step is the mean
over its patches. Sources: Tong et al., "VideoMAE", NeurIPS 2022; Wang et al., "VideoMAE V2", CVPR 2023. transformers
takes seconds to import, so it is imported where a model is built.

Letters: B clips, T frames, F = T / 2 time steps, P patches of a time step, D width, S side in pixels.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.backbones import NORMALISATIONS
from vidprism.backbones._checkpoints import fill, read_state, weights_path
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig, ConfigError, nearest

_MODELS = Path(__file__).parent
NORM_EPS = 1e-6  # epsilon of every norm in the published models
_CHUNK_FRAMES = 64  # encoded at a time when no gradients are kept

# Names in the published files -> names in `ClipEncoder`. Left out: the classifier, and the decoder of pre-training.
_RENAMED = (
    (r"patch_embed\.proj\.", r"model.embeddings.patch_embeddings.projection."),
    (r"blocks\.(\d+)\.norm1\.", r"model.encoder.layer.\1.layernorm_before."),
    (r"blocks\.(\d+)\.norm2\.", r"model.encoder.layer.\1.layernorm_after."),
    (r"blocks\.(\d+)\.attn\.([qv])_bias$", r"model.encoder.layer.\1.attention.attention.\2_bias"),
    (r"blocks\.(\d+)\.attn\.proj\.", r"model.encoder.layer.\1.attention.output.dense."),
    (r"blocks\.(\d+)\.mlp\.fc1\.", r"model.encoder.layer.\1.intermediate.dense."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"model.encoder.layer.\1.output.dense."),
)
_LEFT_OUT = ("head.", "decoder.", "encoder_to_decoder.", "mask_token")


class ClipEncoder(nn.Module):
    """Patches, fixed positions, transformer blocks, the mean over the patches of each time step, and one norm.

    With `norm_tokens` the norm comes before the mean, as at the end of a self-supervised encoder (``norm``); otherwise
    it comes after the mean, as in a fine-tuned or distilled one (``fc_norm``).
    """

    def __init__(self, shape: dict, norm_tokens: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.model: Any = _transformer(shape)
        self.model.embeddings.position_embeddings = position_table(shape, shape["width"])[None]
        norm = nn.LayerNorm(shape["width"], eps=NORM_EPS)
        self.norm: nn.Module = norm if norm_tokens else nn.Identity()
        self.fc_norm: nn.Module = nn.Identity() if norm_tokens else norm

    def forward(self, pixels_BT3SS: Tensor) -> Tensor:
        """Normalised pixels (B, T, 3, S, S) -> features (B, F, D)."""
        x_BND = self.model.embeddings.patch_embeddings(pixels_BT3SS)
        n_steps = pixels_BT3SS.shape[1] // self.shape["tubelet_size"]
        x_BND = self.model.encoder(x_BND + self.positions(n_steps).to(x_BND)).last_hidden_state
        return self.fc_norm(self.norm(x_BND).unflatten(1, (n_steps, -1)).mean(dim=2))

    def positions(self, n_steps: int) -> Tensor:
        """The sine and cosine table (1, F P, D), interpolated in time if the clip has another number of time steps than
        the model was trained with.
        """
        table_1ND, trained = (
            self.model.embeddings.position_embeddings,
            self.shape["frames"] // self.shape["tubelet_size"],
        )
        if n_steps == trained:
            return table_1ND
        along_time = table_1ND.unflatten(1, (trained, -1)).flatten(2).transpose(1, 2)  # (1, P D, F)
        other = F.interpolate(along_time, n_steps, mode="linear", align_corners=False)
        return other.transpose(1, 2).unflatten(2, (-1, table_1ND.shape[-1])).flatten(1, 2)


def position_table(shape: dict, width: int) -> Tensor:
    """The fixed positions of a clip's tokens (F P, D): sines and cosines of the token's number, as published, or, with
    ``"positions": "separable"``, of its time, row and column, using a third of the width each.
    """
    n_steps, side = shape["frames"] // shape["tubelet_size"], shape["image_size"] // shape["patch_size"]
    if shape.get("positions") != "separable":
        return _sinusoids(torch.arange(n_steps * side**2, device="cpu"), width)
    third = width // 3 // 2 * 2
    time, row, column = torch.meshgrid(*(torch.arange(n, device="cpu") for n in (n_steps, side, side)), indexing="ij")
    parts = ((time, third), (row, third), (column, width - 2 * third))
    return torch.cat([_sinusoids(place.flatten(), d) for place, d in parts], dim=1)


def _sinusoids(places_N: Tensor, width: int) -> Tensor:
    """Sine (even) and cosine (odd dimensions) of place / 10000 ** (2 (d // 2) / width): (N, width)."""
    d = torch.arange(width, device="cpu", dtype=torch.float64)
    angles = places_N[:, None] / 10000 ** (2 * (d // 2) / width)
    return torch.where(d % 2 == 0, angles.sin(), angles.cos()).float()


def _transformer(shape: dict) -> Any:
    from transformers import VideoMAEConfig, VideoMAEModel

    return VideoMAEModel(
        VideoMAEConfig(
            image_size=shape["image_size"],
            patch_size=shape["patch_size"],
            num_frames=shape["frames"],
            tubelet_size=shape["tubelet_size"],
            hidden_size=shape["width"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            intermediate_size=int(shape["width"] * shape["mlp_ratio"]),
            layer_norm_eps=NORM_EPS,
            use_mean_pooling=True,  # this model has no final norm: `ClipEncoder` adds it
            attn_implementation="sdpa",  # type: ignore[call-arg]
        )
    )


class VideoMAEBackbone:
    """A VideoMAE encoder with the interface of vidprism.backbones.Backbone. It has no text tower."""

    has_text = False
    logit_scale = 1.0

    def __init__(self, encoder: ClipEncoder, normalisation: str = "imagenet", device: str = "cpu") -> None:
        self.module: Any = encoder.to(device).eval()
        self.dim, self.image_size = encoder.shape["width"], encoder.shape["image_size"]
        self.tubelet: int = encoder.shape["tubelet_size"]
        self._normalisation, self._device = normalisation, device

    def encode_clips(self, clips: Tensor) -> Tensor:
        """(B, T, S, S, 3) uint8 RGB to (B, T / 2, D) float32; gradients flow if they are enabled.

        Raises:
            ConfigError: an odd number of frames.
            ValueError: another shape or type.
        """
        size, n_frames = self.image_size, clips.shape[1]
        if clips.dtype != torch.uint8 or clips.shape[2:] != (size, size, 3):
            wrong = f"{tuple(clips.shape)} {clips.dtype}"
            raise ValueError(f"clips must be (B, T, {size}, {size}, 3) uint8, not {wrong}; see vidprism.videos.clips")
        if n_frames % self.tubelet:
            raise ConfigError(
                f"params.yaml: VideoMAE takes {self.tubelet} frames per time step, and {n_frames} frames do not "
                "divide into them; choose an even number of frames"
            )
        if torch.is_grad_enabled():
            return self._encode(clips)
        return torch.cat([self._encode(part) for part in clips.split(max(1, _CHUNK_FRAMES // n_frames))])

    def _encode(self, clips: Tensor) -> Tensor:
        return self.module(normalised(clips.to(self._device), self._normalisation)).float()

    def encode_text(self, texts: list[str]) -> Tensor:
        """There is no text tower.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(
            "params.yaml: VideoMAE has no text tower; a method that uses class texts needs a CLIP backbone"
        )

    def tower(self) -> Any:
        """Methods that work inside a tower are made for CLIP's.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("params.yaml: a method that works inside the image tower needs a CLIP backbone, not VideoMAE")

    def text_tower(self) -> Any:
        """There is no text tower.

        Raises:
            ConfigError: always.
        """
        return self.encode_text([])

    def blocks(self) -> list[tuple[str, list[nn.Parameter]]]:
        """`stem` (patches), `block_0` to the last transformer block, `head` (the norm)."""
        stem, layers = self.module.model.embeddings, self.module.model.encoder.layer
        parts = [("stem", [stem]), *((f"block_{i}", [layer]) for i, layer in enumerate(layers))]
        parts += [("head", [self.module.norm, self.module.fc_norm])]
        return [(name, [p for module in modules for p in module.parameters()]) for name, modules in parts]

    def set_grad_checkpointing(self) -> None:
        """See `vidprism.backbones.Backbone`."""
        self.module.model.gradient_checkpointing_enable()


def normalised(clips: Tensor, name: str = "imagenet") -> Tensor:
    """Clips (B, T, S, S, 3) uint8 to the model's pixels (B, T, 3, S, S) float32."""
    mean, std = (torch.tensor(v, device=clips.device)[:, None, None] for v in NORMALISATIONS[name])
    return (clips.permute(0, 1, 4, 2, 3).float() / 255 - mean) / std


def build(spec: BackboneConfig, device: str = "cpu") -> VideoMAEBackbone:
    """A VideoMAE backbone with weights.

    Args:
        spec: `model` is a file of this folder without ``.json``; `weights` a published V2 checkpoint, a folder with
            ``weights.safetensors`` of the pre-training stage, or ``random``. Nothing is ever fetched: the published
            weights are for non-commercial use, and the user decides whether to use them.

    Raises:
        ValueError: unknown model; a checkpoint that is damaged or of another shape.
        FileNotFoundError: nothing lies at `weights`.
    """
    normalisation = "imagenet" if spec.normalisation == "checkpoint" else spec.normalisation
    if spec.weights == RANDOM_WEIGHTS:
        return VideoMAEBackbone(create(spec.model), normalisation, device)
    path = weights_path(spec.weights)
    state, norm_tokens = published_names(read_state(path))
    encoder = create(spec.model, norm_tokens=norm_tokens)
    fill(encoder, state, path)
    return VideoMAEBackbone(encoder, normalisation, device)


def create(name: str, seed: int = 0, device: str = "cpu", norm_tokens: bool = False) -> ClipEncoder:
    """An encoder by name with random weights drawn from `seed`; on the device "meta" with shapes only.

    Raises:
        ValueError: this folder has no VideoMAE of that name.
    """
    shapes = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in _MODELS.glob("*.json")}
    known = {stem: content["video_cfg"] for stem, content in shapes.items() if "video_cfg" in content}
    if name not in known:
        raise ValueError(f"no VideoMAE '{name}' in vidprism/backbones; {nearest(name, known)}")
    with torch.random.fork_rng(devices=[]), torch.device(device):
        torch.manual_seed(seed)
        return ClipEncoder(known[name], norm_tokens)


def visual(name: str) -> tuple[nn.Module, int]:
    """The encoder on the device "meta", and D."""
    encoder = create(name, device="meta")
    return encoder, encoder.shape["width"]


def published_names(state: dict[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """A checkpoint's tensors under the names of `ClipEncoder`, and whether its norm comes before the mean over patches.

    It reads the fine-tuned and the distilled form of VideoMAE V2 (``blocks.0.attn.qkv.weight``, ``fc_norm.weight``),
    the same names after ``model.``, ``backbone.`` or (self-supervised, with a decoder) ``encoder.``, and files of this
    suite.
    """
    if any(name.startswith("model.encoder.layer.") for name in state):
        return state, "norm.weight" in state
    found: dict[str, Tensor] = {}
    prefixes = re.compile(r"^((model|backbone|encoder)\.)+")
    plain = {prefixes.sub("", name): tensor for name, tensor in state.items() if not name.startswith(_LEFT_OUT)}
    for name, tensor in plain.items():
        joint = re.fullmatch(r"blocks\.(\d+)\.attn\.qkv\.weight", name)
        if joint:
            place = f"model.encoder.layer.{joint[1]}.attention.attention"
            parts = zip(("query", "key", "value"), tensor.chunk(3), strict=True)
            found |= {f"{place}.{part}.weight": chunk for part, chunk in parts}
        elif not name.startswith(_LEFT_OUT):
            found[_renamed(name)] = tensor
    return found, "norm.weight" in found


def _renamed(name: str) -> str:
    for old, new in _RENAMED:
        changed, hits = re.subn(f"^{old}", new, name)
        if hits:
            return changed.replace(".q_bias", ".query.bias").replace(".v_bias", ".value.bias")
    return name
