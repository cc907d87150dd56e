"""MIDAS against its equations, as properties and on hand-worked numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dfer import DferError, Midas, midas


def batch(size: int, seed: int = 0, emotions: int = 7) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clips = torch.rand(size, 3, 4, 6, 5, generator=generator)
    return clips, torch.softmax(3 * torch.randn(size, emotions, generator=generator), dim=1)


def test_two_clips_worked_by_hand() -> None:
    clips = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1, 1)
    targets = torch.tensor([[0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    mixed = midas(clips, targets, torch.tensor([0.75, 0.5]), torch.tensor([1, 0]))
    assert mixed.clips.flatten().tolist() == [0.25, 0.5]
    assert torch.allclose(mixed.targets, torch.tensor([[0.45, 0.30, 0.25], [0.30, 0.20, 0.50]]))


@settings(max_examples=40, deadline=None)
@given(
    size=st.integers(1, 9),
    seed=st.integers(0, 10_000),
    alpha=st.floats(0.05, 5),
    per=st.sampled_from(["clip", "batch"]),
)
def test_every_frame_and_the_target_are_mixed_by_the_same_lambda(size: int, seed: int, alpha: float, per: str) -> None:
    clips, targets = batch(size, seed)
    mixed = Midas(alpha=alpha, per=per)(clips, targets, generator=torch.Generator().manual_seed(seed))
    for row in range(size):
        share, other = float(mixed.lam[row]), int(mixed.partner[row])
        for frame in range(clips.shape[2]):
            expected = share * clips[row, :, frame] + (1 - share) * clips[other, :, frame]
            assert torch.allclose(mixed.clips[row, :, frame], expected, atol=1e-6)
        assert torch.allclose(mixed.targets[row], share * targets[row] + (1 - share) * targets[other], atol=1e-6)
    assert torch.allclose(mixed.targets.sum(dim=1), torch.ones(size), atol=1e-5)
    assert ((mixed.lam >= 0) & (mixed.lam <= 1)).all()
    assert sorted(mixed.partner.tolist()) == list(range(size))
    assert per == "clip" or len(set(mixed.lam.tolist())) == 1


@pytest.mark.parametrize(
    "row", [[3.0, 0.1, 0.1], [0.2, 0.2, 0.2], [1.5, -0.5, 0.0], [float("nan"), 0.5, 0.5], [10.0, 0.0, 0.0], [0, 0, 0]]
)
def test_rows_of_targets_that_are_no_distribution_are_refused(row: list[float]) -> None:
    clips = torch.zeros(2, 1, 1, 2, 2)
    targets = torch.tensor([[0.5, 0.25, 0.25], row])
    with pytest.raises(DferError, match=r"rows of targets of 0 or more that sum to one, got \[.*\] in row 1"):
        midas(clips, targets, torch.ones(2), torch.tensor([1, 0]))
    with pytest.raises(DferError, match="in row 1"):
        Midas()(clips, targets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_rows_may_have_the_rounding_errors_of_their_precision(dtype: torch.dtype) -> None:
    targets = torch.softmax(torch.randn(64, 11, generator=torch.Generator().manual_seed(0)), dim=1).to(dtype)
    Midas()(torch.zeros(64, 1, 1, 2, 2), targets)


@pytest.mark.parametrize(
    ("lam", "partner", "said"),
    [([1.5, 0.5], [1, 0], "lam in"), ([-0.1, 0.5], [1, 0], "lam in"), ([float("nan"), 0.5], [1, 0], "lam in"),
     ([0.5, 0.5], [-1, 0], "partners from 0 to 1"), ([0.5, 0.5], [2, 0], "partners from 0 to 1")],
)  # fmt: skip
def test_shares_and_partners_out_of_range_are_refused(lam: list[float], partner: list[int], said: str) -> None:
    with pytest.raises(DferError, match=said):
        midas(torch.zeros(2, 1, 1, 2, 2), torch.eye(2), torch.tensor(lam), torch.tensor(partner))


def test_lambda_one_is_the_identity_to_the_bit() -> None:
    clips, targets = batch(5)
    mixed = midas(clips, targets, torch.ones(5), torch.tensor([4, 3, 2, 1, 0]))
    assert torch.equal(mixed.clips, clips) and torch.equal(mixed.targets, targets)


def test_one_clip_stays_as_it_is() -> None:
    clips, targets = batch(1)
    mixed = Midas(alpha=0.8)(clips, targets, generator=torch.Generator().manual_seed(3))
    assert torch.equal(mixed.clips, clips) and torch.equal(mixed.targets, targets)


def test_the_callers_tensors_are_not_written_to() -> None:
    clips, targets = batch(6)
    before = clips.clone(), targets.clone()
    Midas(alpha=0.8, keep_real=True)(clips, targets)
    assert torch.equal(clips, before[0]) and torch.equal(targets, before[1])


def test_the_same_generator_draws_the_same_mix_and_another_one_does_not() -> None:
    clips, targets = batch(8)
    first, again, other = (Midas(0.8)(clips, targets, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(first.clips, again.clips) and torch.equal(first.lam, again.lam)
    assert not torch.equal(first.clips, other.clips)


def test_without_a_generator_the_global_seed_decides() -> None:
    clips, targets = batch(8)
    torch.manual_seed(5)
    first = Midas(0.8)(clips, targets)
    torch.manual_seed(5)
    assert torch.equal(first.clips, Midas(0.8)(clips, targets).clips)


def test_uint8_clips_are_mixed_in_float_and_rounded() -> None:
    clips = torch.randint(0, 256, (4, 3, 2, 5, 5), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    lam, partner = torch.tensor([0.0, 0.3, 0.5, 1.0]), torch.tensor([3, 2, 1, 0])
    mixed = midas(clips, torch.eye(4), lam, partner)
    weight = lam.view(-1, 1, 1, 1, 1)
    exact = weight * clips.float() + (1 - weight) * clips[partner].float()
    assert mixed.clips.dtype == torch.uint8
    assert (mixed.clips.float() - exact).abs().max() <= 0.5 + 1e-3


def test_one_hot_targets_give_plain_mixup_and_its_two_term_loss() -> None:
    clips, _ = batch(6)
    labels = torch.tensor([0, 1, 2, 3, 4, 5])
    mixed = Midas(alpha=0.8)(clips, F.one_hot(labels, 7).float(), generator=torch.Generator().manual_seed(0))
    logits = torch.randn(6, 7, generator=torch.Generator().manual_seed(1))
    soft = -(mixed.targets * F.log_softmax(logits, dim=1)).sum(dim=1)
    own = F.cross_entropy(logits, labels, reduction="none")
    others = F.cross_entropy(logits, labels[mixed.partner], reduction="none")
    assert torch.allclose(soft, mixed.lam * own + (1 - mixed.lam) * others, atol=1e-5)


def test_gradients_flow_through_the_mix() -> None:
    clips, targets = batch(3)
    clips.requires_grad_()
    lam, partner = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([1, 2, 0])
    mixed = midas(clips, targets, lam, partner)
    mixed.clips.sum().backward()
    # Clip i gets its own share and what its partner's row takes of it.
    expected = lam + torch.zeros(3).scatter_add_(0, partner, 1 - lam)
    assert clips.grad is not None
    assert torch.allclose(clips.grad[:, 0, 0, 0, 0], expected)
    assert torch.allclose(mixed.clips.detach(), midas(clips.detach(), targets, lam, partner).clips)


def test_gradients_reach_a_learnt_lambda_through_clips_and_targets() -> None:
    clips, targets = batch(3)
    lam, partner = torch.tensor([0.9, 0.5, 0.2], requires_grad=True), torch.tensor([1, 2, 0])
    midas(clips, targets, lam, partner).clips.sum().backward()
    assert lam.grad is not None
    assert torch.allclose(lam.grad, (clips - clips[partner]).flatten(1).sum(dim=1), rtol=1e-3, atol=1e-3)


def test_keep_real_puts_the_real_clips_first() -> None:
    clips, targets = batch(4)
    mixed = Midas(alpha=0.8, keep_real=True)(clips, targets, generator=torch.Generator().manual_seed(0))
    plain = Midas(alpha=0.8)(clips, targets, generator=torch.Generator().manual_seed(0))
    assert torch.equal(mixed.clips, torch.cat([clips, plain.clips]))
    assert torch.equal(mixed.targets, torch.cat([targets, plain.targets]))
    assert mixed.lam[:4].tolist() == [1.0] * 4 and mixed.partner[:4].tolist() == [0, 1, 2, 3]


def test_prob_is_the_share_of_clips_that_are_mixed() -> None:
    clips, targets = torch.zeros(4000, 1), torch.eye(2)[torch.arange(4000) % 2]
    mixed = Midas(alpha=1.0, prob=0.25)(clips, targets, generator=torch.Generator().manual_seed(0))
    share = float((mixed.lam < 1).float().mean())
    assert 0.22 < share < 0.28  # four standard deviations of 4,000 draws
    assert (Midas(alpha=1.0, prob=0)(clips, targets).lam == 1).all()


def test_lambda_follows_beta_alpha_alpha() -> None:
    clips, targets = torch.zeros(20_000, 1), torch.ones(20_000, 1)
    lam = Midas(alpha=0.8)(clips, targets, generator=torch.Generator().manual_seed(0)).lam.double()
    assert abs(float(lam.mean()) - 0.5) < 0.01
    assert abs(float(lam.var()) - 1 / (4 * (2 * 0.8 + 1))) < 0.003  # variance of Beta(a, a)


def test_the_softmax_switch_is_applied_to_the_mixed_label() -> None:
    clips, targets = batch(4)
    plain = Midas(alpha=0.8)(clips, targets, generator=torch.Generator().manual_seed(0))
    switched = Midas(alpha=0.8, softmax=0.5)(clips, targets, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(switched.targets, torch.softmax(plain.targets / 0.5, dim=1))
    assert torch.equal(switched.clips, plain.clips)


@pytest.mark.parametrize(
    ("clips", "targets", "said"),
    [
        (torch.zeros(4, 3), torch.tensor([0, 1, 2, 3]), "one_hot"),
        (torch.zeros(4, 3), torch.eye(3), "as many clips as targets"),
        (torch.zeros(3, 3, dtype=torch.int64), torch.eye(3), "uint8"),
        (torch.zeros(3, 3), torch.eye(3, dtype=torch.int64), "floating point"),
    ],
)
def test_batches_that_do_not_fit_are_refused(clips: torch.Tensor, targets: torch.Tensor, said: str) -> None:
    with pytest.raises(DferError, match=said):
        Midas()(clips, targets)


def test_settings_out_of_range_are_refused() -> None:
    for settings_ in (
        {"alpha": 0.0},
        {"prob": 1.5},
        {"per": "frame"},
        {"softmax": 0.0},
        {"alpha": float("nan")},
    ):
        with pytest.raises(DferError, match="expected"):
            Midas(**settings_)
    with pytest.raises(DferError, match="one lam and one partner"):
        midas(torch.zeros(2, 1), torch.eye(2), torch.ones(3), torch.tensor([0, 1]))


def test_what_is_no_tensor_or_no_whole_number_is_refused_in_a_sentence() -> None:
    clips, targets = batch(3)
    lam, partner = torch.tensor([0.9, 0.5, 0.2]), torch.tensor([1, 2, 0])
    with pytest.raises(DferError, match=r"clips and targets as tensors, got ndarray and Tensor; torch\.from_numpy"):
        Midas()(clips.numpy(), targets)
    with pytest.raises(DferError, match="partner int64, got float and"):
        midas(clips, targets, 0.5, partner)  # type: ignore[arg-type]
    for wrong in (partner.float(), partner.bool()):
        with pytest.raises(DferError, match=rf"partner int64, got Tensor and {wrong.dtype}"):
            midas(clips, targets, lam, wrong)
    with pytest.raises(DferError, match=r"expected floating point, which can be mixed, got torch\.int64"):
        midas(clips, targets, lam, partner).carry(partner)
