"""The left side of the page: choose a film, see it and its frames, and settle how it is looked at."""

from functools import partial

import streamlit as st

from kangaroo.chat.answerer import Sampling
from kangaroo.errors import KangarooError
from kangaroo.playground.vocabulary import Language
from kangaroo.serving.page import films
from kangaroo.serving.page.component import complain, show_strip
from kangaroo.serving.page.desk import Desk
from kangaroo.serving.page.films import Film
from kangaroo.serving.page.texts import say, say_preflight
from kangaroo.serving.page.words import plain
from kangaroo.video.fetch import PublicHosts, is_loopback
from kangaroo.video.sampler import FrameSampler
from kangaroo.video.source import VideoSource

_WAYS = ("films", "upload", "link")
_MAX_TITLE = 40
_LONGEST = 32_768
_COUNTS = ("rule", "rate", "count")


def show_film(desk: Desk, language: Language) -> None:
    """Show the chooser, the player, the frames, and what the next question will look at."""
    _choose(desk, language)
    if desk.wanted is not None:
        with st.spinner(say("opening", language)):
            desk.open_wanted()
    if desk.error is not None:
        complain("no_film", desk.error, language, say("kept", language) if desk.film is not None else "")
    film = desk.film
    if film is None:
        return
    if film.info.is_image:
        st.image(film.strip(desk.rule).pictures[0])
    else:
        st.video(film.source.value, format=film.mime)  # type: ignore[arg-type]
    info = film.info
    length = [] if info.is_image else [f"{info.duration_s:.1f} s"]
    st.caption(" · ".join([plain(film.source.name), *length, f"{info.width_px} × {info.height_px} px"]))
    frames = st.container(key="frames")
    _settle(desk, film, language)
    with frames:
        _show_frames(desk, film, language)


def _choose(desk: Desk, language: Language) -> None:
    way = st.segmented_control(
        say("film", language),
        _WAYS,
        default=_WAYS[0],
        required=True,
        format_func=lambda one: say(one, language),
        key="way",
        label_visibility="collapsed",
        width="stretch",
    )
    if way == "films":
        _choose_open(desk, language)
    elif way == "upload":
        st.file_uploader(
            say("choose_file", language),
            key="upload",
            on_change=partial(_want_upload, desk),
            label_visibility="collapsed",
        )
    else:
        with st.form("link_form", border=False):
            where, button = st.columns([4, 1], vertical_alignment="bottom")
            where.text_input(
                say("choose_url", language),
                key="url",
                placeholder="https://…/film.mp4",
                max_chars=2000,
                label_visibility="collapsed",
            )
            button.form_submit_button(say("fetch", language), on_click=partial(_want_url, desk), width="stretch")


def _choose_open(desk: Desk, language: Language) -> None:
    """Offer the samples, and what else is open."""
    titles = {films.sample(name).fingerprint(): say(name, language) for name in films.SAMPLES}
    titles |= {key: plain(film.source.name[:_MAX_TITLE]) for key, film in desk.opened.items() if key not in titles}
    st.pills(
        say("film", language),
        list(titles),
        default=desk.film.key if desk.film is not None else next(iter(titles)),
        required=True,
        format_func=titles.__getitem__,
        key="open_film",
        on_change=partial(_want_open, desk),
        label_visibility="collapsed",
    )


def _want_open(desk: Desk) -> None:
    key = st.session_state.open_film
    if key in desk.opened:
        desk.wanted = lambda: desk.opened[key].source
    else:
        desk.wanted = next(
            partial(films.sample, one) for one in films.SAMPLES if films.sample(one).fingerprint() == key
        )


def _want_upload(desk: Desk) -> None:
    if (upload := st.session_state.upload) is not None:
        desk.wanted = partial(VideoSource, upload.getvalue(), label=upload.name)


def _want_url(desk: Desk) -> None:
    if url := st.session_state.url.strip():
        most = int(st.get_option("server.maxUploadSize")) << 20
        # a page that others reach must not read for them what this machine alone can
        hosts = None if is_loopback(st.get_option("server.address") or "") else PublicHosts()
        desk.wanted = partial(films.fetch, url, max_bytes=most, hosts=hosts)


def _settle(desk: Desk, film: Film, language: Language) -> None:
    with st.expander(say("settings", language), icon=":material/tune:", key="settings"):
        st.caption(say("changed", language))
        if not film.info.is_image:
            desk.sampler = _frame_settings(desk.rule, film, language)
        desk.sampling = _word_settings(language)


def _frame_settings(rule: FrameSampler, film: Film, language: Language) -> FrameSampler:
    chosen = st.segmented_control(
        say("frames", language),
        _COUNTS,
        default=_COUNTS[0],
        required=True,
        format_func=lambda one: say(one, language),
        key="frames_by",
        help=say("frames_help", language),
        width="stretch",
    )
    fps = num_frames = start_s = end_s = None
    if chosen == "rate":
        fps = st.slider(say("rate_label", language), 0.1, 8.0, 2.0, 0.1, key="fps", help=_bounds(rule, language))
    elif chosen == "count":
        num_frames = st.slider(say("count_label", language), 1, rule.max_frames, 32, key="num_frames")
    duration_s = film.info.duration_s
    if duration_s >= 1:
        step = 0.1 if duration_s < 60 else 1.0
        whole = (0.0, float(duration_s))
        label, note = say("part", language), say("part_help", language)
        part = st.slider(label, *whole, whole, step, key=f"part {film.key}", format="%.1f", help=note)
        # both ends may be dragged to one place, even to the film's end
        first_s = min(part[0], duration_s - step)
        last_s = max(part[1], first_s + step)
        start_s, end_s = first_s or None, last_s if last_s < duration_s else None
    return rule.with_options(fps=fps, num_frames=num_frames, start_s=start_s, end_s=end_s)


def _bounds(rule: FrameSampler, language: Language) -> str:
    return say("bounds", language, least=rule.min_frames, most=rule.max_frames)


def _word_settings(language: Language) -> Sampling:
    default = Sampling()
    left, right = st.columns(2)
    with left:
        temperature = st.slider(
            say("temperature", language),
            0.0,
            1.5,
            default.temperature,
            0.1,
            key="temperature",
            help=say("temperature_help", language),
        )
        longest = st.number_input(
            say("longest", language),
            16,
            _LONGEST,
            default.max_new_tokens,
            16,
            key="longest",
            help=say("longest_help", language),
        )
    with right:
        top_p = st.slider(
            say("top_p", language),
            0.05,
            1.0,
            default.top_p,
            0.05,
            key="top_p",
            help=say("top_p_help", language),
            disabled=temperature == 0,
        )
        seed = st.number_input(
            say("seed", language),
            0,
            2**31 - 1,
            None,
            1,
            key="seed",
            help=say("seed_help", language),
            disabled=temperature == 0,
            placeholder="—",
        )
    return Sampling(temperature=temperature, top_p=top_p, seed=seed, max_new_tokens=longest)


def _show_frames(desk: Desk, film: Film, language: Language) -> None:
    """Show what the model looked at, or will look at where the settings changed since."""
    last = desk.talk.last
    seen = last.answer if last is not None and last.sampler == desk.sampler else None
    times_s = seen.times_s[0] if seen is not None and seen.times_s else None
    line, error, notes = "", "", tuple[str, ...]()
    if times_s is None and not desk.talk.is_running:
        try:
            planned = desk.talk.preflight(desk.sampler, desk.sampling)
            line, notes = planned.preflight, planned.notes
        except KangarooError as problem:
            error = str(problem)
    elif seen is not None:
        line = seen.preflight
    try:
        strip = film.strip(desk.sampler, num_frames=len(times_s) if times_s is not None else None)
    except KangarooError as problem:
        strip, error = None, error or str(problem)
    title = say("will_see" if times_s is None else "saw", language)
    st.markdown(f"**{title}**  \n:small[{plain(say_preflight(line, language))}]")
    for note in dict.fromkeys([*notes, *(strip.notes if strip is not None else ())]):
        st.caption(f":material/info: {plain(note)}")
    if error:
        complain("cannot_ask", error, language)
    if strip is not None:
        show_strip(strip, language, running=desk.talk.is_running)
