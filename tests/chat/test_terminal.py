"""A conversation in a real terminal, and over a pipe."""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest
from taught import ANSWERS, FIRST, RED, SECOND

COMMAND = [sys.executable, "-c", "from kangaroo.cli import main; main()", "chat"]


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, *arguments):
        self.heard = b""
        pid, self._side = pty.fork()
        if pid == 0:
            os.environ.update(TERM="dumb", OMP_NUM_THREADS="1")
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs tests in the background ignores it
            os.execv(COMMAND[0], [*COMMAND, *map(str, arguments)])
        self._pid = pid

    def type(self, text):
        os.write(self._side, text.encode())

    def wait_for(self, pattern, *, within_s=60.0):
        """Wait for what is not yet consumed to match, and return all up to the end of the match."""
        deadline = time.monotonic() + within_s
        while True:
            text = self.heard.decode(errors="ignore").replace("\r\n", "\n")
            match = re.search(pattern, text, re.DOTALL)
            if match:
                self.heard = text[match.end() :].encode()
                return text[: match.end()]
            ready, _, _ = select.select([self._side], [], [], 1.0)
            if ready:
                try:
                    self.heard += os.read(self._side, 4096)
                except OSError:
                    pytest.fail(f"the program left before {pattern!r}; it said {text!r}")
            assert time.monotonic() < deadline, f"no {pattern!r} in {text!r}"

    def end(self):
        """Wait for the program's end and return its exit status."""
        try:
            while os.read(self._side, 4096):
                pass
        except OSError:
            pass  # Linux says so when the other side has closed
        os.close(self._side)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def test_a_conversation_in_a_terminal(folder, films, tmp_path):
    terminal = Terminal(films[RED], "--model", folder)
    terminal.wait_for("> ")
    terminal.type(f"{FIRST}\n")
    terminal.wait_for(rf"6 frames over 3\.0 s -> 17 tokens\n{ANSWERS[RED, FIRST]}\n> ")
    terminal.type(f"{SECOND}\n")
    second = terminal.wait_for(rf"{ANSWERS[RED, SECOND]}\n> ")
    assert "frames over" not in second, "the film was announced again though nothing new is looked at"
    terminal.type("/regen\n")
    terminal.wait_for(rf"{ANSWERS[RED, SECOND]}\n> ")
    terminal.type("/help\n")
    terminal.wait_for("/regen .*/reset .*/save FILE .*/quit .*Ctrl-C stops an answer.*> ")
    terminal.type("/save\n")
    terminal.wait_for("error: /save needs a file; give its name behind it\n> ")
    terminal.type(f"/save {tmp_path}/talk.json\n")
    terminal.wait_for("saved to .*> ")
    terminal.type("/reset\n")
    terminal.wait_for("the conversation is empty\n> ")
    terminal.type("/regen\n")
    terminal.wait_for("error: nothing was asked yet; ask first\n> ")
    terminal.type("\n  \n")
    terminal.type("/quit\n")
    assert terminal.end() == 0
    saved = json.loads((tmp_path / "talk.json").read_text())
    assert [turn["role"] for turn in saved["conversation"]] == ["user", "assistant"] * 2
    assert saved["conversation"][3]["parts"] == [{"text": ANSWERS[RED, SECOND]}]


@pytest.fixture
def endless(folder, tmp_path):
    """A model whose answers never end by themselves."""
    copied = shutil.copytree(folder, tmp_path / "endless")
    config = json.loads((copied / "config.json").read_text())
    config["text_config"]["eos_token_id"] = config["video_token_id"]
    (copied / "config.json").write_text(json.dumps(config))
    return copied


def test_ctrl_c_stops_one_answer_and_not_the_program(endless, films):
    terminal = Terminal(films[RED], "--model", endless, "--max-new-tokens", 1900)
    terminal.wait_for("> ")
    terminal.type(f"{FIRST}\n")
    terminal.wait_for("tokens\n.{20}")
    terminal.type("\x03")
    terminal.wait_for("stopped\n> ")
    # Python's line editor misses a Ctrl-C in the instant between showing the prompt and listening
    time.sleep(0.5)
    terminal.type("\x03")
    terminal.wait_for("/quit leaves\n> ")
    terminal.type("/help\n")
    terminal.wait_for("Ctrl-C stops an answer.\n> ")
    terminal.type("/regen\n")
    terminal.wait_for(ANSWERS[RED, FIRST][:12])
    terminal.type("\x03")
    terminal.wait_for("stopped\n> ")
    terminal.type("\x04")
    assert terminal.end() == 0


def test_ctrl_c_while_one_question_is_answered_leaves(endless, films):
    terminal = Terminal(films[RED], FIRST, "--model", endless, "--max-new-tokens", 3900)
    terminal.wait_for("tokens\n.{20}")
    terminal.type("\x03")
    assert terminal.end() == 130


def test_questions_over_a_pipe_are_answered_line_by_line(folder, films):
    questions = f"{FIRST}\n\n/nonsense\n{SECOND}\n"
    command = [*COMMAND, films[RED], "--model", folder]
    run = subprocess.run(command, input=questions, capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout == f"{ANSWERS[RED, FIRST]}\n{ANSWERS[RED, SECOND]}\n"
    assert run.stderr.splitlines() == [
        "6 frames over 3.0 s -> 17 tokens",
        "error: '/nonsense' is no command; /help lists them",
    ]


def test_who_stops_reading_is_not_told_a_traceback(folder, films):
    arguments = [*COMMAND, films[RED], FIRST, "--model", folder]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read().splitlines() == ["6 frames over 3.0 s -> 17 tokens"]
    assert process.returncode == 1
