"""An image network of the Hugging Face Hub on each frame, and a transformer over time; needs the extra `hub`.

    create_model("hub_frames", 7, weights="folder or owner/name")

The folder holds `config.json` and weights, as `save_pretrained` of transformers writes them. No code in it is run, and
nothing is downloaded: a name of the Hub is looked for in the local cache.

References:
    Dosovitskiy et al.: "An Image is Worth 16x16 Words", ICLR 2021 (ViT); Liu et al.: "A ConvNet for the 2020s", CVPR
    2022 (ConvNeXt); Oquab et al.: "DINOv2", TMLR 2024; Radford et al.: "Learning Transferable Visual Models From
    Natural Language Supervision", ICML 2021 (CLIP).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dfer.documents import MEGABYTE, read_json
from dfer.errors import DferError, listed, shortened
from dfer.models.clips import frames_of, require_clips
from dfer.models.frame_transformer import Layers, OverTime
from dfer.models.hub import hub_folder, is_hub_name, library
from dfer.models.options import Share

logger = logging.getLogger(__name__)

KINDS = {
    "vit": "token", "dinov2": "token", "dinov2_with_registers": "token", "convnext": "pooled", "convnextv2": "pooled",
    "clip_vision_model": "pooled",
}  # fmt: skip
"""Image networks by their `model_type`, and what of their answer is a frame's features: the first token or `pooled`."""
FILES = ("config.json", "preprocessor_config.json", "*.safetensors", "*.safetensors.index.json")
MOST_LAYERS = 256
KNOWN = frozenset((
    "attention_dropout", "attention_probs_dropout_prob", "depths", "drop_path_rate", "hidden_act", "hidden_size",
    "hidden_dropout_prob", "hidden_sizes", "image_size", "initializer_factor", "initializer_range", "intermediate_size",
    "layer_norm_eps", "layer_scale_init_value", "layerscale_value", "mlp_ratio", "num_attention_heads",
    "num_hidden_layers", "num_register_tokens", "num_stages", "patch_size", "qkv_bias", "use_swiglu_ffn",
))  # fmt: skip
"""What a config may say of these networks. All else is passed over, for transformers takes orders in a config that have
code fetched and run, such as `auto_map` and `attn_implementation`."""
DEFAULT = {"model_type": "vit"}
"""ViT-B/16."""


class HubEncoder(nn.Module):
    """Pictures (N, 3, H, W) -> features (N, features).

    Args:
        config: as in `config.json`, with a `model_type` of `KINDS`.
        place: a folder with weights; None initialises them at random.
    """

    def __init__(self, config: Mapping[str, Any], place: Path | None = None) -> None:
        super().__init__()
        transformers, kind = library("transformers", "hub_frames"), str(config.get("model_type"))
        self.pooled = KINDS[kind] == "pooled"
        extra = {"add_pooling_layer": False} if kind == "vit" else {}
        try:
            known = transformers.AutoConfig.for_model(**config, use_mask_token=False)  # of pretraining alone
            maker = transformers.AutoModel
            self.model: Any = _loaded(maker, known, place, extra) if place else maker.from_config(known, **extra)
        except DferError:
            raise
        except Exception as error:  # transformers' own checks of values, of all kinds
            reason = shortened(" ".join(f"{type(error).__name__}: {error}".split()), 300)
            raise DferError(f"model hub_frames: {place or 'its config'} makes no {kind}: {reason}") from error
        sizes = getattr(known, "hidden_sizes", None)
        self.features: int = sizes[-1] if sizes else known.hidden_size
        self.least = _largest(known.patch_size) * 2 ** (getattr(known, "num_stages", 1) - 1)
        """Height and width of a picture, pixels, from which something of it is left behind the last stage."""
        self.side = getattr(known, "image_size", None) if kind in ("vit", "clip_vision_model") else None

    def stages(self) -> list[nn.Module]:
        """Its layers, or its stages."""
        lists = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        return list(lists[0]) if lists else []

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, features)."""
        resized = self.side is not None and tuple(pictures.shape[2:]) != (self.side, self.side)
        found = self.model(pixel_values=pictures, **({"interpolate_pos_encoding": True} if resized else {}))
        row: Tensor = found.pooler_output.flatten(1) if self.pooled else found.last_hidden_state[:, 0]
        return row


class HubFrames(nn.Module):
    """An image network on each frame, transformer layers over time, a linear layer; any T.

    Args:
        num_classes: K.
        in_channels: C; grey frames are shown to the image network as three equal channels.
        weights: a folder, or a name of the Hub that is in the local cache: where the image network starts from.
        config: of the image network, as in `config.json`; by default that of `weights`, and without weights ViT-B/16.
        layers: of the transformer over time; 0 leaves time out: the mean of the frames.
        drop_path: how often the last layer of it is left out in training; earlier ones less often.
        dropout: probability of dropout before the linear layer.
    """

    def __init__(
        self, num_classes: int, *, in_channels: int = 3, weights: str | Path | None = None,
        config: dict[str, Any] | None = None, layers: Layers = 0, drop_path: Share = 0.1, dropout: Share = 0.0,
    ) -> None:  # fmt: skip
        super().__init__()
        config = require_config(DEFAULT if config is None else config, "its config")
        self.in_channels, self.card_options = in_channels, {"config": config}
        self.encoder = HubEncoder(config, _folder(weights) if weights else None)
        self.time = OverTime(self.encoder.features, layers, drop_path=drop_path)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(self.encoder.features, num_classes)

    @staticmethod
    def completed(options: dict[str, Any]) -> dict[str, Any]:
        """The options with the config of the weights: all that is needed to build the network again without them."""
        if options.get("config") is not None or not options.get("weights"):
            return options
        folder = _folder(options["weights"])
        config = require_config(read_json(folder / "config.json", largest=MEGABYTE), str(folder / "config.json"))
        _tell_scale(folder)
        return {**options, "config": config}

    def stages(self) -> list[nn.Module]:
        """Where features may be mixed, see `dfer.models.manifold`."""
        return [*self.encoder.stages(), *self.time.layers, self.fc]

    def forward(self, clips: Tensor) -> Tensor:
        """Clips (B, C, T, H, W) -> logits (B, K)."""
        require_clips(clips, self.in_channels, least=self.encoder.least)
        frames = frames_of(clips)
        rows = self.encoder(frames.expand(-1, 3, -1, -1) if self.in_channels == 1 else frames)
        found: Tensor = self.fc(self.dropout(self.time(rows.view(clips.shape[0], clips.shape[2], -1))))
        return found


def _largest(sides: int | tuple[int, ...]) -> int:
    return sides if isinstance(sides, int) else max(sides)


def require_config(values: Any, source: str) -> dict[str, Any]:
    """The part of a config that describes an image network that we know.

    Raises:
        DferError: another network, or one of too many layers.
    """
    kind = values.get("model_type") if isinstance(values, dict) else None
    if kind == "clip" and isinstance(values.get("vision_config"), dict):
        kind, values = "clip_vision_model", values["vision_config"]
    if kind not in KINDS:
        found = shortened(str(kind), 80)
        raise DferError(f"model hub_frames: {source}: expected a model_type of {listed(KINDS, 9)} or clip, got {found}")
    if values.get("num_channels", 3) != 3:
        raise DferError(f"model hub_frames: {source}: expected a network for colour, num_channels = 3")
    config = {key: each for key, each in values.items() if key in KNOWN}
    depths = config.get("depths", [config.get("num_hidden_layers", 12)])
    if not isinstance(depths, list) or not all(isinstance(each, int) and each > 0 for each in depths):
        raise DferError(f"model hub_frames: {source}: expected numbers of layers, got {shortened(str(depths), 80)}")
    if sum(depths) > MOST_LAYERS:
        raise DferError(f"model hub_frames: {source}: expected at most {MOST_LAYERS} layers, got {sum(depths)}")
    return {**config, "model_type": kind}


def _folder(place: str | Path) -> Path:
    folder = hub_folder(str(place), FILES) if is_hub_name(place) else Path(place)
    if not (folder / "config.json").is_file():
        raise DferError(
            "model hub_frames: expected the folder of an image network, with config.json and weights in it, or its "
            f"name on the Hub, got {shortened(str(place))}"
        )
    return folder


def _loaded(maker: Any, config: Any, folder: Path, extra: Mapping[str, Any]) -> Any:
    """The image network of a folder; files of code and pickles in it are not looked at."""
    with _quiet():  # it prints a table of what it left out
        model, told = maker.from_pretrained(
            folder, config=config, local_files_only=True, trust_remote_code=False, use_safetensors=True,
            output_loading_info=True, **extra,
        )  # fmt: skip
    faults = {name: sorted(map(str, told.get(f"{name}_keys") or ())) for name in ("missing", "mismatched")}
    if any(faults.values()):
        found = "; ".join(f"{len(keys)} {name}: {listed(keys, 4)}" for name, keys in faults.items() if keys)
        raise DferError(f"model hub_frames: the weights in {folder} are not those of its config.json: {found}")
    left = sorted(told.get("unexpected_keys") or ())
    count = len(model.state_dict())
    logger.info(
        "%s: %d of %d weights%s", folder, count, count, f"; left out: {len(left)}: {listed(left, 4)}" if left else ""
    )
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    talk = library("transformers", "hub_frames").utils.logging
    verbosity, bars = talk.get_verbosity(), talk.is_progress_bar_enabled()
    talk.set_verbosity_error()
    talk.disable_progress_bar()
    try:
        yield
    finally:
        talk.set_verbosity(verbosity)
        if bars:
            talk.enable_progress_bar()


def _tell_scale(folder: Path) -> None:
    """Say what the weights expect of pictures, where the folder says it."""
    path = folder / "preprocessor_config.json"
    values = read_json(path, largest=MEGABYTE) if path.is_file() else None
    if isinstance(values, dict) and "image_mean" in values and "image_std" in values:
        logger.info("%s expects input.mean = %s, input.std = %s", folder, values["image_mean"], values["image_std"])
