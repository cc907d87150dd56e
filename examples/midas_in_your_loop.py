"""MIDAS in anybody's training loop: two lines. Runs in a second on made-up tensors."""

import torch
import torch.nn.functional as F

from dfer import Midas, create_model, soft_labels

votes = torch.randint(0, 4, (16, 7), generator=torch.Generator().manual_seed(0)) + 1  # ten or so votes a clip
clips = torch.rand(16, 3, 8, 32, 32)  # (B, C, T, H, W)
targets = torch.from_numpy(soft_labels(votes.numpy())).float()  # (B, K), rows sum to one

model = create_model("tiny3d", num_classes=7)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
mix = Midas(alpha=0.8)  # line one

for step in range(5):
    mixed_clips, mixed_targets, lam, partner = mix(clips, targets)  # line two
    loss = F.cross_entropy(model(mixed_clips), mixed_targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}  loss {loss.item():.3f}  mean lambda {lam.mean():.2f}")
