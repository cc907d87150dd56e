"""What published weights are called, where the names differ from ours: key maps as data.

    Published(what, model, mark, names, fresh)

Files whose names are ours but for a prefix need no map: torchvision's video networks, and those of VideoMAE and
MAE-DFER that are fine-tuned.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dfer.errors import DferError

WRAPPERS = r"^(?:module\.|model\.)+"
"""What trainings put before the names."""


@dataclass(frozen=True)
class Published:
    """Weights of a network as their authors publish them.

    Attributes:
        what: they are, for reports.
        model: which of our networks they start.
        mark: a pattern; a file with such a name is taken for these weights.
        names: patterns of their names, and ours, in which \\1 stands for the first group; "" for what we leave out.
            The first pattern that fits counts. Several names that become one are joined along the first axis, in the
            order of the patterns.
        fresh: a pattern of those of our names that the file cannot have; they stay as they are initialised.
    """

    what: str
    model: str
    mark: str
    names: tuple[tuple[str, str], ...]
    fresh: str = "(?!)"


RESNET_18 = (
    (r"((?:conv1|bn1|layer\d)\..*)", r"encoder.\1"), (r"fc\..*", ""),
)  # fmt: skip
MOBILENET_V2 = ((r"(features\..*)", r"encoder.\1"), (r"classifier\..*", ""))
M3DFEL = (
    (r"features\.0\.(.*)", r"backbone.stem.\1"), (r"features\.(\d)\.(.*)", r"backbone.layer\1.\2"),
    (r"to_qkv\.weight", "queries_keys_values.weight"), (r"pwconv\.(.*)", r"pool.\1"),
    (r"norm\.(mean|var)_weight", r"norm.\1_mix"),
)  # fmt: skip
_LAYER = r"{whole}_former\.spatial_transformer\.layers\.(\d+)\."
FORMER_DFER = (
    *((_LAYER.format(whole=whole) + theirs, rf"{ours}.\1.{part}")
    for whole, ours in (("s", "spatial"), ("t", "temporal"))
    for theirs, part in (
        (r"0\.fn\.norm\.(.*)", r"norm1.\2"), (r"0\.fn\.fn\.to_qkv\.(.*)", r"attn.qkv.\2"),
        (r"0\.fn\.fn\.to_out\.0\.(.*)", r"attn.proj.\2"), (r"1\.fn\.norm\.(.*)", r"norm2.\2"),
        (r"1\.fn\.fn\.net\.0\.(.*)", r"mlp.fc1.\2"), (r"1\.fn\.fn\.net\.3\.(.*)", r"mlp.fc2.\2"),
    )),
    (r"s_former\.pos_embedding", "places"), (r"t_former\.pos_embedding", "times"), (r"t_former\.cls_token", "token"),
    (r"s_former\.(.*)", r"encoder.\1"),
)  # fmt: skip
_PRETRAINED = ((r"(?:decoder|encoder_to_decoder)\..*|mask_token|pos_embed", ""), (r"(?:encoder\.)?norm\..*", ""))
VIDEOMAE = (*_PRETRAINED, (r"encoder\.(.*)", r"\1"))
S4D = (
    *_PRETRAINED, (r"head\.video\.(.*)", r"head.\1"), (r"head\.image\..*|.*\.moe_layer\..*", ""),
    (r"(?:encoder\.|backbone\.)?(.*)", r"\1"),
)  # fmt: skip
VIT = (
    (r"(?:head|head_dist|fc_norm|pre_logits)\..*|decoder_.*|mask_token", ""),
    (r"((?:patch_embed|blocks|norm)\..*|cls_token|pos_embed)", r"encoder.\1"),
)
S2D = (
    (r"(?:landmark.*|patch_embed_prompt|prompt_blocks|prompt_norms)\..*|temporal_embedding", ""),
    (r"ln_post\.(.*)", r"encoder.norm.\1"), *VIT,
)  # fmt: skip
_HUGGING = r"(?:videomae\.)?encoder\.layer\.(\d+)\."
VIDEOMAE_OF_TRANSFORMERS = (
    *_PRETRAINED, (r"(?:videomae\.)?layernorm\..*", ""),
    (r"(?:videomae\.)?embeddings\.patch_embeddings\.projection\.(.*)", r"patch_embed.proj.\1"),
    *((rf"{_HUGGING}attention\.attention\.{part}\.weight", r"blocks.\1.attn.qkv.weight")
      for part in ("query", "key", "value")),
    *((rf"{_HUGGING}attention\.attention\.(?:{part}\.bias|{part[0]}_bias)", rf"blocks.\1.attn.{part[0]}_bias")
      for part in ("query", "value")),
    (rf"{_HUGGING}attention\.output\.dense\.(.*)", r"blocks.\1.attn.proj.\2"),
    (rf"{_HUGGING}layernorm_before\.(.*)", r"blocks.\1.norm1.\2"),
    (rf"{_HUGGING}layernorm_after\.(.*)", r"blocks.\1.norm2.\2"),
    (rf"{_HUGGING}intermediate\.dense\.(.*)", r"blocks.\1.mlp.fc1.\2"),
    (rf"{_HUGGING}output\.dense\.(.*)", r"blocks.\1.mlp.fc2.\2"),
    (r"classifier\.(.*)", r"head.\1"),
)  # fmt: skip

FORMS = (
    Published("M3DFEL's weights", "m3dfel", r"pwconv\.weight", M3DFEL),
    Published(
        "torchvision's R3D-18", "m3dfel", r"stem\.0\.weight",
        ((r"((?:stem|layer\d)\..*)", r"backbone.\1"), (r"fc\..*", "")), r"(?!backbone\.).*",
    ),
    Published("Former-DFER's weights", "former_dfer", r"t_former\.cls_token", FORMER_DFER),
    *(
        Published("torchvision's ResNet-18", model, r"layer4\.1\.bn2\.weight", RESNET_18, r"(?!encoder\.).*")
        for model in ("resnet18_lstm", "former_dfer", "frame_transformer")
    ),
    Published(
        'torchvision\'s MobileNetV2 (model.encoder = "mobilenet_v2")', "frame_encoder", r"features\.18\.1\.running_var",
        MOBILENET_V2, r"(?!encoder\.).*",
    ),
    Published(
        "S2D's weights without landmarks and adapters", "frame_vit", r"patch_embed_prompt\.proj\.weight", S2D,
        r"(?!encoder\.).*",
    ),
    Published("a ViT's weights in timm's form", "frame_vit", r"blocks\.0\.norm1\.weight", VIT, r"(?!encoder\.).*"),
    Published(
        "VideoMAE's pretrained weights", "videomae", r"encoder\.blocks\.0\.norm1\.weight", VIDEOMAE, r"fc_norm\..*"
    ),
    Published(
        "VideoMAE's weights from Hugging Face", "videomae",
        r"(?:videomae\.)?embeddings\.patch_embeddings\.projection\.weight", VIDEOMAE_OF_TRANSFORMERS,
    ),
    Published("S4D's weights without their adapters", "videomae", r"head\.(?:video|image)\.weight", S4D),
    Published("VideoMAE's weights", "videomae", r"blocks\.0\.attn\.q_bias", ()),
    Published("MAE-DFER's weights", "mae_dfer", r"blocks\.0\.first_attn\.q\.weight", ()),
    Published(
        "MAE-DFER's pretrained weights", "mae_dfer", r"encoder\.blocks\.0\.first_attn\.q\.weight", VIDEOMAE,
        r"fc_norm\..*",
    ),
)  # fmt: skip


def published_form(state: Mapping[str, Tensor], model: str | None = None) -> Published | None:
    """As what published weights, for a network of ours or for any, a file is recognised by its names; None: as none."""
    for form in FORMS:
        if model in (None, form.model) and any(re.fullmatch(form.mark, _bare(key)) for key in state):
            return form
    return None


def renamed(
    form: Published, state: Mapping[str, Tensor], own: Mapping[str, Tensor], place: str
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Published weights under our names.

    Args:
        form: what they are.
        state: their tensors by name.
        own: ours.
        place: where they come from, for messages.

    Returns:
        The tensors, in our shape where they differ from it by axes of length one; and those that are left out.

    Raises:
        DferError: parts that become one do not fit each other.
    """
    parts: dict[str, list[tuple[int, Tensor]]] = {}
    left = {}
    for key, value in state.items():
        name, order = _named(form, _bare(key))
        if name:
            parts.setdefault(name, []).append((order, value))
        else:
            left[_bare(key)] = value
    found = {}
    for name, values in parts.items():
        tensors = [value for _, value in sorted(values, key=lambda part: part[0])]
        try:
            whole = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
        except RuntimeError as error:
            shapes = [tuple(tensor.shape) for tensor in tensors]
            raise DferError(f"{place}: the parts of {name} do not fit each other: {shapes}") from error
        same = name in own and _squeezed(whole) == _squeezed(own[name])
        found[name] = whole.reshape(own[name].shape) if same else whole
    return found, left


def _bare(key: str) -> str:
    return re.sub(WRAPPERS, "", key)


def _named(form: Published, key: str) -> tuple[str, int]:
    """Our name of a tensor, and the place of the pattern that gave it."""
    for order, (pattern, name) in enumerate(form.names):
        if match := re.fullmatch(pattern, key):
            return match.expand(name), order
    return key, len(form.names)


def _squeezed(tensor: Tensor) -> list[int]:
    return [length for length in tensor.shape if length != 1]
