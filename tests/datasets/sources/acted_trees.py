"""Writers of tiny trees in the exact layouts of CREMA-D and RAVDESS, with what is in the wild beside the clips."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from .trees import write_frames

CREMA_D_HEADER = (
    '"","A","D","F","H","N","S","fileName","numResponses","agreement","emoVote","meanEmoResp","meanAngerResp",'
    '"meanDisgustResp","meanFearResp","meanHappyResp","meanNeutralResp","meanSadResp","medianEmoResp",'
    '"meanEmoRespNorm","meanAngerRespNorm","meanDisgustRespNorm","meanFearRespNorm","meanHappyRespNorm",'
    '"meanNeutralRespNorm","meanSadRespNorm","medianEmoRespNorm"'
)
# Row name -> clip, votes A D F H N S, winner, mean levels A D F H N S (-1: nobody voted so).
CREMA_D_ROWS: dict[int, tuple[str, tuple[int, ...], str, tuple[float, ...]]] = {
    100001: ("1001_IEO_NEU_XX", (0, 0, 0, 1, 10, 0), "N", (-1, -1, -1, 98, 69.1, -1)),
    100002: ("1001_IEO_HAP_LO", (0, 0, 0, 3, 6, 0), "N", (-1, -1, -1, 42.5, 71, -1)),
    100083: ("1018_DFA_ANG_XX", (8, 0, 0, 0, 2, 0), "A", (60, -1, -1, -1, 50, -1)),
    200001: ("1001_IEO_NEU_XX", (0, 0, 0, 0, 9, 0), "N", (-1, -1, -1, -1, 92.25, -1)),
    200002: ("1001_IEO_HAP_LO", (0, 0, 0, 5, 5, 0), "H:N", (-1, -1, -1, 57, 40.5, -1)),
    200083: ("1018_DFA_ANG_XX", (5, 2, 0, 0, 3, 0), "A", (41.5, 62, -1, -1, 46, -1)),
    201500: ("1019_DFA_DIS_MD", (0, 2, 1, 0, 1, 6), "S", (-1, 30, 20, -1, 10, 71)),
    205000: ("1064_TIE_SAD_XX", (1, 2, 1, 0, 0, 6), "S", (10, 20, 30, -1, -1, 40)),
    207442: ("1091_WSI_FEA_HI", (0, 0, 8, 0, 2, 0), "F", (-1, -1, 83, -1, 12, -1)),
    300001: ("1001_IEO_NEU_XX", (0, 0, 0, 0, 9, 1), "N", (-1, -1, -1, -1, 64.5, 13)),
}
CREMA_D_ACTORS = (
    '1001,51,"Male","Caucasian","Not Hispanic"',
    '1018,25,"Female","African American","Hispanic"',
    '1019,29,"Male","Asian","Not Hispanic"',
    '1064,40,"Male","Unknown","Not Hispanic"',
    '1091,29,"Female","Asian","Not Hispanic"',
)
POINTER = (
    "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32\nsize 12345\n"
)
GOOD_CLIPS = ("1001_IEO_NEU_XX", "1001_IEO_HAP_LO", "1018_DFA_ANG_XX", "1019_DFA_DIS_MD", "1091_WSI_FEA_HI")


def write_crema_d(root: Path, clips: Iterable[str] = (*GOOD_CLIPS, "1064_TIE_SAD_XX")) -> Path:
    """CREMA-D as its repository has it: votes, demographics, and clips that are there and no more."""
    write_vote_rows(root / "processedResults/tabulatedVotes.csv")
    header = '"ActorID","Age","Sex","Race","Ethnicity"'
    (root / "VideoDemographics.csv").write_text("\n".join([header, *CREMA_D_ACTORS]) + "\n")
    write_videos(root / "VideoFlash", [f"{name}.flv" for name in clips])
    return root


def write_vote_rows(path: Path, lines: Iterable[str] = ()) -> Path:
    """tabulatedVotes.csv with its 27 columns; rows of one's own instead of the usual ones."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "\n".join([CREMA_D_HEADER, *(lines or vote_lines())]) + "\n"
    path.write_text(text, encoding="utf-8")
    return path


def vote_lines(rows: Mapping[int, tuple[str, tuple[int, ...], str, tuple[float, ...]]] = CREMA_D_ROWS) -> list[str]:
    """The lines of the vote table, quoted as there."""
    lines = []
    for row, (name, votes, winner, levels) in rows.items():
        counts, means = ",".join(map(str, votes)), ",".join(f"{level:g}" for level in levels)
        agreement = max(votes) / sum(votes)
        lines.append(f'"{row}",{counts},"{name}",{sum(votes)},{agreement:.15g},"{winner}",60,{means},61,NA,{means},NA')
    return lines


def write_videos(folder: Path, names: Iterable[str], content: str = "FLV") -> None:
    """Files with a name and a few bytes; readers do not decode them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(content)


# Fields: modality, channel, emotion, intensity, statement, repetition, actor.
RAVDESS_VIDEO_SPEECH = (
    "02-01-01-01-01-01-01",  # neutral
    "02-01-02-02-02-01-01",  # calm, strong, dogs
    "02-01-03-01-01-02-04",  # happy, second time, a woman
    "02-01-06-01-02-01-05",  # fearful, dogs
    "02-01-07-02-01-01-12",  # disgust, strong
    "02-01-08-01-01-01-24",  # surprised
)


def write_ravdess(root: Path, *, pattern: str = "Actor_{actor}/{name}.mp4") -> Path:
    """RAVDESS: each take without sound, with sound and as sound, of speech; and one song."""
    for name in RAVDESS_VIDEO_SPEECH:
        for modality, suffix in {"01": "mp4", "02": "mp4", "03": "wav"}.items():
            path = root / pattern.format(actor=name[-2:], name=f"{modality}{name[2:]}").replace("mp4", suffix)
            write_videos(path.parent, [path.name])
    write_videos(root / "Actor_01", ["02-02-04-01-01-01-01.mp4"])  # a song, sad
    return root


def write_ravdess_frames(root: Path) -> Path:
    """Clips that were turned into folders of frames, 1.jpg ... 3.jpg."""
    for name in RAVDESS_VIDEO_SPEECH:
        write_frames(root / f"Actor_{name[-2:]}" / name, ["1.jpg", "2.jpg", "3.jpg"])
    return root
