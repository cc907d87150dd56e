"""Plots and overlays: they are there, they hold what they should, and the same timeline gives the same file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from dfer import DferError
from dfer.inference import Segment, Timeline, overlay
from dfer.inference.draw import clock, pieces, plot, write_plot
from dfer.inference.lettering import mask, write
from dfer.inference.overlay import DrawnFace, Rectangle, draw_faces, faces_at, rgb
from dfer.inference.page import film_of, to_page
from dfer.inference.thumbnails import choose_peaks, thumbnails
from dfer.labels import EmotionSet
from dfer.pages import bright_colours

from ..video.test_sound import beep, heard
from .toy import EMOTIONS, film, toy_person, toy_predictor, toy_timeline

RED, BLUE = {"red": (20.0, 60.0)}, {"blue": (200.0, 80.0)}


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Timeline:
    path = film(tmp_path_factory.mktemp("film") / "a.mkv", [RED | BLUE] * 20)
    return toy_predictor()(path)


def frames_of(path: Path) -> tuple[np.ndarray, list[float]]:
    with av.open(str(path)) as container:
        shown = [(frame.to_ndarray(format="rgb24"), float(frame.time)) for frame in container.decode(video=0)]
    return np.stack([pixels for pixels, _ in shown]), [time for _, time in shown]


# --- plots


def texts(figure: Figure) -> list[str]:
    return [each.get_text() for each in figure.findobj(mpl.text.Text) if each.get_text()]


def test_a_plot_names_video_people_and_emotions_and_shows_faces(filmed: Timeline) -> None:
    figure = filmed.plot()
    assert {"a.mkv", "person 0", "person 1", "angry", "sad"} <= set(texts(figure))
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(figure.axes) - len(pictures) == 2 and len(pictures) == 2
    means = [np.asarray(axes.images[0].get_array()).mean(axis=(0, 1)) for axes in pictures]
    assert [int(mean.argmax()) for mean in means] == [0, 2], "each person's own face"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_the_same_timeline_gives_the_same_plot(filmed: Timeline, tmp_path: Path, suffix: str) -> None:
    for name in "ab":
        filmed.save(tmp_path / (name + suffix))
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize(
    "timeline",
    [
        toy_timeline(),
        Timeline("gone.mp4", 3.0, toy_timeline().emotions, ()),
        toy_timeline(*[toy_person(id_) for id_ in range(12)]),
        toy_timeline(toy_person(0, times=np.array([0.0]), probs=np.ones((1, 3)) / 3, boxes=np.zeros((1, 4)),
                                flaws=np.zeros(1, np.uint8), segments=())),
        toy_timeline(toy_person(0, probs=np.full((4, 3), np.nan), overall=np.full(3, np.nan), segments=())),
        toy_timeline(video="$a_b^c <&> $x^.mp4"),
    ],
    ids=["no video", "nobody", "twelve people", "one row", "never seen", "odd name"],
)  # fmt: skip
def test_any_timeline_can_be_drawn(timeline: Timeline, tmp_path: Path) -> None:
    timeline.save(tmp_path / "out.png")
    assert (tmp_path / "out.png").stat().st_size > 1000
    assert timeline._repr_html_().startswith('<img src="data:image/png;base64,')


def test_a_dollar_in_a_name_is_a_dollar(tmp_path: Path) -> None:
    odd = EmotionSet("odd", (r"$\frac$", "$x$", "sad"))
    person = replace(toy_person(), name=r"$\nothing$", segments=(Segment(0.0, 0.1, 0.2, r"$\frac$", 0.7),))
    timeline = Timeline("$\\a$.mp4", 0.4, odd, (person,))
    for suffix in (".svg", ".png", ".pdf"):
        write_plot(timeline, tmp_path / f"a{suffix}")
    assert {r"$\frac$", "$\\a$.mp4"} <= set(texts(plot(timeline)))


def test_a_plot_of_many_people_says_who_is_not_drawn() -> None:
    words = texts(toy_timeline(*[toy_person(id_) for id_ in range(12)]).plot())
    assert any("12 people, 6 more not drawn" in word for word in words)


def test_an_hour_is_thinned_to_means() -> None:
    count = 90_000
    probs = np.random.default_rng(0).dirichlet(np.ones(3), count)
    person = toy_person(times=np.arange(count) / 25, probs=probs, boxes=np.ones((count, 4)), flaws=np.zeros(count))
    ((times, drawn),) = pieces(person, 3600)
    assert len(times) < 1600 and times[0] == 0 and times[-1] == pytest.approx(3600)
    assert drawn[1] == pytest.approx(probs[:60].mean(axis=0))


def test_every_band_that_can_be_seen_is_named_and_axes_have_labels() -> None:
    probs = np.tile([0.98, 0.006, 0.014], (4, 1))
    said = texts(toy_timeline(toy_person(probs=probs, segments=())).plot())
    assert {"angry", "disgust", "sad", "probability", "time, s"} <= set(said)
    hidden = np.tile([0.998, 0.001, 0.001], (4, 1))
    assert "disgust" not in texts(toy_timeline(toy_person(probs=hidden, segments=())).plot())


def test_bands_break_where_there_is_no_face() -> None:
    found = pieces(toy_person(), 0.4)
    assert [times[[0, -1]].round(3).tolist() for times, _ in found] == [[0.0, 0.2], [0.3, 0.4]]


def test_peaks_are_one_of_each_emotion_then_the_surest_that_lie_apart_and_neutral_comes_last() -> None:
    segments = (
        Segment(0, 1.0, 2, "neutral", 0.99), Segment(0, 1.2, 2, "happy", 0.6), Segment(2, 5, 6, "sad", 0.7),
        Segment(2, 5.1, 6, "angry", 0.8), Segment(7, 9.5, 10, "neutral", 0.6),
    )  # fmt: skip
    more = (*segments, Segment(4, 4.2, 5, "angry", 0.75), Segment(7, 7.5, 8, "happy", 0.55))
    chosen = choose_peaks(toy_person(segments=more), EMOTIONS, 10.0, 5)
    assert [(peak.apex_s, peak.emotion) for peak in chosen] == [
        (1.2, "happy"), (5, "sad"), (5.1, "angry"), (7.5, "happy"), (9.5, "neutral"),
    ]  # fmt: skip
    assert [peak.apex_s for peak in choose_peaks(toy_person(segments=segments), EMOTIONS, 10.0, 2)] == [5, 5.1]


def test_an_emotion_that_leads_for_a_while_has_a_peak_without_a_segment() -> None:
    probs = np.array([[0.5, 0.2, 0.3]] * 4 + [[0.3, 0.25, 0.45]] * 4 + [[0.3, 0.4, 0.3]])
    times = np.arange(9) / 10
    person = toy_person(times=times, probs=probs, segments=(Segment(0.0, 0.0, 0.4, "angry", 0.5),))
    found = [(peak.apex_s, peak.emotion) for peak in choose_peaks(person, EMOTIONS, 0.9, 9)]
    assert found == [(0.0, "angry"), (0.4, "sad")], "disgust leads for a tenth of a second only"


def test_without_the_video_there_are_no_thumbnails(filmed: Timeline) -> None:
    peaks = {person.id: list(person.segments) for person in filmed.people}
    assert thumbnails(filmed, peaks)
    gone = Timeline("gone.mp4", filmed.duration_s, filmed.emotions, filmed.people)
    assert thumbnails(gone, peaks) == {}


def test_colours_are_those_of_the_pages(filmed: Timeline, tmp_path: Path) -> None:
    page = to_page(filmed, film_of(filmed, tmp_path))
    bright, dark = page.split("@media")[:2]
    shade = bright_colours(["happy", "neutral", "boredom"])
    assert f"--e0: {shade['happy']}" in bright and f"--e2: {shade['neutral']}" in bright
    assert ".e10 { --e: var(--e10); }" in page and "--e10: #" in bright and "--e10: #" in dark
    assert len(set(shade.values())) == 3 and rgb("#0102ff") == (1, 2, 255)


def test_times_read_as_one_says_them() -> None:
    assert [clock(seconds) for seconds in (0, 59.96, 60, 3600)] == ["0 s", "60 s", "1:00", "1:00:00"]


# --- overlays


def test_an_overlay_has_every_frame_at_its_time_with_a_box_around_each_face(filmed: Timeline, tmp_path: Path) -> None:
    filmed.save(tmp_path / "out.mp4")
    frames, times = frames_of(tmp_path / "out.mp4")
    assert times == pytest.approx(np.arange(20) / 25, abs=1e-3)
    assert frames.shape[0] == 20 and frames.shape[1] >= 480, "small videos are enlarged"
    scale = frames.shape[1] / 180
    x, y = round(20 * scale), round((60 + 45) * scale)
    edge = frames[10, y, x - 3 : x + 4].astype(int)
    wanted = np.array(rgb(bright_colours(filmed.emotions.emotions)["angry"]))
    assert np.abs(edge - wanted).sum(axis=1).min() < 60


@pytest.mark.parametrize("place", [RED, {}], ids=["a face", "nobody"])
def test_an_overlay_shows_the_part_that_was_looked_at(place: dict[str, tuple[float, float]], tmp_path: Path) -> None:
    from dfer.video.stream import Span

    path = film(tmp_path / "a.mkv", [place] * 50)
    toy_predictor()(path, span=Span(0.4, 1.2, 0.2)).save(tmp_path / "out.json")
    Timeline.load(tmp_path / "out.json").save(tmp_path / "out.mp4")
    _, times = frames_of(tmp_path / "out.mp4")
    assert len(times) == 20 and times[0] == 0, "all frames from 0.4 to 1.2 s, also those between"


def test_between_rows_boxes_move_evenly_and_absences_are_left_out() -> None:
    timeline = toy_timeline()

    def at(time_s: float) -> list[Rectangle]:
        return [face.box for face in faces_at(timeline, time_s, 10.0)]

    assert at(0.0) == [Rectangle(10, 20, 310, 420)] and at(0.05) == [Rectangle(15, 20, 315, 420)]
    assert at(0.15) == [] and at(0.2) == [] and at(0.25) == [] and at(0.3) == [Rectangle(30, 20, 330, 420)]


PLACES = {
    "tiny": (120, 160, [(40, 20, 80, 70)]),
    "portrait": (1280, 720, [(150, 400, 570, 900)]),
    "4K portrait": (3840, 2160, [(500, 800, 1700, 2400)]),
    "a strip": (1920, 300, [(20, 300, 280, 600)]),
    "a face that fills the picture": (500, 500, [(5, 5, 495, 495)]),
    "a face beyond the edges": (360, 640, [(-50, -60, 250, 200)]),
    "nine": (
        1080,
        1920,
        [(60 + 600 * x, 40 + 350 * y, 150 + 600 * x, 160 + 350 * y) for x in range(3) for y in range(3)],
    ),
}


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("emotions", [3, 11])
def test_every_face_has_words_and_bars_within_the_picture(
    name: str, emotions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    height, width, boxes = PLACES[name]
    names = ("happy", "sad", "neutral", "helplessness", "disappointment", *"abcdef")[:emotions]
    picture, scale = overlay._sized(np.full((height, width, 3), 120, np.uint8))
    people = tuple(toy_person(id_) for id_ in range(len(boxes)))
    timeline = Timeline("a.mp4", 0.4, EmotionSet("some", names), people)
    faces = [
        DrawnFace(id_, Rectangle(*(round(value * scale) for value in box)), np.eye(emotions)[-1])
        for id_, box in enumerate(boxes)
    ]
    drawn: list[Rectangle] = []
    bars, tag = overlay._bars, overlay._tag
    monkeypatch.setattr(overlay, "_bars", lambda *given: (drawn.append(given[1]), bars(*given)))
    tags: list[Rectangle] = []
    monkeypatch.setattr(overlay, "_tag", lambda *given: tags.append(tag(*given)) or tags[-1])
    draw_faces(picture, faces, timeline)
    assert len(drawn) == len(tags) == len(boxes), "everybody has both"
    for place in drawn + tags:
        assert 0 <= place.left < place.right <= picture.shape[1] and 0 <= place.top < place.bottom <= picture.shape[0]
    if name != "a face that fills the picture":
        assert not any(panel.meets(face.box) for panel in drawn for face in faces), "bars hide no face"
    assert not any(one.meets(other) for place, one in enumerate(drawn) for other in drawn[:place])


def test_letters_have_one_size_in_films_that_lie_and_stand() -> None:
    wide, tall = (np.zeros(size, np.uint8) for size in ((720, 1280, 3), (1280, 720, 3)))
    assert overlay._unit(wide, 7) == overlay._unit(tall, 7) == 2.0


def test_an_overlay_keeps_the_sound_of_its_film(tmp_path: Path) -> None:
    path = beep("aac", tmp_path / "a.mp4")
    timeline = Timeline(str(path), 2.0, EMOTIONS, ())
    timeline.save(tmp_path / "out.mp4")
    before, after = (np.flatnonzero(heard(each)[0] > 8000) for each in (path, tmp_path / "out.mp4"))
    assert before.tolist() == after.tolist()


def test_an_overlay_without_its_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DferError, match=r"clip\.mp4 cannot be drawn into"):
        toy_timeline().save(tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_overlay_of_an_image_is_a_video_of_one_frame(tmp_path: Path) -> None:
    import cv2

    from ..video.people import picture

    cv2.imwrite(str(tmp_path / "a.png"), cv2.cvtColor(picture(RED), cv2.COLOR_RGB2BGR))
    toy_predictor()(tmp_path / "a.png").save(tmp_path / "out.mp4")
    assert len(frames_of(tmp_path / "out.mp4")[0]) == 1


def test_letters_leave_ink_and_words_of_one_height_have_one_height() -> None:
    assert mask("happy", 20).shape[0] == mask("Ágnes", 20).shape[0] and mask("i", 20).max() > 150
    picture = np.zeros((20, 40, 3), np.uint8)
    width = write(picture, "happy", (-5, -3), 16, colour=(255, 0, 0))
    assert width > 20 and picture[..., 0].max() > 200 and picture[..., 1:].max() == 0
    write(picture, "far away", (500, 500), 16, colour=(255, 0, 0))
