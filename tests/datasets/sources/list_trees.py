"""Writers of tiny trees of FERV39k and AFEW, and of the list files of the field's own code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from .trees import write_files, write_frames

# Clip of FERV39k -> its part; numbers repeat over scenes and emotions, as they do there.
FERV39K_CLIPS = {
    "Action/Happy/0267": "train",
    "Action/Sad/0267": "test",
    "War/Sad/0267": "train",
    "War/Happy/0010": "test",
    "DailyLife/Neutral/0001": "train",
    "DailyLife/Angry/0002": "train",
    "Speech/Surprise/0003": "train",
    "Terror/Disgust/0004": "train",
    "Crime/Fear/0005": "test",
}
DFEW_ORDER = ("Happy", "Sad", "Neutral", "Angry", "Surprise", "Disgust", "Fear")
ALPHABETICAL = ("Angry", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
"""S2D's numbers of FERV39k's emotions: its published list has `Interview/Happy/0118,3`."""

# Clip of AFEW by its part and emotion.
AFEW_CLIPS = {
    "Train/Angry/000149120": "angry",
    "Train/Disgust/011756043": "disgust",
    "Train/Neutral/000100000": "neutral",
    "Val/Angry/000227320": "angry",
    "Val/Fear/004315354": "fear",
}


def write_scenes(place: Path, clips: Iterable[str] = FERV39K_CLIPS, *, frames: int = 2) -> Path:
    """2_ClipsforFaceCrop: Action/Happy/0267/0.jpg ..., not padded."""
    for clip in clips:
        write_frames(place / clip, [f"{k}.jpg" for k in range(frames)])
    return place


def write_setup(place: Path, clips: Mapping[str, str] = FERV39K_CLIPS, *, name: str = "{part}_All.csv") -> None:
    """The official lists: `Action/Happy/0267 Happy`, no header; the last line does not end."""
    for part in ("train", "test"):
        lines = [f"{clip} {clip.split('/')[1]}" for clip, own in clips.items() if own == part]
        write_lines(place / name.format(part=part), lines)


def write_numbers(place: Path, order: Sequence[str] = ALPHABETICAL, *, base: int = 0, header: str = "path,id") -> None:
    """S2D's lists of FERV39k: train.csv and test.csv with numbers."""
    for part in ("train", "test"):
        clips = [clip for clip, own in FERV39K_CLIPS.items() if own == part]
        lines = [f"{clip},{order.index(clip.split('/')[1]) + base}" for clip in clips]
        write_lines(place / f"{part}.csv", [header, *lines] if header else lines)


def write_ferv39k(root: Path) -> Path:
    """FERV39k as its authors give it out: faces, the set-up of all scenes, and one of each scene."""
    write_scenes(root / "2_ClipsforFaceCrop")
    write_setup(root / "4_setups/All_scenes")
    for scene in ("Action", "War"):
        clips = {clip: part for clip, part in FERV39K_CLIPS.items() if clip.startswith(scene)}
        write_setup(root / "4_setups/22_scenes" / scene, clips, name=f"{{part}}_{scene}.csv")
    return root


def write_afew(root: Path, *, part: str = "{0}", clips: Iterable[str] = AFEW_CLIPS) -> Path:
    """AFEW's videos; the test part has no folders of emotions."""
    for clip in clips:
        of, emotion, number = clip.split("/")
        write_files(root / part.format(of) / emotion, "{0:09d}.avi", [int(number)])
    write_files(root / part.format("Test"), "{0:09d}.avi", [9280, 15120])
    return root


def write_afew_faces(root: Path) -> Path:
    """Face frames as published lists name them: train/Disgust/0_5_011756043, set_label_id."""
    for clip in AFEW_CLIPS:
        part, emotion, number = clip.split("/")
        name = f"{int(part == 'Val')}_{DFEW_ORDER.index(emotion)}_{number}"
        write_frames(root / part.lower() / emotion / name, ["1.jpg", "2.jpg"])
    return root


def write_lines(path: Path, lines: Iterable[str], *, encoding: str = "utf-8") -> Path:
    """A text file whose last line does not end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines), encoding=encoding)
    return path


# Clip of a made-up data set -> its emotion and the fold in whose test list it is.
LISTED = {
    **{"00001": ("sad", 1), "00002": ("happy", 1), "00003": ("neutral", 1), "00004": ("angry", 1)},
    **{"00005": ("surprise", 2), "00012": ("fear", 2), "02522": ("disgust", 2), "16372": ("happy", 2)},
}


def write_split_lists(
    root: Path,
    *,
    pattern: str = "{part}.csv",
    line: str = "{name},{label}",
    name: str = "{0}",
    order: Sequence[str] = (),
    base: int = 0,
    header: str = "",
) -> Path:
    """Train and test lists of one split, test being fold 2 of `LISTED`; labels are names without an order."""
    for part in ("train", "test"):
        lines = [
            line.format(name=name.format(clip), label=order.index(emotion) + base if order else emotion)
            for clip, (emotion, fold) in LISTED.items()
            if (fold == 2) == (part == "test")
        ]
        write_lines(root / pattern.format(part=part), [header, *lines] if header else lines)
    return root


def write_fold_lists(root: Path, *, pattern: str, line: str, order: Sequence[str], base: int = 0) -> Path:
    """Train and test lists of two folds."""
    for number in (1, 2):
        for part in ("train", "test"):
            lines = [
                line.format(clip, order.index(emotion) + base)
                for clip, (emotion, fold) in LISTED.items()
                if (fold == number) == (part == "test")
            ]
            write_lines(root / pattern.format(part=part, fold=number), lines)
    return root
