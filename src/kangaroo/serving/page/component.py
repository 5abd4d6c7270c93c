"""The strip of frames as a component of Streamlit's, and the page's own style."""

from importlib.resources import files

import streamlit as st

from kangaroo.playground.vocabulary import Language
from kangaroo.serving.page.films import Strip
from kangaroo.serving.page.texts import say
from kangaroo.serving.page.words import clock, plain

_HERE = files("kangaroo.serving.page")
_SKELETON = '<p class="complaint" role="status" hidden></p><div class="row"></div>'

_mount = st.components.v2.component(
    "kangaroo_strip",
    html=_SKELETON,
    css=(_HERE / "strip.css").read_text(encoding="utf-8"),
    js=(_HERE / "strip.js").read_text(encoding="utf-8"),
)


def show_strip(strip: Strip, language: Language, *, running: bool) -> None:
    """Show frames; a click on one, or on a link such as `#t=5`, seeks the page's player.

    While an answer is `running`, its end is kept in sight.
    """
    frames = [
        {
            "second": second,
            "time": clock(second),
            "label": say("go_to", language, time=clock(second)),
            "picture": picture,
        }
        for second, picture in zip(strip.times_s, strip.pictures, strict=True)
    ]
    _mount(key="strip", data={"frames": frames, "complaint": say("cannot_play", language), "running": running})


def complain(key: str, error: str, language: Language, rest: str = "") -> None:
    """Show what went wrong, in one box: the page's words for it, the error's own, and what may comfort."""
    st.error(f"**{say(key, language)}**  \n{plain(error)}  \n{rest}", icon=":material/error:")


def style() -> None:
    """Give the page its style."""
    st.html(f"<style>{(_HERE / 'page.css').read_text(encoding='utf-8')}</style>")
