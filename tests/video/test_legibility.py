"""The score of a picture against faces whose blur, noise and cover are known."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.stats import moment
from sklearn.metrics import roc_auc_score

from dfer.video.alignment import align
from dfer.video.corruptions import CORRUPTIONS, corrupt
from dfer.video.legibility import TRAITS, cannot_tell, scored, traits
from dfer.video.legibility import _numbers as numbers
from dfer.video.mtcnn import Mtcnn
from dfer.video.stream import Span, stream

CLIPS = Path(__file__).parents[2] / "examples" / "crema_d"


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    """Some aligned faces of the two example clips, RGB."""
    detector, found = Mtcnn(), []
    for clip in sorted(CLIPS.glob("*.mp4")) + sorted(CLIPS.glob("*.flv")):
        for shown in stream(clip, span=Span(every_s=0.4)):
            face = max(detector(shown.pixels), key=lambda each: each.score)
            found.append(align(shown.pixels, face.landmarks, 112))
    assert len(found) >= 6
    return found


def test_faces_of_clean_films_can_be_told(faces: list[np.ndarray]) -> None:
    assert max(map(cannot_tell, faces)) < 0.5


@pytest.mark.parametrize("sigma", [6, 9])
def test_strong_blur_cannot_be_told_and_more_of_it_is_worse(faces: list[np.ndarray], sigma: float) -> None:
    for face in faces:
        blurred = gaussian_filter(face, (sigma, sigma, 0))
        assert cannot_tell(face) < cannot_tell(gaussian_filter(face, (2, 2, 0))) < cannot_tell(blurred) > 0.5


def test_corrupted_faces_are_told_from_clean_ones(faces: list[np.ndarray]) -> None:
    generator, scores, bad = np.random.default_rng(7), [], []
    for face in faces:
        for name in CORRUPTIONS:
            for severity in (0, 1, 2, 3, 4, 5) if name != "dropped_frames" else ():
                picture = corrupt(face[None], name, severity, generator)[0] if severity else face
                scores.append(cannot_tell(picture))
                bad.append(severity > 0)
    assert roc_auc_score(bad, scores) >= 0.85


def test_colour_and_size_hardly_matter(faces: list[np.ndarray]) -> None:
    for face in faces:
        grey = cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)
        assert cannot_tell(grey) == cannot_tell(grey[..., None]) == pytest.approx(cannot_tell(face), abs=1e-6)
        assert cannot_tell(cv2.resize(face, (96, 96), interpolation=cv2.INTER_AREA)) == pytest.approx(
            cannot_tell(face), abs=0.01
        )


@pytest.mark.parametrize("value", [0, 128, 255])
def test_an_even_patch_and_a_single_pixel_have_a_score(value: int) -> None:
    for side in (1, 8, 300):
        assert 0 <= cannot_tell(np.full((side, side, 3), value, np.uint8)) <= 1


def test_the_network_is_the_one_that_is_written_down() -> None:
    generator = np.random.default_rng(0)
    rows, known = generator.normal(0, 9, (5, TRAITS)), numbers()
    for row, found in zip(rows, scored(rows, known), strict=True):
        total = known.offset
        for weights, offset, out in zip(known.hidden, known.offsets, known.out, strict=True):
            inside = [
                min(max((value - mean) / deviation, -known.limit), known.limit) * weight
                for value, mean, deviation, weight in zip(row, known.mean, known.deviation, weights, strict=True)
            ]
            total += out * np.tanh(sum(inside) + offset)
        assert found == pytest.approx(1 / (1 + np.exp(-total)))


def test_as_many_traits_as_numbers() -> None:
    assert traits(np.zeros((20, 20), np.uint8)).shape == (TRAITS,) == np.shape(numbers().mean)


def test_details_are_measured_as_moments_are_defined() -> None:
    face = np.random.default_rng(3).normal(128, 40, (96, 96)).clip(0, 255).astype(np.uint8)
    edges = cv2.Laplacian(face.astype(np.float32), cv2.CV_32F).astype(np.float64).ravel()
    spread = np.sqrt(moment(edges, 2))
    peaked = np.log(np.mean(edges**4) / (spread**4 + 0.01) + 1)
    assert traits(face)[:2] == pytest.approx([np.log(spread + 0.3), peaked], rel=1e-12)
