"""The page itself: what `streamlit run` runs, from top to bottom, each time a visitor does something.

streamlit run streamlit_app.py --server.port 8501 -- --model joey
"""

import argparse
import os
from functools import partial
from typing import TYPE_CHECKING

import streamlit as st

from kangaroo.chat.remote import RemoteAnswerer
from kangaroo.errors import KangarooError
from kangaroo.playground.vocabulary import Language
from kangaroo.serving.page import films
from kangaroo.serving.page.component import complain, style
from kangaroo.serving.page.conversation import follow, show_conversation
from kangaroo.serving.page.desk import Desk
from kangaroo.serving.page.panel import show_film
from kangaroo.serving.page.texts import NAMES, say
from kangaroo.serving.page.words import plain

if TYPE_CHECKING:
    from kangaroo.chat.local import LocalAnswerer

_MAX_QUESTION = 8000


def main() -> None:
    """Draw the page."""
    st.set_page_config(page_title="Kangaroo", page_icon="🦘", layout="wide")
    style()
    with st.container(key="head", horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        title = st.container(key="title", horizontal=True, vertical_alignment="center", width="content")
        language = _language()
    title.title("🦘 Kangaroo", anchor=False)
    try:
        with st.spinner(say("loading", language)):
            answerer = _answerer(**vars(_arguments()))
            model = answerer.name
    except KangarooError as error:
        complain("no_model", str(error), language)
        st.stop()
    title.caption(say("answers", language, model=plain(model)))
    desk = _desk(answerer)
    left, right = st.columns([5, 6], gap="large")
    with left, st.container(key="film"):
        show_film(desk, language)
    if desk.film is None:
        return
    with right, st.container(key="talk"):
        place = show_conversation(desk, desk.film, language, model=model)
    with st.container(key="ask"):
        st.chat_input(
            say("ask", language),
            key="question",
            max_chars=_MAX_QUESTION,
            submit_mode="disable",
            on_submit=partial(_ask, desk),
        )
    if place is not None:
        follow(place, desk.film, language)
        st.rerun()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="The web page.")
    for name in ("--model", "--endpoint", "--device"):
        parser.add_argument(name)
    return parser.parse_args()


@st.cache_resource(show_spinner=False)
def _answerer(model: str | None, endpoint: str | None, device: str | None) -> "LocalAnswerer | RemoteAnswerer":
    if endpoint is not None:
        return RemoteAnswerer(endpoint, model)
    # transformers reads this once, when it is imported; its warnings are for programmers
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from kangaroo.chat.load import JOEY, load

    return load(model or JOEY, device=device)


def _language() -> Language:
    theirs = Language.ZH if (st.context.locale or "").lower().startswith("zh") else Language.EN
    chosen = st.segmented_control(
        "Language / 语言",
        list(Language),
        default=theirs,
        required=True,
        format_func=NAMES.__getitem__,
        key="language",
        label_visibility="collapsed",
        bind="query-params",
    )
    return Language(chosen)


def _desk(answerer: "LocalAnswerer | RemoteAnswerer") -> Desk:
    if "desk" not in st.session_state:
        st.session_state.desk = Desk(answerer)
        st.session_state.desk.wanted = partial(films.sample, films.SAMPLES[0])
    desk: Desk = st.session_state.desk
    return desk


def _ask(desk: Desk) -> None:
    if question := (st.session_state.question or "").strip():
        desk.ask(question)


if __name__ == "__main__":
    main()
