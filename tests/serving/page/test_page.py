"""A real browser at the real page with joey: what a visitor does, from a first look to a file that is no film.

Pictures of the page stay in out/page, to be looked at.
"""

import json
import subprocess
import sys

import pytest
from browser import PATIENCE_S, ROOT, Visitor, free_port, served, until

from kangaroo.chat.load import find_folder
from kangaroo.serving.page.films import sample

pytestmark = [pytest.mark.slow, pytest.mark.timeout(4 * PATIENCE_S)]
DESCRIBE = "What happens in the film?"
LINK = 'a[href^="#t="]'


@pytest.fixture
def endpoint():
    """An OpenAI-compatible server of joey: its process and its URL."""
    command = [sys.executable, str(ROOT / "tests" / "chat" / "openai_server.py"), str(find_folder("joey"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server, server.stdout.readline().strip()
        server.terminate()


def test_a_visitor_asks_follows_a_time_and_asks_on(visitor):
    visitor.sees(".st-key-frames", "24 frames over 24.0 s → 782 tokens")
    visitor.picture("first-look")
    visitor.ask(DESCRIBE)
    assert "the crab appears" in visitor.finished()
    assert "24 frames over 24.0 s → 782 tokens" in visitor.costs()
    visitor.press(f".st-key-answer_0 {LINK}", "9 seconds")
    until(lambda: visitor.second() == 9)
    visitor.picture("answered")
    visitor.ask("How many objects are there?")
    assert visitor.finished(1)
    until(lambda: "the crab appears" in visitor.answer(0))
    visitor.press_frame(3)
    until(lambda: 3 < visitor.second() < 4)


def test_stop_keeps_what_was_said_regenerate_goes_on_and_reset_clears(visitor):
    visitor.press(".st-key-open_film button", "Deer")
    visitor.sees(".st-key-film", "deer.mp4")
    visitor.ask(DESCRIBE)
    said = until(lambda: stopped(visitor))
    assert "seconds" in said
    visitor.picture("stopped")
    visitor.press(".st-key-regenerate button")
    until(lambda: len(visitor.answer()) > len(said) and "stopped" not in visitor.costs())
    assert visitor.finished().startswith(said[:40])
    visitor.press(".st-key-reset button")
    visitor.sees(".st-key-example_1 button")
    until(lambda: visitor.answer() == "")


def stopped(visitor):
    """Press Stop and return what was said until then; an answer that was over before is asked for again."""
    until(lambda: "seconds" in visitor.answer())
    visitor.run("document.querySelector('.st-key-stop button')?.click()")
    said = visitor.finished()
    if "stopped" in visitor.costs():
        return said
    visitor.press(".st-key-regenerate button")
    visitor.sees(".st-key-stop button")
    return None


def test_an_upload_is_asked_about_and_a_file_that_is_no_film_changes_nothing(visitor, tmp_path):
    visitor.press(".st-key-way button", "Upload")
    film, notes = tmp_path / "my *first* film.mp4", tmp_path / "notes.txt"
    film.write_bytes(sample("badger").value.read_bytes())
    notes.write_text("not a film")
    visitor.give(film)
    visitor.ask(DESCRIBE)  # while it opens
    said = visitor.finished()
    assert "firecracker" in said
    visitor.sees(".st-key-film", "my *first* film.mp4 · 12.0 s")
    visitor.give(notes)
    visitor.sees(".st-key-film .stAlert", "notes.txt")
    assert "The film before is still here" in visitor.text(".st-key-film .stAlert")
    until(lambda: visitor.answer() == said)
    visitor.picture("unreadable")
    visitor.press(".st-key-way button", "Films")
    visitor.picture("opened")
    visitor.press(".st-key-open_film button", "Crab")
    visitor.sees(".st-key-film", "kangaroo.mp4")
    visitor.press(".st-key-open_film button", "my *first* film.mp4")
    until(lambda: visitor.answer() == said)


def test_a_link_to_nowhere_is_told(visitor):
    visitor.press(".st-key-way button", "Link")
    visitor.write(".st-key-url input", "http://127.0.0.1:9/film.mp4")
    visitor.sees(".st-key-film .stAlert", "cannot be fetched")
    assert "Traceback" not in visitor.text("body")


def test_chinese_keeps_the_conversation_and_a_phone_has_room(visitor):
    visitor.look(width=390, height=844)
    visitor.picture("phone")
    visitor.ask("How many objects are there?")
    said = visitor.finished()
    visitor.press(".st-key-language button", "中文")
    visitor.sees(".st-key-regenerate", "重新回答")
    until(lambda: visitor.answer() == said)
    visitor.sees(".st-key-answer_0", "24.0 秒中的 24 幅画面 → 782 个 token")
    visitor.ask("蟹是什么时候出现的？")
    assert "秒" in visitor.finished(1)
    visitor.press(f".st-key-answer_1 {LINK}", "秒")
    until(lambda: visitor.second() > 0)
    visitor.picture("phone-chinese")
    assert visitor.run("return document.documentElement.scrollWidth") <= 390


def test_settings_change_what_will_be_looked_at_and_a_full_context_is_told(visitor):
    visitor.look(dark=True)
    visitor.press(".st-key-settings summary")
    visitor.press(".st-key-frames_by button", "Number")
    visitor.sees(".st-key-frames", "32 frames over 24.0 s")
    visitor.picture("settings-dark")
    visitor.write(".st-key-longest input", "8190")
    visitor.sees(".st-key-frames .stAlert", "8,192")
    visitor.ask(DESCRIBE)
    visitor.sees(".st-key-answer_0 .stAlert", "but the context holds 8,192")
    assert "regenerate" in visitor.text(".st-key-answer_0 .stAlert")
    visitor.picture("full-context-dark")
    visitor.write(".st-key-longest input", "64")
    until(lambda: "8,192" not in visitor.text(".st-key-frames"))
    visitor.press(".st-key-regenerate button")
    until(lambda: visitor.answer() and not visitor.text(".st-key-answer_0 .stAlert"))
    assert visitor.finished()


def test_a_conversation_is_saved(visitor, driver, tmp_path):
    driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    visitor.press(".st-key-example_2 button")
    said = visitor.finished()
    visitor.press(".st-key-save button")
    visitor.press(".stDownloadButton button", "JSON")
    visitor.press(".stDownloadButton button", "Markdown")
    saved = until(
        lambda: {path.name for path in tmp_path.iterdir()} == {"kangaroo.json", "kangaroo.md"}
    ) and json.loads((tmp_path / "kangaroo.json").read_text(encoding="utf-8"))
    assert saved["rounds"][0]["answer"].strip() == said
    assert said in (tmp_path / "kangaroo.md").read_text(encoding="utf-8")


def test_a_server_answers_instead_and_one_that_is_gone_is_told(driver, tmp_path, endpoint):
    server, url = endpoint
    port, script = free_port(), str(ROOT / "streamlit_app.py")
    with served(
        tmp_path, port, "streamlit", "run", script, "--server.port", str(port), "--", "--endpoint", url
    ) as address:
        visitor = Visitor(driver, address)
        visitor.look()
        visitor.press(".st-key-example_1 button")
        said = visitor.finished()
        assert said
        server.terminate()
        server.wait(20)
        visitor.ask("How many objects are there?")
        visitor.sees(".st-key-answer_1 .stAlert", "cannot be reached")
        until(lambda: visitor.answer() == said)
