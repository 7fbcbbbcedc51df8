"""Masked autoencoding of clips: which tokens are hidden, which are reconstructed, and the decoder that does it.

Tong et al., "VideoMAE", NeurIPS 2022, with the decoder masking of VideoMAE V2 (Wang et al., CVPR 2023), where the
decoder reconstructs ("paints") only a part of the hidden tokens. There are three departures, chosen on dev pools
(docs/world.md): single tokens are hidden instead of tubes; motion has more weight in the target; attention starts on
similar tokens. Letters: B clips, T frames, S side in pixels, N tokens of a clip, V visible ones, H painted ones, D
width of the encoder, E of the decoder, C pixel values of a token.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.backbones import NORMALISATIONS
from vidprism.backbones.videomae import NORM_EPS, ClipEncoder, position_table
from vidprism.config import VideoPretrainConfig


class MaskedAutoencoder(nn.Module):
    """An encoder of clips with a decoder of constant width and few layers; the decoder is discarded after training."""

    def __init__(self, encoder: ClipEncoder, cfg: VideoPretrainConfig) -> None:
        super().__init__()
        from transformers import VideoMAEConfig
        from transformers.models.videomae.modeling_videomae import VideoMAELayer

        self.encoder, self.cfg, self.shape = encoder, cfg, encoder.shape
        width, d = cfg.decoder_width, self.shape["width"]
        self.n_steps = self.shape["frames"] // self.shape["tubelet_size"]
        layer = VideoMAEConfig(
            hidden_size=width,
            num_attention_heads=cfg.decoder_heads,
            intermediate_size=4 * width,
            layer_norm_eps=NORM_EPS,
            attn_implementation="sdpa",  # type: ignore[call-arg]
        )
        n_values = 3 * self.shape["tubelet_size"] * self.shape["patch_size"] ** 2
        self.to_decoder = nn.Linear(d, width, bias=False)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.layers = nn.ModuleList(VideoMAELayer(layer) for _ in range(cfg.decoder_layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, n_values)
        self.places_NE: Tensor
        self.register_buffer("places_NE", position_table(self.shape, width))
        initialise(encoder)
        initialise(self, "layers")

    def forward(self, clips_BTSS3: Tensor, visible_BV: Tensor, painted_BH: Tensor) -> Tensor:
        """Mean squared error of the painted tokens' pixels, for uint8 clips and the tokens chosen by `masks`."""
        values_BNC, model = patches(clips_BTSS3, self.shape), self.encoder.model
        seen_BVD = (
            self._embed(_normalised(_take(values_BNC, visible_BV)))
            + self.encoder.positions(self.n_steps)[0, visible_BV]
        )
        seen_BVD = self.encoder.norm(model.encoder(seen_BVD).last_hidden_state)
        known_BVE = self.to_decoder(seen_BVD) + self.places_NE[visible_BV]
        x_BNE = torch.cat([known_BVE, self.mask_token + self.places_NE[painted_BH]], dim=1)
        for layer in self.layers:
            x_BNE = layer(x_BNE)
        painted_BHC = self.head(self.norm(x_BNE[:, visible_BV.shape[1] :]))
        wanted_BHC = _normalised(target(values_BNC, painted_BH, self.shape, self.cfg.motion_weight))
        return F.mse_loss(painted_BHC, wanted_BHC)

    def _embed(self, values_BVC: Tensor) -> Tensor:
        """The encoder's convolution as a matrix product, for visible tokens only."""
        convolution = self.encoder.model.embeddings.patch_embeddings.projection
        return F.linear(values_BVC, convolution.weight.permute(0, 2, 3, 4, 1).flatten(1), convolution.bias)


def masks(n_clips: int, n_tokens: int, cfg: VideoPretrainConfig, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The visible tokens (B, V) in order, and the painted ones among the hidden tokens (B, H)."""
    order_BN = torch.rand(n_clips, n_tokens, generator=rng).argsort(dim=1)
    n_hidden = round(cfg.mask_ratio * n_tokens)
    visible_BV, hidden = order_BN[:, n_hidden:].sort(dim=1).values, order_BN[:, :n_hidden]
    return visible_BV, hidden[:, : max(1, round(cfg.painted_share * n_hidden))]


def target(values_BNC: Tensor, painted_BH: Tensor, shape: dict, motion_weight: float) -> Tensor:
    """The target of the painted tokens, (B, H, C): their pixels, with every frame's deviation from the clip's mean
    frame multiplied. The result is still made of pixels, with more weight on motion.
    """
    tubelet, n_steps = shape["tubelet_size"], shape["frames"] // shape["tubelet_size"]
    frames = values_BNC.unflatten(1, (n_steps, -1)).unflatten(-1, (tubelet, -1))  # (B, F, P, tubelet, pixels)
    # one by one: a mean over both dimensions converts the whole clip to floats first and takes 20 times as long
    mean_BPX = sum(step.int() for step in frames.unbind(dim=1)).float().mean(dim=2) / n_steps
    still = _take(mean_BPX, painted_BH % mean_BPX.shape[1])[:, :, None]
    own = _take(values_BNC, painted_BH).unflatten(-1, (tubelet, -1))
    return (still + motion_weight * (own - still)).flatten(2)


def patches(clips_BTSS3: Tensor, shape: dict) -> Tensor:
    """The pixel values of each token, uint8 (B, N, C): tokens in the order of the encoder (time, row, column), the
    values of a token in the order frame, row, column, colour.
    """
    tubelet, side = shape["tubelet_size"], shape["patch_size"]
    b, t, s, _, _ = clips_BTSS3.shape
    cut = clips_BTSS3.view(b, t // tubelet, tubelet, s // side, side, s // side, side, 3)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4).flatten(1, 3)


def _normalised(values: Tensor) -> Tensor:
    """Pixel values (..., C), colours last, normalised as the encoder's input."""
    mean, std = (torch.tensor(v).repeat(values.shape[-1] // 3) for v in NORMALISATIONS["imagenet"])
    return (values.float() / 255 - mean) / std


def initialise(module: Any, only: str = "") -> None:
    """Xavier initialisation without biases. Keys start equal to queries, so that attention starts on tokens of similar
    content and place. In a decoder (`only` names its layers), values and their output start close to the identity, so
    that the decoder starts by copying.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv3d) and not name.startswith("encoder."):
            nn.init.xavier_uniform_(part.weight.flatten(1) if part.weight.ndim > 2 else part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for layer in getattr(module, only) if only else module.model.encoder.layer:
        attention = layer.attention.attention
        d = attention.query.in_features
        with torch.no_grad():
            attention.query.weight.normal_(std=d**-0.5)
            attention.key.weight.copy_(attention.query.weight)
            if only:
                attention.value.weight.normal_(std=d**-0.5)
                layer.attention.output.dense.weight.copy_(attention.value.weight.T)


def _take(x_BND: Tensor, index_BV: Tensor) -> Tensor:
    """Rows `index_BV` (B, V) of each sample, (B, V, D); `gather` takes seven times as long."""
    first_B1 = torch.arange(len(x_BND))[:, None] * x_BND.shape[1]
    return x_BND.flatten(0, 1).index_select(0, (first_B1 + index_BV).flatten()).unflatten(0, index_BV.shape)
