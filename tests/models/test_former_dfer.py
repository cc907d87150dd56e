"""Former-DFER against its published code: count, cost, and arithmetic written out from the paper."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dfer import DferError, create_model
from dfer.models.cost import cost_of


def test_it_has_as_many_parameters_as_its_parts_in_the_published_code() -> None:
    resnet = 11_689_512 - (512 * 1000 + 1000)  # torchvision's published count, without the last layer

    def layer(features: int, inner: int, hidden: int) -> int:
        attention = features * 3 * inner + inner * features + features
        return attention + features * hidden + hidden + hidden * features + features + 4 * features

    spatial = layer(256, 8 * 32, 512) + 49 * 256
    temporal = 3 * layer(512, 8 * 64, 1024) + 512 + 17 * 512
    network = create_model("former_dfer", 7)
    count = sum(value.numel() for value in network.parameters())
    assert count == resnet + spatial + temporal + 512 * 7 + 7 == 18_031_943  # 18 M in the tables of the field


@pytest.mark.slow
def test_it_costs_what_the_field_counts_for_it() -> None:
    # 9.11 G in the tables, where a multiplication and an addition are one, and norms and the like count too.
    cost = cost_of(create_model("former_dfer", 7), (3, 16, 112, 112))
    assert 7.78 < cost.flops / 2e9 < 9.11


def test_it_computes_what_the_paper_says() -> None:
    torch.manual_seed(0)
    network, clips = create_model("former_dfer", 5, width=4).eval(), torch.rand(2, 3, 16, 112, 112)
    state = network.state_dict()
    encoder = network.get_submodule("encoder")

    def gelu(x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))

    def layer(x: Tensor, name: str) -> Tensor:
        features = x.shape[2]
        normal = F.layer_norm(x, (features,), state[f"{name}.norm1.weight"], state[f"{name}.norm1.bias"])
        heads = (normal @ state[f"{name}.attn.qkv.weight"].T).unflatten(2, (3, 8, features // 8))
        queries, keys, values = heads.permute(2, 0, 3, 1, 4)
        shares = torch.softmax(queries @ keys.transpose(2, 3) / math.sqrt(features / 8), dim=3)
        x = x + F.linear((shares @ values).transpose(1, 2).flatten(2), state[f"{name}.attn.proj.weight"],
                         state[f"{name}.attn.proj.bias"])  # fmt: skip
        normal = F.layer_norm(x, (features,), state[f"{name}.norm2.weight"], state[f"{name}.norm2.bias"])
        inner = gelu(F.linear(normal, state[f"{name}.mlp.fc1.weight"], state[f"{name}.mlp.fc1.bias"]))
        return x + F.linear(inner, state[f"{name}.mlp.fc2.weight"], state[f"{name}.mlp.fc2.bias"])

    with torch.no_grad():
        rows = []
        for frame in range(16):
            x = F.relu(encoder.bn1(encoder.conv1(clips[:, :, frame])))  # type: ignore[operator, union-attr]
            x = F.max_pool2d(x, 3, 2, 1)
            for stage in (1, 2, 3):
                x = encoder.get_submodule(f"layer{stage}")(x)
            assert x.shape[2:] == (7, 7)
            tokens = x.flatten(2).transpose(1, 2) + state["places"]
            x = layer(tokens, "spatial.0").transpose(1, 2).reshape(2, 16, 7, 7)
            rows.append(encoder.get_submodule("layer4")(x).mean(dim=(2, 3)))
        tokens = torch.cat((state["token"].expand(2, 1, 32), torch.stack(rows, dim=1)), dim=1) + state["times"]
        for place in range(3):
            tokens = layer(tokens, f"temporal.{place}")
        expected = F.linear(tokens[:, 0], state["fc.weight"], state["fc.bias"])
        assert torch.allclose(network(clips), expected, atol=1e-4)


def test_longer_clips_than_it_has_places_for_are_refused() -> None:
    network = create_model("former_dfer", 5, width=4, frames=3).eval()
    assert network(torch.rand(1, 3, 3, 32, 32)).shape == (1, 5)
    with pytest.raises(DferError, match=r"at most 3 frames, got 4; set input\.frames or model\.frames"):
        network(torch.rand(1, 3, 4, 32, 32))
