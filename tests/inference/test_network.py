"""What runs a network leaves torch as it was."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dfer.inference.network import torch_network
from dfer.labels import DFEW
from dfer.models import Card
from dfer.video import Preprocessing


class Counts(nn.Module):
    """Seven equal logits, and how many threads were at work on them."""

    threads = 0

    def forward(self, clips: Tensor) -> Tensor:
        self.threads = torch.get_num_threads()
        return clips.new_zeros(len(clips), 7)


def test_a_core_is_left_to_the_search_for_faces_and_given_back() -> None:
    network, before = Counts(), torch.get_num_threads()
    run = torch_network(network, Card("tiny3d", {}, DFEW, Preprocessing(frames=1, size=8).to_dict()), "cpu")
    try:
        for threads, left in ((3, 2), (1, 1)):
            torch.set_num_threads(threads)
            assert run(np.zeros((2, 1, 8, 8, 3), np.uint8)).shape == (2, 7)
            assert (network.threads, torch.get_num_threads()) == (left, threads)
    finally:
        torch.set_num_threads(before)
