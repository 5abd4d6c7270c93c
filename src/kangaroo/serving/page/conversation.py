"""The right side of the page: what was asked and answered, and what can be done about it."""

from dataclasses import dataclass
from functools import partial
from time import monotonic, sleep

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from kangaroo.playground.vocabulary import Language
from kangaroo.serving.page.component import complain
from kangaroo.serving.page.desk import Desk
from kangaroo.serving.page.films import Film
from kangaroo.serving.page.save import as_json, as_markdown
from kangaroo.serving.page.talk import Round, Status, was_cut
from kangaroo.serving.page.texts import say, say_preflight
from kangaroo.serving.page.words import linked, plain

_EXAMPLES = ("example_1", "example_2", "example_3")
_USER, _MODEL = ":material/person:", "🦘"
_PACE_S = 0.04  # the least time from one drawing of an answer to the next
_PATIENCE_S = 0.25  # the most; Streamlit notices what a visitor does only when something is drawn


@dataclass(frozen=True, kw_only=True)
class Place:
    """A round, and where on the page its words and its costs go."""

    round: Round
    words: DeltaGenerator
    costs: DeltaGenerator


def show_conversation(desk: Desk, film: Film, language: Language, *, model: str) -> Place | None:
    """Show the rounds; return the place of the one that is under way."""
    running = None
    # what stood in a slot before goes at once; elsewhere Streamlit leaves it until the script ends
    beginning = st.empty()
    if not desk.talk.rounds:
        with beginning.container():
            _show_beginning(desk, language)
    for number, one in enumerate(desk.talk.rounds):
        with st.chat_message("user", avatar=_USER):
            st.markdown(plain(one.question))
        with st.chat_message("assistant", avatar=_MODEL), st.container(key=f"answer_{number}"):
            place = Place(round=one, words=st.empty(), costs=st.empty())
            _show(place, film, language)
            running = place if one.is_running else None
    buttons = st.empty()
    if desk.talk.rounds:
        with buttons.container(key="buttons", horizontal=True):
            _show_buttons(desk, film, language, model=model)
    return running


def follow(place: Place, film: Film, language: Language) -> None:
    """Show an answer as it comes. Whatever the visitor does meanwhile ends this script, not the answer."""
    began_s, known = monotonic(), ""
    while place.round.wait(_PATIENCE_S):
        if place.round.text:
            place.words.markdown(linked(place.round.text, duration_s=film.info.duration_s))
        else:
            place.words.markdown(f":shimmer[{say('looking', language)}] :gray[{monotonic() - began_s:.0f} s]")
        answer = place.round.answer
        if answer is not None and answer.preflight != known:
            known = answer.preflight
            place.costs.caption(plain(say_preflight(known, language)))
        sleep(_PACE_S)


def _show_beginning(desk: Desk, language: Language) -> None:
    st.markdown(say("begin", language))
    for key in _EXAMPLES:
        question = say(key, language)
        st.button(question, key=key, icon=":material/chat_bubble:", on_click=partial(desk.ask, question))
    st.caption(say("times_hint", language))


def _show(place: Place, film: Film, language: Language) -> None:
    one, answer = place.round, place.round.answer
    if one.text:
        place.words.markdown(linked(one.text, duration_s=film.info.duration_s))
    elif one.is_running:
        place.words.markdown(f":shimmer[{say('looking', language)}]")
    elif one.status is not Status.FAILED:
        place.words.caption(say("stopped_early" if one.status is Status.STOPPED else "silent", language))
    with place.costs.container():
        if answer is not None:
            st.caption(" · ".join(_costs(one, language)))
            for note in dict.fromkeys(answer.notes):
                st.caption(f":material/info: {plain(note)}")
        if one.error is not None:
            complain("failed", one.error, language, say("try_again", language))


def _costs(one: Round, language: Language) -> list[str]:
    answer = one.answer
    assert answer is not None, "asked for once it is known"
    costs = [plain(say_preflight(answer.preflight, language))]
    if not one.is_running and answer.new_tokens:
        seconds = f"{sum(answer.timings_s.values()):.1f}"
        costs.append(say("cost", language, tokens=answer.new_tokens, seconds=seconds))
    if one.status is Status.STOPPED:
        costs.append(say("stopped", language))
    elif was_cut(answer):
        costs.append(say("cut", language))
    return costs


def _show_buttons(desk: Desk, film: Film, language: Language, *, model: str) -> None:
    talk = desk.talk
    if talk.is_running:
        st.button(say("stop", language), key="stop", icon=":material/stop_circle:", on_click=talk.stop, type="primary")
        return
    st.button(say("regenerate", language), key="regenerate", icon=":material/refresh:", on_click=desk.regenerate)
    st.button(say("reset", language), key="reset", icon=":material/delete_sweep:", on_click=talk.reset)
    with st.popover(say("save", language), icon=":material/download:", key="save"):
        for label, name, mime, text in (
            ("JSON", "kangaroo.json", "application/json", as_json(talk.rounds, film=film.info, model=model)),
            ("Markdown", "kangaroo.md", "text/markdown", as_markdown(talk.rounds, film=film.info, model=model)),
        ):
            st.download_button(label, text, name, mime, key=label, on_click="ignore", width="stretch")
