"""What happens in a film, said in both languages: whole descriptions, clauses, and verbs as questions need them."""

from kangaroo.playground.film import Event, Film, Scene, Verb, does, times_phrase
from kangaroo.playground.vocabulary import PLACES, Phrase, Way

INFINITIVES = {
    Verb.GROW: Phrase("grow", "变大"),
    Verb.SHRINK: Phrase("shrink", "变小"),
    Verb.TURN: Phrase("spin", "旋转"),
    Verb.BLINK: Phrase("blink", "闪烁"),
    Verb.JUMP: Phrase("jump", "跳"),
    Verb.RECOLOUR: Phrase("change colour", "变颜色"),
    Verb.MOVE: Phrase("move", "移动"),
}

# what a wrong answer may say that a thing does
ACTS = (
    Phrase("grows", "变大"),
    Phrase("shrinks", "变小"),
    Phrase("spins", "旋转"),
    *(Phrase(f"blinks {times_phrase(n).en}", f"闪烁{times_phrase(n).zh}") for n in (1, 2, 3)),
    *(Phrase(f"jumps {times_phrase(n).en}", f"跳{times_phrase(n).zh}") for n in (1, 2, 3)),
    *(Phrase(f"moves {way.motion.en}", f"{way.motion.zh}移动") for way in Way),
)

COMINGS_AND_GOINGS = (
    Phrase("appears", "出现"),
    Phrase("vanishes", "消失"),
    *(Phrase(f"enters from {way.side.en}", f"从{way.side.zh}进来") for way in Way),
    *(Phrase(f"leaves to {way.side.en}", f"从{way.side.zh}离开") for way in Way),
)


def second_phrase(second: float) -> Phrase:
    """Say when, to the whole second: `at 12 seconds`, `第12秒`."""
    whole = round(second)
    return Phrase(f"at {whole} second{'' if whole == 1 else 's'}", f"第{whole}秒")


def describe(film: Film) -> Phrase:
    """Tell everything that is in view from the start and everything that happens, in order."""
    en, zh = [], []
    for scene in film.scenes:
        for index, thing in enumerate(scene.things):
            if scene.arrival_s(index) == scene.start_s:
                name, place = thing.look.name, PLACES[thing.cell]
                moment = second_phrase(scene.start_s)
                if scene is film.scenes[0]:
                    en.append(f"First, the {name.en} is {place.en}.")
                    zh.append(f"一开始，{name.zh}在{place.zh}。")
                else:
                    en.append(f"Then {moment.en}, the {name.en} is {place.en}.")
                    zh.append(f"然后{moment.zh}，{name.zh}在{place.zh}。")
        for event in scene.events:
            name, act = scene.things[event.thing].look.name, does(event, scene)
            moment = second_phrase(event.start_s)
            en.append(f"{moment.en.capitalize()}, the {name.en} {act.en}.")
            zh.append(f"{moment.zh}，{name.zh}{act.zh}。")
    return Phrase(" ".join(en), "".join(zh))


def plural(name: Phrase) -> Phrase:
    """Return a shape's name for more than one of it."""
    en = {"half circle": "half circles", "cross": "crosses"}.get(name.en, f"{name.en}s")
    return Phrase(en, name.zh)


def infinitive(event: Event, scene: Scene) -> Phrase:
    """Say what happens without its details, after "does" or "start to"."""
    if event.verb is Verb.BUMP:
        assert event.other is not None
        other = scene.things[event.other].look.name
        return Phrase(f"bump into the {other.en}", f"撞上{other.zh}")
    if event.verb in INFINITIVES:
        return INFINITIVES[event.verb]
    return Phrase(
        {"enter": "enter", "appear": "appear", "leave": "leave"}.get(event.verb, "vanish"),
        {"enter": "进来", "appear": "出现", "leave": "离开"}.get(event.verb, "消失"),
    )


def without_details(event: Event, scene: Scene) -> Phrase:
    """Say what happens for "which object ...": repetitions left out, ways and colours kept."""
    match event.verb:
        case Verb.BLINK:
            return Phrase("blinks", "闪烁")
        case Verb.JUMP:
            return Phrase("jumps", "跳")
        case _:
            return does(event, scene)
