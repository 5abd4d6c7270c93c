"""A file of questions is read strictly, line by line: a bad line keeps its place and says what is wrong."""

import pytest

from kangaroo.errors import OptionError, VideoError
from kangaroo.evaluation.question_file import Look, read_questions
from kangaroo.video.sampler import FrameSampler

GOOD = '{"video": "a.mp4", "question": "What?"}'


@pytest.fixture
def read(tmp_path):
    def read_lines(*lines, **default):
        path = tmp_path / "questions.jsonl"
        path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
        return read_questions(path, default=Look(**default))

    return read_lines


def test_a_line_without_an_id_goes_by_its_number_and_empty_lines_count(read):
    lines = read(GOOD, "", GOOD.replace("{", '{"id": "b", '), "  ", GOOD)
    assert [(line.number, line.id) for line in lines] == [(1, 1), (3, "b"), (5, 5)]


def test_a_file_of_windows_reads_alike(read):
    (line,) = read(b"\xef\xbb\xbf" + GOOD.encode() + b"\r")
    assert line.asked.question == "What?"


def test_lines_say_their_own_look_and_the_rest_is_the_default(read):
    clip = '{"video": "a.mp4", "question": "What?", "fps": 2, "start_s": 1, "end_s": 3.5, "max_new_tokens": 7}'
    own, default = (line.asked.look for line in read(clip, GOOD, frames=4, max_new_tokens=9))
    assert own.sampler(FrameSampler()) == FrameSampler(fps=2.0, start_s=1.0, end_s=3.5)
    assert default.sampler(FrameSampler()) == FrameSampler(num_frames=4)
    assert (own.max_new_tokens, default.max_new_tokens) == (7, 9)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("not json", "not JSON"),
        (b'{"video": "\xff", "question": "x"}', "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "not an object"),
        ('{"vidoe": "a.mp4", "question": "x"}', "did you mean 'video'"),
        ('{"question": "x"}', "lacks video"),
        ('{"video": "a.mp4"}', "lacks question"),
        ('{"video": "a.mp4", "question": "  "}', "the question is empty"),
        ('{"video": "a.mp4", "question": 3}', "question is 3, not text"),
        ('{"video": "", "question": "x"}', "video is empty"),
        ('{"video": ["a.mp4"], "question": "x"}', "not text"),
        ('{"video": "a.mp4", "question": "x", "question": "y"}', "given twice"),
        ('{"video": "a.mp4", "question": "x", "id": true}', "id is True"),
        ('{"video": "a.mp4", "question": "x", "fps": "2"}', "fps is '2'"),
        ('{"video": "a.mp4", "question": "x", "fps": NaN}', "NaN"),
        ('{"video": "a.mp4", "question": "x", "fps": 1e999}', "fps is inf"),
        ('{"video": "a.mp4", "question": "x", "end_s": 1' + "0" * 400 + "}", "beyond any film"),
        ('{"video": "a.mp4", "question": "x", "fps": 1, "frames": 2}', "give one"),
        ('{"video": "a.mp4", "question": "x", "frames": 2.5}', "give a whole number"),
        ('{"video": "a.mp4", "question": "x", "start_s": 4, "end_s": 3}', "the clip ends"),
        ('{"video": "a.mp4", "question": "x", "max_new_tokens": 0}', "give 1 or more"),
    ],
)
def test_a_bad_line_says_why_and_the_others_stay(read, line, why):
    first, bad, last = read(GOOD, line, GOOD)
    assert why in bad.fault
    assert (bad.asked, bad.number) == (None, 2)
    assert first.asked == last.asked
    assert last.asked is not None


def test_an_id_belongs_to_the_first_line_that_has_it(read):
    one = GOOD.replace("{", '{"id": "a", ')
    numbered = GOOD.replace("{", '{"id": 4, ')
    lines = read(one, one, numbered, GOOD)
    assert [line.fault.partition(";")[0] for line in lines] == [
        "",
        "its id 'a' is that of line 1",
        "",
        "its id 4 is that of line 3",
    ]


def test_a_file_without_any_question_is_refused(read, tmp_path):
    for lines in (("",), ("nonsense", "[]")):
        with pytest.raises(OptionError, match=r"questions\.jsonl: no line can be asked"):
            read(*lines)
    with pytest.raises(OptionError, match="cannot be read"):
        read_questions(tmp_path / "none.jsonl")


def test_paths_count_from_the_files_folder_and_urls_stay_as_they_are(read, tmp_path):
    lines = read(*(f'{{"video": "{video}", "question": "x"}}' for video in ("a/b.mp4", "/c.mp4", "https://d/e.mp4")))
    values = [str(line.asked.source(tmp_path).value) for line in lines]
    assert values == [str(tmp_path / "a" / "b.mp4"), "/c.mp4", "https://d/e.mp4"]
    assert [line.asked.source(tmp_path).name for line in lines] == ["a/b.mp4", "/c.mp4", "https://d/e.mp4"]


def test_subtitles_stand_before_the_question_and_are_never_a_device(read, tmp_path):
    (tmp_path / "a.srt").write_text(
        "1\n00:00:01,000 --> 00:00:02,000\nHello\n\n2\n00:00:08,000 --> 00:00:09,000\nBye\n"
    )
    line = '{"video": "a.mp4", "question": "x", "end_s": 5, "subtitles": "%s"}'
    good, endless = (one.asked for one in read(line % "a.srt", line % "/dev/zero"))
    assert good.conversation(tmp_path, FrameSampler()).turns[0].text == "Subtitles:\n[1.0-2.0] Hello\n\nx"
    with pytest.raises(VideoError, match="/dev/zero: the subtitles are no file"):
        endless.conversation(tmp_path, FrameSampler())
