"""Where a network puts clips: against scikit-learn, and for networks whose features are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from dfer.training.features import principal, watched


class Known(nn.Module):
    """Means of the clip's quarters, or of each frame's, then a linear layer; one of its size is used before."""

    def __init__(self, *, frames: bool) -> None:
        super().__init__()
        self.frames, self.before, self.head = frames, nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, clips: Tensor) -> Tensor:
        quarters = clips.mean(dim=1).unflatten(-1, (4, -1)).mean(dim=(-1, 2))  # (B, T, 4)
        self.before(quarters)
        found: Tensor = self.head(quarters).mean(dim=1) if self.frames else self.head(quarters.mean(dim=1))
        return found


@pytest.mark.parametrize("frames", [False, True])
def test_places_are_the_principal_components_of_the_last_layers_inputs(frames: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    clips = torch.rand(10, 3, 5, 8, 8, generator=generator)
    network = Known(frames=frames)
    with watched(network, 3) as found, torch.inference_mode():
        for part in (clips[:4], clips[4:8], clips[8:]):  # each clip and its mirror image
            network(part)
            network(part.flip(-1))
    features = clips.numpy().astype(np.float64).reshape(10, 3, 5, 8, 4, 2).mean(axis=(1, 2, 3, 5))
    wanted = PCA(2).fit_transform(features)
    wanted *= np.sign(wanted[np.abs(wanted).argmax(axis=0), [0, 1]])
    places = found.places(every=2)
    assert places is not None
    np.testing.assert_allclose(places, wanted / np.abs(wanted).max(), atol=1.5e-3)
    network(clips)
    assert len(found.calls) == 6, "afterwards nothing is noted"


def test_a_network_without_a_last_linear_layer_has_no_map() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Conv3d(3, 3, 1), nn.Flatten())
    with watched(network, 3) as found:
        assert network(torch.rand(2, 3, 4, 8, 8)).shape == (2, 3)
    assert found.places() is None


@pytest.mark.parametrize("features", [np.ones((4, 3)), np.ones((1, 5)), np.arange(4.0)[:, None]])
def test_clips_that_differ_in_fewer_directions_have_places_too(features: np.ndarray) -> None:
    places = principal(features)
    assert places.shape == (len(features), 2) and np.isfinite(places).all()
    assert np.abs(places[:, 1]).max() == 0
