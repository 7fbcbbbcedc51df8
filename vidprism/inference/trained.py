"""The trained model of one cell of a row, from the weights that every row writes, and its answer to any video file.

Letters: V views, T frames, F time steps (T over the encoder's tubelet), D width, S pixels, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy.special import softmax
from torch import Tensor, nn

from vidprism import datasets, methods
from vidprism.backbones import Backbone
from vidprism.config import Config, ConfigError, ProtocolConfig, nearest, paths
from vidprism.config.rows import Row
from vidprism.evaluation import metrics, results
from vidprism.features.encode import video_features
from vidprism.finetuning.model import EndToEnd
from vidprism.records.record import cell_key
from vidprism.runs.finished_cells import weights_file
from vidprism.runs.tracks import open_track
from vidprism.training.job import plan, task_of
from vidprism.videos.clips import load_views


@dataclass(frozen=True)
class TrainedModel:
    """A model as it was scored. `head` takes the features of `backbone`; on the tuned track `backbone` has the weights
    that were trained with the head. `frames` is the length T of a clip.
    """

    head: nn.Module
    backbone: Backbone
    class_names: list[str]
    frames: int
    protocol: ProtocolConfig
    fusion: str
    tuned: EndToEnd | None = None

    def score_views(self, video: Path) -> np.ndarray:
        """Logits of the views of a video (V, C), with the clips and crops of the protocol's test videos.

        Raises:
            Unreadable: the video cannot be decoded.
        """
        with torch.inference_mode():
            return self._output(video).logits.float().cpu().numpy()

    def score_video(self, video: Path) -> np.ndarray:
        """Probability of each class (C,), with the views fused according to `analysis.fusion`.

        Raises:
            Unreadable: the video cannot be decoded.
        """
        fused_C = metrics.fuse(self.score_views(video)[None], self.fusion)[0]
        return softmax(fused_C) if self.fusion == "logits" else fused_C

    def _output(self, video: Path) -> Any:
        if self.tuned is None:
            features_VFD = video_features(video, self.backbone, self.protocol, self.frames)
            return self.head(torch.from_numpy(features_VFD.astype(np.float32)))
        p = self.protocol
        views = (self.frames, p.n_clips, p.n_crops, self.backbone.image_size)
        clips_VTSS3 = load_views(video, *views, sampling=p.sampling, resize=p.resize)
        return self.tuned(torch.from_numpy(clips_VTSS3))


def load_trained(config: Config, row: Row, dataset: str, shots: int | None, repeat: int = 0) -> TrainedModel:
    """The model of one cell and repeat of a row, on the CPU, in evaluation mode.

    Args:
        shots: per class; None is the whole training list.
        repeat: the seed of the repeat, as the record gives it.

    Raises:
        ConfigError: the row has not been trained; it has no such cell or repeat; or only a part of its trained
            weights was kept (`train.keep_weights`).
    """
    folder = paths.run(config, row.group, row.key)
    if not (folder / "record.json").is_file():
        raise ConfigError(f"{folder} holds no record; `dvc repro` trains row '{row.key}' of {row.group}")
    record = results.read_json(folder / "record.json")
    key, place = cell_key(dataset, shots), _repeat(record, row, cell_key(dataset, shots), repeat)
    _, inputs = open_track(config, row.track, dataset, row.frames, row.backbone)
    _, prompt_set = plan(config, row.method, record["search"]["chosen"], row.updates, row.batch_size)
    backbone = inputs.load_backbone("cpu")
    task = task_of(row.method, record["config"]["options"], prompt_set, inputs, backbone)
    head = methods.build(row.method, task, record["config"]["options"], repeat).eval()
    weights = {name: stacked[place] for name, stacked in load_file(weights_file(folder, key)).items()}
    tuned = None
    if row.track == "tuned":
        tuned = EndToEnd(backbone, head).eval()
        _check_kept(record, row)
    _put(weights, tuned or head)
    names = datasets.load_dataset(dataset).class_names(paths.dataset_root(config, dataset))
    return TrainedModel(
        head, backbone, names, row.frames, config.profile.protocol, config.profile.analysis.fusion, tuned
    )


def _repeat(record: dict[str, Any], row: Row, key: str, repeat: int) -> int:
    """The position of a repeat in the weights of a cell."""
    cells = {cell_key(cell["dataset"], cell["shots"]): cell for cell in record["cells"]}
    if key not in cells:
        raise ConfigError(f"row '{row.key}' of {row.group} has no cell '{key}'; {nearest(key, cells)}")
    seeds = [found["seed"] for found in cells[key]["repeats"]]
    if repeat not in seeds:
        raise ConfigError(f"cell '{key}' of row '{row.key}' has no repeat {repeat}; it has {seeds}")
    return seeds.index(repeat)


def _check_kept(record: dict[str, Any], row: Row) -> None:
    train = record["config"]["train"]
    if train["updates"] and train["tuning"] != "frozen" and train["keep_weights"] != "all":
        raise ConfigError(
            f"row '{row.key}' of {row.group} trained its backbone, but kept the weights of "
            f"'{train['keep_weights']}' only; set train.keep_weights to all in params.yaml and train it again"
        )


def _put(weights: dict[str, Tensor], module: nn.Module) -> None:
    """Set the trained parameters; the others keep their values."""
    own = dict(module.named_parameters())
    unknown = sorted(weights.keys() - own.keys())
    if unknown:
        raise ConfigError(f"the weights hold '{unknown[0]}', which the model lacks; train the row again")
    with torch.no_grad():
        for name, values in weights.items():
            own[name].copy_(values)
