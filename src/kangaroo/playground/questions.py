"""Every question that a film can answer, with its right answer and plausible wrong ones.

A question is only asked where the film leaves no doubt: a description fits one thing, two times differ clearly.
The words come from `wording`; here stand the facts.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise

from kangaroo.playground.film import (
    ACTIONS,
    ARRIVALS,
    DEPARTURES,
    MAX_TIMES,
    Event,
    Film,
    Scene,
    Verb,
    does,
    times_phrase,
)
from kangaroo.playground.telling import (
    ACTS,
    COMINGS_AND_GOINGS,
    INFINITIVES,
    describe,
    infinitive,
    plural,
    second_phrase,
    without_details,
)
from kangaroo.playground.vocabulary import COLOURS, PLACES, SHAPES, Look, Phrase, Way, common_sprites


class Family(StrEnum):
    """What a question is about. The first ten can be asked with four options."""

    WHAT = "what"
    COUNT = "count"
    COLOUR = "colour"
    WHERE = "where"
    WAY = "way"
    ORDER = "order"
    WHEN = "when"
    OFTEN = "often"
    ACTION = "action"
    CHANGE = "change"
    YES_NO = "yes_no"
    DESCRIBE = "describe"


CHOICE_FAMILIES = tuple(family for family in Family if family not in (Family.YES_NO, Family.DESCRIBE))


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question before it is put into words.

    `template` names its wordings; `slots` fill them; `wrong` holds three wrong answers or more; fewer where the
    question cannot have options. `subject` is the thing's name where a follow-up could say "it". `second_s` is the
    time that the answer rounds to a whole second, None where no time is asked.
    """

    family: Family
    template: str
    answer: Phrase
    wrong: tuple[Phrase, ...] = ()
    slots: dict[str, Phrase] = field(default_factory=dict)
    subject: Phrase | None = None
    second_s: float | None = None


def questions(film: Film, rng: random.Random) -> list[Question]:
    """Return every question this film can answer, the describing one first; `rng` picks wrong answers."""
    asker = _Asker(film, rng)
    found = [asker.describe()]
    for part in (asker.what, asker.count, asker.colour, asker.where, asker.way, asker.order, asker.timing):
        found.extend(part())
    for part in (asker.action, asker.change, asker.yes_no):
        found.extend(part())
    return found


_MOST_COUNTED = 8
_SHARE_OF_ONES = 0.15


class _Asker:
    """Holds what all families need: the film's things, events, and how often each description fits."""

    def __init__(self, film: Film, rng: random.Random) -> None:
        self.film, self.rng = film, rng
        self.things = [(scene, index) for scene in film.scenes for index in range(len(scene.things))]
        self.looks = [scene.things[index].look for scene, index in self.things]
        self.events = [(scene, event) for scene in film.scenes for event in scene.events]
        self.kinds = Counter(look.kind for look in self.looks)

    def describe(self) -> Question:
        return Question(family=Family.DESCRIBE, template="describe", answer=describe(self.film))

    def what(self) -> Iterator[Question]:
        doings = Counter(does(event, scene) for scene, event in self.events)
        for scene, event in self.events:
            act, look = does(event, scene), scene.things[event.thing].look
            if doings[act] > 1 or (event.verb in (Verb.BLINK, Verb.JUMP) and self._often(event.verb) > 1):
                continue
            slots = {"does": without_details(event, scene)}
            fits = [
                other
                for other, (where, index) in zip(self.looks, self.things, strict=True)
                if other is look or _may_be_wrong(event, other, where, index)
            ]
            yield self._about_thing(Family.WHAT, "what", look, slots, among=fits)

    def _often(self, verb: Verb) -> int:
        return sum(event.verb is verb for _, event in self.events)

    def count(self) -> Iterator[Question]:
        if len(self.looks) <= _MOST_COUNTED:
            yield self._number("count.all", len(self.looks), {})
        recoloured = any(event.verb is Verb.RECOLOUR for _, event in self.events)
        colours = Counter(look.colour for look in self.looks if look.colour)
        for colour, number in colours.items():
            # most colours occur once: asked about each, the answer would be known unseen
            if not recoloured and (number > 1 or self.rng.random() < _SHARE_OF_ONES):
                yield self._number("count.colour", number, {"colour": COLOURS[colour].name})
        for kind, number in self.kinds.items():
            if kind in SHAPES and number > 1:
                yield self._number("count.shape", number, {"shape": SHAPES[kind], "shapes": plural(SHAPES[kind])})

    def _number(self, template: str, number: int, slots: dict[str, Phrase]) -> Question:
        """Ask for a number; a wrong one is never one that cannot be right, such as none."""
        least = 2 if template == "count.shape" else 1
        low = self.rng.randint(max(least, number - 3), max(least, min(number, _MOST_COUNTED - 3)))
        return Question(
            family=Family.COUNT,
            template=template,
            answer=Phrase(str(number), str(number)),
            wrong=self._shuffled(Phrase(str(n), str(n)) for n in range(low, low + 4) if n != number),
            slots=slots,
        )

    def colour(self) -> Iterator[Question]:
        for scene, index in self.things:
            look = scene.things[index].look
            changes = any(event.verb is Verb.RECOLOUR for event in scene.events_of(index))
            if look.colour is None or changes or self.kinds[look.kind] > 1:
                continue
            in_film = [COLOURS[other.colour].name for other in self.looks if other.colour]
            yield Question(
                family=Family.COLOUR,
                template="colour",
                answer=COLOURS[look.colour].name,
                wrong=self._wrong(COLOURS[look.colour].name, in_film, [c.name for c in COLOURS.values()]),
                slots={"thing": look.kind_name},
                subject=look.kind_name,
            )

    def where(self) -> Iterator[Question]:
        for scene, index in self.things:
            thing = scene.things[index]
            verbs = {event.verb for event in scene.events_of(index)}
            if Verb.MOVE not in verbs:
                yield self._place("where", thing.look, thing.cell)
            else:
                yield self._place("where.before", thing.look, thing.cell)
                if not verbs.intersection(DEPARTURES):
                    yield self._place("where.after", thing.look, scene.cell_after(index))

    def _place(self, template: str, look: Look, cell: int) -> Question:
        return Question(
            family=Family.WHERE,
            template=template,
            answer=PLACES[cell],
            wrong=self._wrong(PLACES[cell], (), PLACES),
            slots={"thing": look.name},
            subject=look.name,
        )

    def way(self) -> Iterator[Question]:
        for scene, event in self.events:
            if event.way is None:
                continue
            name = scene.things[event.thing].look.name
            moves = event.verb is Verb.MOVE
            if moves and sum(other.verb is Verb.MOVE for other in scene.events_of(event.thing)) > 1:
                continue
            ways = [way.motion if moves else way.side for way in Way]
            answer = event.way.motion if moves else event.way.side
            yield Question(
                family=Family.WAY,
                template=f"way.{event.verb}",
                answer=answer,
                wrong=self._wrong(answer, (), ways),
                slots={"thing": name},
                subject=name,
            )

    def order(self) -> Iterator[Question]:
        arrivals = sorted((scene.arrival_s(index), i) for i, (scene, index) in enumerate(self.things))
        names = [self.looks[i] for _, i in arrivals]
        clear = [later - earlier >= 1.5 * self.film.unit_s for (earlier, _), (later, _) in pairwise(arrivals)]
        if len(names) >= 2 and clear[0]:
            yield self._about_thing(Family.ORDER, "order.first", names[0], {}, subject=False)
        if len(names) >= 2 and clear[-1]:
            yield self._about_thing(Family.ORDER, "order.last", names[-1], {}, subject=False)
        for i in range(len(names) - 1):
            if clear[i] and (i + 1 == len(clear) or clear[i + 1]):
                yield self._about_thing(Family.ORDER, "order.after", names[i + 1], {"thing": names[i].name})
            if clear[i] and (i == 0 or clear[i - 1]):
                yield self._about_thing(Family.ORDER, "order.before", names[i], {"thing": names[i + 1].name})
        clauses = Counter(self._clause(scene, event) for scene, event in self.events)
        for (scene, event), (next_scene, following) in pairwise(self.events):
            if clauses[self._clause(scene, event)] > 1 or following.start_s - event.start_s < 1.5 * self.film.unit_s:
                continue
            answer = self._clause(next_scene, following)
            others = [clause for clause in clauses if clause != self._clause(scene, event)]
            made_up = [self._made_up_clause() for _ in range(12)]
            yield Question(
                family=Family.ORDER,
                template="order.next",
                answer=answer,
                wrong=self._wrong(answer, others, made_up),
                slots={"clause": self._clause(scene, event)},
            )

    def timing(self) -> Iterator[Question]:
        for scene, event in self.events:
            look = scene.things[event.thing].look
            if sum(other.verb is event.verb for other in scene.events_of(event.thing)) > 1:
                continue
            slots = {"thing": look.name, "do": infinitive(event, scene)}
            yield Question(
                family=Family.WHEN,
                template="when.arrive" if event.verb in ARRIVALS else "when.act",
                answer=second_phrase(event.start_s),
                wrong=self._other_seconds(event.start_s),
                slots=slots,
                subject=look.name,
                second_s=event.start_s,
            )
            if event.verb in (Verb.BLINK, Verb.JUMP):
                yield Question(
                    family=Family.OFTEN,
                    template="often",
                    answer=times_phrase(event.times),
                    wrong=self._shuffled(times_phrase(n) for n in range(1, MAX_TIMES + 1) if n != event.times),
                    slots=slots,
                    subject=look.name,
                )

    def _other_seconds(self, second: float) -> tuple[Phrase, ...]:
        """Pick three other seconds of the film, each clearly apart from the right one and from each other.

        A short film has fewer: then the question has no options.
        """
        apart = max(1, round(0.15 * self.film.duration_s))
        chosen = [round(second)]
        candidates = list(range(int(self.film.duration_s) + 1))
        self.rng.shuffle(candidates)
        for candidate in candidates:
            if len(chosen) < 4 and all(abs(candidate - other) >= apart for other in chosen):
                chosen.append(candidate)
        return tuple(second_phrase(float(other)) for other in chosen[1:])

    def action(self) -> Iterator[Question]:
        for scene, index in self.things:
            acts = [event for event in scene.events_of(index) if event.verb in ACTIONS]
            if len(acts) != 1:
                continue
            look, answer = scene.things[index].look, does(acts[0], scene)
            # it goes some way when it enters, too; and nothing does something to itself
            goes = {f"moves {way.motion.en}" for way in scene.ways_of(index)}
            likely, possible = (
                [act for act in some if act.en not in goes and not act.en.endswith(f"the {look.name.en}")]
                for some in ([does(event, where) for where, event in self.events if event.verb in ACTIONS], ACTS)
            )
            yield Question(
                family=Family.ACTION,
                template="action",
                answer=answer,
                wrong=self._wrong(answer, likely, possible, kinds_differ=True),
                slots={"thing": look.name},
                subject=look.name,
            )

    def change(self) -> Iterator[Question]:
        for scene, event in self.events:
            if event.colour is None:
                continue
            look = scene.things[event.thing].look
            assert look.colour is not None
            answer = COLOURS[event.colour].name
            # the question names the old colour, so that is no option
            others = [colour.name for name, colour in COLOURS.items() if name != look.colour]
            yield Question(
                family=Family.CHANGE,
                template="change",
                answer=answer,
                wrong=self._wrong(answer, (), others),
                slots={"thing": look.name},
                subject=look.name,
            )

    def yes_no(self) -> Iterator[Question]:
        yes, no = Phrase("Yes", "是的"), Phrase("No", "不是")
        for scene, event in self.events:
            look = scene.things[event.thing].look
            # of a bump only "yes" could be asked: who does not bump has nobody to name
            if event.verb not in INFINITIVES:
                continue
            slots = {"thing": look.name, "do": infinitive(event, scene)}
            yield Question(family=Family.YES_NO, template="yes_no", answer=yes, slots=slots, subject=look.name)
            done = {other.verb for other in scene.events_of(event.thing)}
            if scene.ways_of(event.thing):
                done.add(Verb.MOVE)
            other = self.rng.choice([verb for verb in INFINITIVES if verb not in done])
            slots = {"thing": look.name, "do": INFINITIVES[other]}
            yield Question(family=Family.YES_NO, template="yes_no", answer=no, slots=slots, subject=look.name)
        became = [
            replace(scene.things[event.thing].look, colour=event.colour) for scene, event in self.events if event.colour
        ]
        for look in self.rng.sample(self.looks, min(2, len(self.looks))):
            yield Question(family=Family.YES_NO, template="yes_no.there", answer=yes, slots={"thing": look.name})
            while (absent := self._random_look(self.looks).name) in {there.name for there in (*self.looks, *became)}:
                pass
            yield Question(family=Family.YES_NO, template="yes_no.there", answer=no, slots={"thing": absent})

    def _about_thing(
        self,
        family: Family,
        template: str,
        look: Look,
        slots: dict[str, Phrase],
        *,
        subject: bool = True,
        among: Sequence[Look] | None = None,
    ) -> Question:
        looks = self.looks if among is None else among
        others = [other.name for other in looks if other.name != slots.get("thing")]
        made_up, there = [self._random_look(looks).name for _ in range(6)], {other.name for other in self.looks}
        return Question(
            family=family,
            template=template,
            answer=look.name,
            wrong=self._wrong(look.name, others, [name for name in made_up if name not in there]),
            slots=slots,
            subject=look.name if subject else None,
        )

    def _random_look(self, looks: Sequence[Look]) -> Look:
        like = self.rng.choice(looks)
        if not like.is_shape:
            return Look(self.rng.choice(common_sprites()))
        return Look(self.rng.choice(tuple(SHAPES)), self.rng.choice(tuple(COLOURS)))

    def _clause(self, scene: Scene, event: Event) -> Phrase:
        name, act = scene.things[event.thing].look.name, does(event, scene)
        return Phrase(f"the {name.en} {act.en}", f"{name.zh}{act.zh}")

    def _made_up_clause(self) -> Phrase:
        name, act = self.rng.choice(self.looks).name, self.rng.choice(ACTS + COMINGS_AND_GOINGS)
        return Phrase(f"the {name.en} {act.en}", f"{name.zh}{act.zh}")

    def _wrong(
        self, answer: Phrase, likely: Iterable[Phrase], possible: Iterable[Phrase], *, kinds_differ: bool = False
    ) -> tuple[Phrase, ...]:
        """Pick three wrong answers, those that occur in the film first.

        `kinds_differ`: options must not differ in the number of repetitions or in the way alone.
        """
        chosen: list[Phrase] = []
        for pool in (list(dict.fromkeys(likely)), list(dict.fromkeys(possible))):
            self.rng.shuffle(pool)
            for phrase in pool:
                alike = {other.en.split()[0] for other in (answer, *chosen)} if kinds_differ else set()
                if len(chosen) < 3 and phrase not in (answer, *chosen) and phrase.en.split()[0] not in alike:
                    chosen.append(phrase)
        return self._shuffled(chosen)

    def _shuffled(self, phrases: Iterable[Phrase]) -> tuple[Phrase, ...]:
        """Return options in no order: one out of order would be the right one."""
        mixed = list(phrases)
        self.rng.shuffle(mixed)
        return tuple(mixed)


def _may_be_wrong(event: Event, look: Look, scene: Scene, thing: int) -> bool:
    """Whether a thing of the film may be a wrong answer to who does this: not where it does as much in other words."""
    verbs = {other.verb for other in scene.events_of(thing)}
    match event.verb:
        case Verb.MOVE:
            return event.way not in scene.ways_of(thing)
        case Verb.APPEAR:
            return verbs.isdisjoint(ARRIVALS)
        case Verb.VANISH:
            return verbs.isdisjoint(DEPARTURES)
        case Verb.RECOLOUR:  # sprites never do: as options they would rule themselves out
            return look.is_shape
        case _:
            return True
