"""Who is who from frame to frame: people keep their numbers while they move, cross, leave and come back.

Detection is costly and trembles, flow is cheap and drifts: faces are detected a few times a second, followed by flow
in between, and drawn towards what was detected in small steps until the next detection. Where flow holds, a face stays
the same person's. Where it does not, after a cut, an absence, or when one face replaces another, the face itself
decides, see `dfer.video.identity`; place, size and colours decide only for someone who was there some seconds ago and
whose face is not clear, or is half covered by another one.
"""

from __future__ import annotations

import numpy as np

from dfer.video import flow
from dfer.video.alignment import moved
from dfer.video.detection import Detector, Face, Frames, QuickDetector, covered, distinct, one_face
from dfer.video.identity import OTHER, SAME, Embed, Embedder, Look
from dfer.video.matching import OVERLAP, assign, differ, face_costs, memory_costs, overlap_costs, pairs, update
from dfer.video.people import Sighting, Track, sighting

DETECT_EVERY_S = 0.2
"""Faces are detected this often, and in every frame where flow is unsure, someone is new or was just lost."""
SEARCH_EVERY_S = 1.0
"""The whole picture is searched for faces of every size this often, and after a cut; in between those are looked for
that are there already, or large. In a picture of 640 pixels the two are the same."""
LOOK_EVERY_S = 0.5
"""A person's looks are taken this far apart, and further with every look that is there already."""
DOUBTS = 2
"""So many looks in a row must be someone else's before a face that flow lost, or that met another one, and that is
followed again is taken for that of someone else."""
CORRECTION = 0.5
"""The part of the way to what was detected that a followed face is drawn until the next detection."""
HOLD_S = 0.5
"""A face that flow follows but that is not detected is lost after so long: it has turned away."""
FORGET_S = 5.0
"""Someone who was lost may be found by place and colours for so long, and keeps a place among the people followed."""
MOST_GONE = 1000
"""People who are remembered by their faces, for ever; of more, those who were seen last."""
NEW_SCORE = 0.9
"""How sure the detector must be of a person who is new, 0..1."""
SURE_SCORE = 0.95
"""Below it a new person is shown only when detected a second time, but for the very first frame; 0..1."""
COVERED = 0.2
"""A face of which more than this share lies in the box of another one does not tell whose it is, 0..1."""


class Tracker:
    """Follows the faces of frames that are handed in one after the other.

    Args:
        detector: finds faces in a picture.
        embed: tells whose they are; None: `dfer.video.identity.Embedder`.
        people: how many people are followed at most: whoever is there first keeps a place until forgotten, the larger
            face first where there are more faces than places. None: all.

    Attributes:
        cut: whether the last frame began another scene.
        renamed: new number -> old number, of those who were found in the last frame to be someone who was there before.
    """

    def __init__(self, detector: Detector, *, embed: Embed | None = None, people: int | None = None) -> None:
        self.detector, self.embed, self.people = detector, embed or Embedder(), people
        self.followed: list[Track] = []
        self.lost: list[Track] = []
        self.gone: list[Track] = []
        self.cut, self.renamed = False, dict[int, int]()
        self._count = 0
        self._former: flow.Grey | None = None
        self._time_s = self._detected_s = self._searched_s = -np.inf

    def step(self, frame: Frames, time_s: float) -> list[Track]:
        """Those whose faces are seen in the next frame (H, W, 3) uint8 RGB, `time_s` seconds; in the order of ids."""
        grey = flow.Grey(frame)
        self.renamed = {}
        self.cut = self._former is not None and flow.is_cut(self._former, grey)
        if self.cut:
            self._part()
        self._forget(time_s)
        elapsed_s = time_s - self._time_s
        self._follow(grey, elapsed_s)
        looked = self._look(frame, time_s)
        if looked is not None:
            faces, sought = looked
            self._recognise(frame, time_s, faces=faces, sought=sought, settled=self._in_place(grey))
        self._former, self._time_s = grey, time_s
        shown = [person for person in self.followed if person.confirmed and not person.doubts]
        self._number(shown)
        return sorted(shown, key=lambda person: person.id)

    def _part(self) -> None:
        """After a cut, everybody may be anywhere, or nowhere."""
        self.gone += [person for person in self.followed + self.lost if person.confirmed]
        self.followed, self.lost = [], []
        self._detected_s = self._searched_s = -np.inf

    def _forget(self, time_s: float) -> None:
        """Those who were lost too long ago are gone."""
        away = [person for person in self.lost if time_s - person.seen_s >= FORGET_S]
        self.lost = [person for person in self.lost if person not in away]
        self.gone = (self.gone + away)[-MOST_GONE:]

    def _number(self, shown: list[Track]) -> None:
        """Numbers are given when someone is first shown, from left to right."""
        for person in sorted((person for person in shown if person.id < 0), key=lambda person: person.middle[0]):
            person.id = self._count
            self._count += 1

    def _follow(self, grey: flow.Grey, elapsed_s: float) -> None:
        """Move all by flow and a step towards their last detection."""
        boxes = [person.box for person in self.followed]
        motions = [] if self._former is None else flow.motions(self._former, grey, boxes)
        part = CORRECTION * min(1.0, elapsed_s / DETECT_EVERY_S)
        for person, motion in zip(self.followed, motions, strict=True):
            person.detected, person.certain = False, motion is not None
            if motion is None:
                person.settled = False
            else:
                person.landmarks = moved(motion, person.landmarks) + part * person.behind[0]
                person.box = flow.moved_box(motion, person.box) + part * person.behind[1]

    def _look(self, frame: Frames, time_s: float) -> tuple[list[Face], list[Track]] | None:
        """The faces found in a frame, and who was looked for; None where nobody needs to be."""
        missed = [person for person in self.lost if time_s - person.seen_s < HOLD_S]
        unsure = [one for one in self.followed if not one.certain or not one.confirmed or one.doubts]
        due = time_s - self._detected_s > DETECT_EVERY_S - 0.001
        if not due and not missed and not unsure:
            return None
        quick = self.detector if isinstance(self.detector, QuickDetector) else None
        if due or quick is None:
            self._detected_s = time_s
        if quick is None:
            return self.detector(frame), self.followed
        if not due:
            near = quick.near(frame, [person.box for person in unsure + missed])
            if len(near) < len(unsure):
                near = distinct(near + quick.others(frame, near, thorough=False))
            return near, unsure
        thorough = time_s - self._searched_s > SEARCH_EVERY_S - 0.001
        self._searched_s = time_s if thorough else self._searched_s
        near = quick.near(frame, [person.box for person in self.followed + missed])
        return distinct(near + quick.others(frame, near, thorough=thorough)), self.followed

    def _in_place(self, grey: flow.Grey) -> list[Track]:
        """Those of the followed who are known by where they are, whatever their faces look like now.

        Flow loses a face that turns or is covered. Only where much has changed it may be another one in its place; but
        its look is taken at once.
        """
        unsure = [person for person in self.followed if not person.certain]
        if unsure and (self._former is None or not flow.is_steady(self._former, grey)):
            return [person for person in self.followed if person.certain]
        for person in unsure:
            person.looked_s = -np.inf
        return self.followed

    def _recognise(
        self,
        frame: Frames,
        time_s: float,
        *,
        faces: list[Face],
        sought: list[Track],
        settled: list[Track],
    ) -> None:
        """Tell who is who, who is lost, and who is new.

        Args:
            frame: the frame.
            time_s: when it is shown.
            faces: found in it.
            sought: of those followed, those who were looked for.
            settled: likewise, those who are known by where they are.
        """
        sightings = [sighting(frame, face) for face in faces]
        smoothly = time_s - self._time_s < DETECT_EVERY_S
        free = assign(settled, sightings, overlap_costs, time_s, smoothly=smoothly)
        away = [person for person in self.followed if not person.detected and person in sought] + self.lost
        self._learn(frame, free, sightings)
        free = assign(away, free, memory_costs, time_s)
        self._watch_for_cut(away, free)
        known = self.followed + self.lost
        seen = [person for person in known if person.detected]
        held = [person for person in self.followed if not person.detected and self._holds(person, sought, seen, time_s)]
        self.followed = seen + held
        self.lost = [person for person in known if person.confirmed and person not in self.followed]
        for person, share in zip(self.followed, covered([one.box for one in self.followed]), strict=True):
            person.settled = person.settled and bool(share <= COVERED)
        anyones = one_face([one.box for one in free], [person.box for person in self.followed])
        self._admit([one for one, matches in zip(free, anyones, strict=True) if not matches.any()], time_s)
        self._look_again(frame, sightings, time_s)

    def _learn(self, frame: Frames, sightings: list[Sighting], others: list[Sighting]) -> None:
        """Take the looks of faces that are not half covered by others."""
        hidden = covered([one.box for one in others]) > COVERED
        whole = [one for one, is_hidden in zip(others, hidden, strict=True) if one in sightings and not is_hidden]
        whole = [one for one in whole if one.look is None]
        looks = self.embed(frame, [one.landmarks for one in whole]) if whole else []
        for one, look in zip(whole, looks, strict=True):
            one.look = look

    def _holds(self, person: Track, sought: list[Track], seen: list[Track], time_s: float) -> bool:
        """Whether someone who was not detected stays where flow says."""
        if person not in sought:
            return True
        recent = person.confirmed and person.certain and time_s - person.seen_s < HOLD_S
        return recent and not one_face([person.box], [other.box for other in seen], most=OVERLAP).any()

    def _watch_for_cut(self, away: list[Track], free: list[Sighting]) -> None:
        """Where flow lost everybody and someone else is in a place, there was a cut that the pictures did not tell."""
        followed = [person for person in self.followed if not person.certain]
        if followed and len(followed) == len(self.followed) and not any(person.detected for person in followed):
            both = ((person, one) for person in followed if person in away for one in free)
            self.cut = self.cut or any(
                one_face([person.box], [one.box], most=OVERLAP).any() and differ(person, one) for person, one in both
            )

    def _admit(self, free: list[Sighting], time_s: float) -> None:
        """Those who come back, and those who are new, the largest faces first while there are places."""
        back = dict(pairs(self.gone, free, face_costs))
        for index, one in sorted(enumerate(free), key=lambda item: -item[1].box[2] * item[1].box[3]):
            if one.score < NEW_SCORE or (self.people is not None and len(self.followed + self.lost) >= self.people):
                continue
            if index in back:
                person = back[index]
                self.gone.remove(person)
                update(person, one, time_s)
            else:
                confirmed = one.score >= SURE_SCORE or self._former is None
                person = Track.of(one, time_s, confirmed=confirmed)
            self.followed.append(person)

    def _look_again(self, frame: Frames, sightings: list[Sighting], time_s: float) -> None:
        """Take looks of those whose turn it is: what is known of them grows, and mistakes are found."""
        due = [person for person in self.followed if person.detected and person.sighting is not None]
        due = [one for one in due if time_s - one.looked_s >= LOOK_EVERY_S * max(1, len(one.gallery.looks))]
        self._learn(frame, [one.sighting for one in due if one.sighting is not None], sightings)
        for person in due:
            assert person.sighting is not None
            look, differs = person.sighting.look, person.gallery.distance(person.sighting.look) > OTHER
            if differs and not person.settled and differ(person, person.sighting):
                person.doubts += 1
                if person.doubts == DOUBTS:
                    self._replace(person, time_s)
                continue
            person.doubts, person.looked_s = 0, time_s
            if look is not None and not differs:
                person.settled = True
                person.gallery.add(look)
                self._remember(person, look)

    def _replace(self, person: Track, time_s: float) -> None:
        """Someone else's face has been taken for a person's: it is its own person's from now on."""
        self.followed.remove(person)
        if person.id >= 0:
            self.gone.append(person)
        self.cut = self.cut or not self.followed
        if person.sighting is not None:
            self._admit([person.sighting], time_s)

    def _remember(self, person: Track, look: Look) -> None:
        """Someone who was taken for new may turn out to be someone who was there before, and gets that number."""
        before = [one for one in self.gone + self.lost if one.seen_s < person.first_s and one.gallery.looks]
        nearest = min(before, key=lambda one: one.gallery.distance(look), default=None)
        if nearest is None or nearest.gallery.distance(look) >= SAME:
            return
        (self.gone if nearest in self.gone else self.lost).remove(nearest)
        if person.id >= 0:
            self.renamed[person.id] = nearest.id
        person.id, person.first_s = nearest.id, nearest.first_s
        for known in nearest.gallery.looks:
            person.gallery.add(known)
