"""`kangaroo ui` says what is wrong before anything is begun, and what it begins keeps to itself."""

import os
import tomllib
from importlib.resources import files

import pytest

from kangaroo.cli import run
from kangaroo.serving.page.launch import launch


@pytest.fixture
def begun(monkeypatch):
    """The command that would take this process's place."""
    commands = []
    monkeypatch.setattr(os, "execv", lambda program, command: commands.append(command))
    return commands


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model", "no such"], "no model is called 'no such'"),
        (["--endpoint", "http://localhost:1/v1", "--device", "cpu"], "leave one out"),
    ],
)
def test_a_mistake_is_one_line(options, said, capsys, begun):
    assert run(["ui", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert begun == []


def test_what_is_asked_for_reaches_the_page(begun):
    assert run(["ui", "--endpoint", "http://localhost:1/v1", "--port", "8502"]) == 0
    (command,) = begun
    assert command[command.index("--server.port") + 1] == "8502"
    assert command[command.index("--server.address") + 1] == "127.0.0.1"
    assert command[command.index("--") + 1 :] == ["--endpoint", "http://localhost:1/v1"]
    assert "--server.allowedHosts" not in command


def test_any_name_leads_to_a_page_that_is_open_to_others(begun):
    launch(model=None, endpoint=None, device=None, host="0.0.0.0", port=8501)
    (command,) = begun
    assert command[command.index("--server.allowedHosts") + 1] == "*"


def test_its_settings_keep_to_this_machine_and_tell_nobody():
    settings = tomllib.loads((files("kangaroo.serving.page") / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["server"]["maxUploadSize"] <= 1000
