"""One file tells a run, in a real browser too; what videos are called cannot run in it."""

import re
import shutil
import subprocess

import pytest
from joey_captions import key_frames

from kangaroo.chat.pictures import encode_jpeg
from kangaroo.curation.report import Asked, Broken, Remaining, Report, Shown, histogram
from kangaroo.curation.words.asking import Cost
from kangaroo.curation.words.balance import Kind, balance

ATTACK = "\"'><script>document.title='taken'</script><img src=x onerror=document.title='taken'>"


def report(**changes):
    clips = {
        f"{name}{n}": Kind(category=name, video=f"{n}")
        for name, own in (("cats", 90), (ATTACK, 10))
        for n in range(own)
    }
    jpeg = encode_jpeg(key_frames().pixels[0])
    shown = tuple(
        Shown(
            id=f"{n}",
            video=f"{ATTACK}{n}\udcff.mp4",
            start_s=0.0,
            end_s=2.0,
            reasons=("text 0.12 is above 0.05", ATTACK) if n % 2 else (),
            category="cats",
            claims=((ATTACK, 1), ("A cat runs.", 2)),
            jpeg=jpeg if n else None,
            scores=(("text", 0.12),),
        )
        for n in range(7)
    )
    values = {
        "about": {"recipe": ATTACK},
        "funnel": (Remaining(step="videos", number=1200, hours=10.0), Remaining(step="kept", number=300, hours=1.5)),
        "reasons": {"text": 5, ATTACK: 2},
        "histograms": (
            histogram("text", [0.0, 0.01, 0.02, 0.2], high=0.05),
            histogram("motion", [1.0, 1.0], low=0.002),
        ),
        "broken": (Broken(subject=ATTACK, step="probe", reason="not a video"),),
        "num_broken": 1200,
        "balance": balance(clips),
        "asked": (
            Asked(
                name="far",
                clips=7,
                blocked=1,
                cost=Cost(num_tries=36, prompt_tokens=None, new_tokens=1500, seconds=9.0),
            ),
        ),
        "tasks": {"open": (0.4, 3), "choice": (0.6, 5)},
        "shown": shown,
    }
    return Report(**(values | changes))


def test_a_page_tells_everything_and_fetches_nothing():
    page = report().html()
    for told in (
        "1,200",
        "1,500",
        "text 0.12 is above 0.05",
        "at most 0.05",
        "at least 0.002",
        "37.5 %",
        "90",
        "A cat runs.",
    ):
        assert told in page
    assert "default-src 'none'" in page
    assert "<script>document" not in page
    assert not re.findall(r"(?:src|href)=\"(?!data:image/jpeg;base64,)", page)


def test_an_empty_run_has_a_page():
    page = report(funnel=(), reasons={}, histograms=(), balance=None, asked=(), tasks={}, shown=()).html()
    assert "Curation report" in page


def test_where_one_captioner_was_asked_no_claim_is_marked_as_lone():
    clip = Shown(id="a", video="a", start_s=0.0, end_s=1.0, claims=(("A cat.", 1),))
    assert 'class="lone"' not in report(shown=(clip,)).html()
    assert 'class="lone"' in report().html()


def test_a_histogram_counts_every_value_and_spans_its_thresholds():
    one = histogram("text", [float(n) for n in range(1000)], low=-50.0, high=10.0)
    assert sum(one.counts) == 1000
    assert one.first == one.low == -50.0
    assert (one.share(-50.0), one.share(1e9)) == (0.0, 1.0)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here; apt-get install chromium")
def test_a_browser_shows_the_page_and_runs_nothing_that_a_video_is_called(tmp_path):
    report().write(tmp_path / "report.html")
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    ran = subprocess.run(
        [*command, f"file://{tmp_path / 'report.html'}"], capture_output=True, text=True, timeout=120, check=True
    )
    assert "7 of 7 shown" in ran.stdout
    assert "<title>Curation report</title>" in ran.stdout
