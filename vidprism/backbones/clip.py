"""CLIP image and text towers through open_clip: the small model that the suite trains, and every model and weights tag
of open_clip.

Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", 2021. open_clip costs
six seconds to import, so it is imported where a model is built.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vidprism.backbones import NORMALISATIONS
from vidprism.backbones._checkpoints import fill, read_state, weights_path
from vidprism.backbones._towers import ClipTextTower, ClipTower
from vidprism.config import RANDOM_WEIGHTS, BackboneConfig, nearest

_OWN_MODELS = Path(__file__).parent
HUB_FILES = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]  # open_clip's file names, in its order
OPENAI_NUMBERS = ("input_resolution", "context_length", "vocab_size")  # entries beside the weights in OpenAI's files
BESIDE_WEIGHTS = (*OPENAI_NUMBERS, "attn_mask")
TOKEN_TABLE = "token_embedding.weight"
TOKENS_KEPT = "token_embedding.kept"  # in a compact file: the tokens whose rows the table has
_TOKEN_STD = 0.02  # of a table before training
_CHUNK = 256  # frames encoded at a time when no gradients are kept: fits the cache of a CPU core


class ClipBackbone:
    """A CLIP model as a frame encoder (see vidprism.backbones.Backbone)."""

    has_text = True
    tubelet = 1

    def __init__(self, model: Any, tokenizer: Any, device: str = "cpu") -> None:
        self.logit_scale: float = float(model.logit_scale.detach().exp())
        self.model = model.to(device).eval()
        self.tokenizer = tokenizer
        self.module: Any = model.visual
        self.dim: int = int(model.visual.output_dim)
        size = model.visual.image_size
        self.image_size: int = int(size[0] if isinstance(size, (tuple, list)) else size)
        preprocess = model.visual.preprocess_cfg
        self._mean, self._std = (torch.tensor(preprocess[k], device=device)[:, None, None] for k in ("mean", "std"))

    def encode_clips(self, clips: Tensor) -> Tensor:
        """(B, T, S, S, 3) uint8 to (B, T, D) float32, each frame separately (see `encode_frames`)."""
        return self.encode_frames(clips.flatten(0, 1)).unflatten(0, clips.shape[:2])

    def encode_frames(self, frames: Tensor) -> Tensor:
        """Embed frames of the size the model was made for.

        Args:
            frames: (N, S, S, 3) uint8 RGB.

        Returns:
            (N, D) float32 in the joint space, not normalised. Gradients flow to the weights if they are
            enabled.

        Raises:
            ValueError: another shape or type.
        """
        size = self.image_size
        if frames.dtype != torch.uint8 or frames.shape[1:] != (size, size, 3):
            wrong = f"{tuple(frames.shape)} {frames.dtype}"
            raise ValueError(f"frames must be (N, {size}, {size}, 3) uint8, not {wrong}; see vidprism.videos.clips")
        if torch.is_grad_enabled():
            return self._encode(frames)
        return torch.cat([self._encode(part) for part in frames.split(_CHUNK)])

    def _encode(self, frames: Tensor) -> Tensor:
        return self.model.encode_image(self._normalised(frames)).float()

    def _normalised(self, frames: Tensor) -> Tensor:
        """uint8 (N, S, S, 3) to float32 (N, 3, S, S) as the model was trained."""
        return (frames.to(self._mean.device).permute(0, 3, 1, 2).float() / 255 - self._mean) / self._std

    @torch.no_grad()
    def encode_text(self, texts: list[str]) -> Tensor:
        """C texts to (C, D) float32, L2-normalised. Like open_clip, it cuts words beyond the model's context length."""
        tokens = self.tokenizer(texts).to(self._mean.device)
        return self.model.encode_text(tokens, normalize=True).float()

    def tower(self) -> ClipTower:
        """See `vidprism.backbones.Backbone`."""
        return ClipTower(self.module, self._normalised)

    def text_tower(self) -> ClipTextTower:
        """See `vidprism.backbones.Backbone`."""
        return ClipTextTower(self.model, self.tokenizer)

    def blocks(self) -> list[tuple[str, list[nn.Parameter]]]:
        """`stem` (patches, embeddings, first norm), `block_0` to the last transformer block, `head` (last norm,
        projection).

        Raises:
            ValueError: the visual side is not a vision transformer of open_clip.
        """
        parts: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self.module.named_parameters():
            parts.setdefault(_block(name), []).append(parameter)
        numbered = sorted((key for key in parts if key.startswith("block_")), key=lambda key: int(key[6:]))
        if not numbered:
            raise ValueError("this model has no transformer blocks; use train.tuning full or frozen, layer_decay 1.0")
        return [(key, parts[key]) for key in ("stem", *numbered, "head")]

    def set_grad_checkpointing(self) -> None:
        """See `vidprism.backbones.Backbone`."""
        self.module.set_grad_checkpointing(True)


def _block(parameter: str) -> str:
    """The block of a parameter of open_clip's vision transformer, by the parameter's name."""
    numbered = re.match(r"transformer\.resblocks\.(\d+)\.", parameter)
    if numbered:
        return f"block_{numbered[1]}"
    return "head" if parameter.startswith(("ln_post", "proj", "attn_pool")) else "stem"


def build(spec: BackboneConfig, device: str = "cpu") -> ClipBackbone:
    """A CLIP backbone with weights.

    Args:
        spec: `model` is a file of this folder without ``.json`` or a model name of open_clip; `weights` a
            folder that holds ``weights.safetensors``, a checkpoint file of OpenAI, open_clip or the suite
            (tools/compact_clip.py), or one of open_clip's tags (such as ``openai``), which is fetched if it is
            not in the cache, or ``random``.

    Raises:
        ValueError: unknown model or tag; a checkpoint that is damaged or of another shape.
        FileNotFoundError: `weights` is a path and nothing is there, or a tag that could not be fetched.
    """
    import open_clip

    model = create(spec.model)
    if spec.weights != RANDOM_WEIGHTS:  # random weights stay as `create` made them, the same every time
        is_path = "/" in spec.weights or "." in spec.weights
        load_weights(model, weights_path(spec.weights) if is_path else _tagged(model, spec), spec.model)
    if spec.normalisation != "checkpoint":
        mean, std = NORMALISATIONS[spec.normalisation]
        model.visual.preprocess_cfg.update(mean=mean, std=std)
    return ClipBackbone(model, open_clip.get_tokenizer(spec.model), device)


def _tagged(model: Any, spec: BackboneConfig) -> Path:
    """The file behind a tag of open_clip, from its cache or else from the network. The model takes the mean and
    standard deviation of pixels that belong to the tag.
    """
    import open_clip

    source = _source(spec)
    model.visual.preprocess_cfg.update({k: source[k] for k in ("mean", "std") if k in source})
    repository, names = _hub(source)
    found = _in_cache(source)
    if found:
        return found
    try:
        return Path(open_clip.download_pretrained(source))
    except (OSError, RuntimeError) as error:
        places = [f"https://huggingface.co/{repository} ({' or '.join(names)})"] if repository else []
        places += [source["url"]] if source.get("url") else []
        raise FileNotFoundError(
            f"the weights '{spec.weights}' of {spec.model} are not in the cache and could not be fetched "
            f"({type(error).__name__}); fetch {' or '.join(places)} on a machine with a network, put the file under "
            "data/backbones/ and give its path as `weights` of this backbone in params.yaml"
        ) from error


def is_cached(spec: BackboneConfig) -> bool:
    """Whether the file behind a tag is on this machine, so that `build` needs no network.

    Raises:
        ValueError: open_clip has no such model or tag, or the tag's weights want another activation than the model's.
    """
    return _in_cache(_source(spec)) is not None


def _source(spec: BackboneConfig) -> dict[str, Any]:
    """Where open_clip finds the weights of a tag, and how their pixels are normalised."""
    import open_clip

    tags = open_clip.list_pretrained_tags_by_model(spec.model)
    if spec.weights not in tags:
        raise ValueError(f"open_clip has no weights '{spec.weights}' for {spec.model}; {nearest(spec.weights, tags)}")
    source = open_clip.get_pretrained_cfg(spec.model, spec.weights)
    _check_activation(spec.model, spec.weights, bool(source.get("quick_gelu")))
    return source


def _check_activation(model: str, weights: object, quick: bool) -> None:
    """Raise ValueError unless the model has the activation that the weights were trained with. Tensor shapes do not
    show it.
    """
    import open_clip

    if quick != bool(open_clip.get_model_config(model).get("quick_gelu")):
        right = model.removesuffix("-quickgelu") + ("-quickgelu" if quick else "")
        raise ValueError(
            f"the weights '{weights}' were trained with{'' if quick else 'out'} QuickGELU; choose {right} as "
            "`model` of this backbone in params.yaml"
        )


def _hub(source: dict[str, Any]) -> tuple[str, list[str]]:
    """Repository on the Hugging Face hub ("" if none) and the names that the file may have there."""
    repository, _, file = source.get("hf_hub", "").rpartition("/")
    return repository, [file] if file else HUB_FILES


def _in_cache(source: dict[str, Any]) -> Path | None:
    """The file in the hub's cache, which open_clip prefers to a tag's other address and to its folder ~/.cache/clip."""
    repository, names = _hub(source)
    return next((path for name in names if repository and (path := _cached(repository, name))), None)


def _cached(repository: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, name)
    return Path(path) if isinstance(path, str) else None


def create(name: str, seed: int = 0, device: str = "cpu") -> Any:
    """A CLIP model by name with random weights drawn from `seed`; on the device "meta" with shapes only.

    Raises:
        ValueError: neither this folder nor open_clip has a configuration of that name.
    """
    import open_clip

    for own in sorted(_OWN_MODELS.glob("*clip*.json")):  # all of them, so that an error can name the nearest
        open_clip.add_model_config(own)
    if name not in open_clip.list_models():
        raise ValueError(
            f"no model '{name}' in vidprism/backbones or open_clip; {nearest(name, open_clip.list_models())}"
        )
    with torch.random.fork_rng(devices=[]), torch.device(device), _without_warnings():
        torch.manual_seed(seed)
        return open_clip.create_model(name, pretrained=None, device=device)


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Silence open_clip's warning that a model has random weights: weights are loaded afterwards."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def visual(name: str) -> tuple[nn.Module, int]:
    """The image tower on the device "meta", and D."""
    tower = create(name, device="meta").visual
    return tower, int(tower.output_dim)


def load_weights(model: nn.Module, path: Path, name: str) -> None:
    """Fill `model`, known as `name`, from a checkpoint (see `vidprism.backbones._checkpoints`), as float32.

    Raises:
        ValueError: the file is damaged, was refused, or its names or shapes are not those of the model; it is OpenAI's
            and the model has no QuickGELU.
    """
    wanted, found = model.state_dict(), read_state(path)
    if TOKENS_KEPT in found:
        kept = found.pop(TOKENS_KEPT)
        found[TOKEN_TABLE] = _whole_table(found[TOKEN_TABLE], kept, wanted[TOKEN_TABLE].shape)
    if found.keys() >= set(OPENAI_NUMBERS):
        _check_activation(name, path, quick=True)
    # OpenAI's archive has three numbers beside the weights, and a mask in each text block.
    state = {k: v for k, v in found.items() if k in wanted or not k.endswith(BESIDE_WEIGHTS)}
    fill(model, state, path)


def _whole_table(rows_KW: Tensor, tokens_K: Tensor, shape: torch.Size) -> Tensor:
    """The token table of a compact file, float32. Tokens that pre-training never saw have no row in the file; they get
    random ones, the same on every machine.
    """
    drawn = np.random.default_rng(0).standard_normal(tuple(shape), np.float32)  # torch's depend on the kind of CPU
    table = torch.from_numpy(drawn).mul_(_TOKEN_STD)
    table[tokens_K.long()] = rows_KW.float()
    return table
