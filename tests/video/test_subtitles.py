"""Subtitles as they are found in the wild become lines with times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kangaroo.errors import VideoError
from kangaroo.video.subtitles import Subtitle, read_subtitles, subtitles_text

SRT = """1
00:00:12,000 --> 00:00:15,500
<i>Hello</i> {\\an8}there,
<font color="#fff">General</font> &amp; all

2
00:00:01,5 --> 00:00:02,25 X1:40 X2:600
早上好

3
01:00:00,000 --> 01:00:01,000

"""
VTT = """WEBVTT - a title

NOTE a comment
over two lines

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Ann>Hi <00:01.500><c.loud>you</c>

00:03.000 --> 00:04.000
1 < 2 &lt; 3
"""


def read(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "film.srt"
    path.write_bytes(text.encode(encoding) if isinstance(text, str) else text)
    return read_subtitles(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_srt_in_every_encoding_and_line_ending(tmp_path, encoding, newline):
    assert read(tmp_path, SRT.replace("\n", newline), encoding) == (
        Subtitle(1.5, 2.25, "早上好"),
        Subtitle(12.0, 15.5, "Hello there, General & all"),
    )


def test_vtt(tmp_path):
    assert read(tmp_path, VTT) == (Subtitle(1.0, 2.5, "Hi you"), Subtitle(3.0, 4.0, "1 < 2 < 3"))


def test_blocks_without_numbers_and_many_blank_lines(tmp_path):
    found = read(tmp_path, "\n\n0:01 --> 0:02\na\n\n\n\n0:03 --> 0:04\nb")
    assert [item.text for item in found] == ["a", "b"]
    assert read(tmp_path, "") == ()


def test_blocks_without_blank_lines_between_them(tmp_path):
    numbered = "1\n0:01 --> 0:02\na\n7 o'clock\n2\n0:03 --> 0:04\n12\n3\n0:05 --> 0:06\n0:07 --> 0:08\nd\n"
    assert read(tmp_path, numbered) == (
        Subtitle(1.0, 2.0, "a 7 o'clock"),
        Subtitle(3.0, 4.0, "12"),
        Subtitle(7.0, 8.0, "d"),
    )


def test_a_cue_may_be_named_like_a_comment(tmp_path):
    cues = "NOTEBOOK\n0:01 --> 0:02\na\n\nREGION 1\n0:03 --> 0:04\nb\n\nNOTE\n0:05 --> 0:06\nc\n"
    comments = "NOTE\tof the author\n\nSTYLE\n::cue { color: red }\n"
    assert [item.text for item in read(tmp_path, f"WEBVTT\n\n{cues}\n{comments}")] == ["a", "b", "c"]
    with pytest.raises(VideoError, match=r"line 1: .* found 'NOTE of the author'"):  # SRT has no comments
        read(tmp_path, "NOTE of the author\n")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("1\n00:00:01,000 -> 00:00:02,000\nhi\n", 1),
        ("1\n00:00:01,000 --> 00:00:02,000\nhi\n\n2\n00:00:xx,000 --> 00:00:02,000\nhi\n", 6),
        ("1\n00:00:05,000 --> 00:00:02,000\nhi\n", 2),
        ("just\nsome words\n", 1),
        (f"1\n{'9' * 400}:00:01,000 --> {'9' * 400}:00:02,000\nhi\n", 2),
        (f"1\n{'9' * 5000}:00:01,000 --> {'9' * 5000}:00:02,000\nhi\n", 2),
        (b"1\n00:00:01,000 --> 00:00:02,000\ncaf\xe9\n", 3),
    ],
)
def test_a_bad_block_names_file_and_line(tmp_path, text, line):
    with pytest.raises(VideoError, match=rf"film\.srt, line {line}:"):
        read(tmp_path, text)


def test_missing_and_binary_files(tmp_path):
    with pytest.raises(VideoError, match="cannot be read"):
        read_subtitles(tmp_path / "none.srt")
    with pytest.raises(VideoError, match="cannot be read"):
        read_subtitles(tmp_path / "a\0b.srt")
    with pytest.raises(VideoError, match=r"not a subtitle file|not utf-8"):
        read(tmp_path, bytes(200))


def test_text_is_restricted_to_the_clip():
    items = (
        Subtitle(0.0, 1.0, "before"),
        Subtitle(0.5, 2.5, "into"),
        Subtitle(3.0, 4.0, "in"),
        Subtitle(5.0, 6.0, "x"),
    )
    assert subtitles_text(items, start_s=1.0, end_s=5.0) == "[0.5-2.5] into\n[3.0-4.0] in"
    assert subtitles_text(items).count("\n") == 3
    assert subtitles_text(items, start_s=9.0) == ""


@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(0, 10**5), st.text("abc dé中", min_size=1).map(str.strip)),
        max_size=8,
    )
)
def test_what_is_written_is_read(tmp_path_factory, entries):
    def clock(ms):
        return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"

    blocks = [
        f"{row}\n{clock(start)} --> {clock(start + length)}\n{text}\n"
        for row, (start, length, text) in enumerate(entries)
    ]
    found = read(tmp_path_factory.mktemp("srt"), "\n".join(blocks))
    expected = sorted((s / 1000, (s + n) / 1000, " ".join(t.split())) for s, n, t in entries if t)
    assert sorted((i.start_s, i.end_s, i.text) for i in found) == expected
