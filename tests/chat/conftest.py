"""What the chat tests share: one taught network, its folder, films as files, answerers over it, a server of it."""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from taught import ANSWERS, BLUE, FIRST, RED, SECOND, film, teach, write_film

from kangaroo.chat.features import FilmFeatures
from kangaroo.chat.local import LocalAnswerer
from kangaroo.chat.memory import Prompt
from kangaroo.dialogue.conversation import Conversation


@pytest.fixture(scope="session")
def taught(one_thread, tiny_processor):
    return teach(tiny_processor)


@pytest.fixture
def cold(taught, tiny_processor):
    """Make an answerer that has seen nothing yet."""
    return lambda **options: LocalAnswerer(taught, tiny_processor, name="taught", **options)


@pytest.fixture
def answerer(cold):
    return cold()


@pytest.fixture(scope="session")
def folder(taught, tiny_processor, tmp_path_factory):
    """The taught network as a folder that `load` opens."""
    folder = tmp_path_factory.mktemp("models") / "taught"
    taught.save_pretrained(folder)
    tiny_processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def films(tmp_path_factory):
    """Both films as files, by colour."""
    folder = tmp_path_factory.mktemp("films")
    return {RED: write_film(folder / "red.mp4", RED), BLUE: write_film(folder / "blue.mp4", BLUE)}


@pytest.fixture(scope="session")
def endpoint(folder):
    """The URL of an OpenAI-compatible server in a process of its own."""
    script = Path(__file__).parent / "openai_server.py"
    command = [sys.executable, str(script), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.terminate()


@pytest.fixture
def prompt_of(taught, tiny_processor):
    """Turn a conversation into a prompt, straight through the processor and the network."""

    def make(conversation):
        frames = tiny_processor.read(tiny_processor.plan(conversation, context_tokens=4096))
        encoded = tiny_processor.encode(conversation, frames, generation_prompt=True)
        films = []
        for place, own in enumerate(frames):
            pixels, times_s = tiny_processor.pixels([own])
            with torch.inference_mode():
                rows = taught.model.encode_films(pixels, times_s, [len(own)])
            films.append(FilmFeatures(key=place, rows=rows, times_s=tuple(own.times_s.tolist()), notes=()))
        return Prompt(ids=encoded.input_ids, films=films)

    return make


@pytest.fixture
def prompts(prompt_of):
    """Prompts of five lengths, about films of different lengths, about two at once, and about none."""
    return [
        prompt_of(Conversation().ask(FIRST, film(RED))),
        prompt_of(Conversation().ask(SECOND, film(BLUE, 11)).reply(ANSWERS[BLUE, SECOND]).ask(FIRST)),
        prompt_of(Conversation().ask(FIRST)),
        prompt_of(Conversation().ask(SECOND, film(RED, 1), film(BLUE, 3))),
        prompt_of(Conversation().ask(SECOND, film(RED, 2))),
    ]


@dataclass
class Work:
    """What a network did: films seen, and how many positions the language model read in each call."""

    num_films: int = 0
    positions: list[int] = field(default_factory=list)

    def forget(self):
        self.num_films, self.positions = 0, []


@pytest.fixture
def work(taught, monkeypatch):
    done = Work()
    fold = taught.model.fold_films

    def seen(features_of, times_s, counts):
        done.num_films += len(counts)
        return fold(features_of, times_s, counts)

    def read(_module, _args, options):
        done.positions.append(options["inputs_embeds"].shape[1])

    monkeypatch.setattr(taught.model, "fold_films", seen)
    hook = taught.model.language_model.register_forward_pre_hook(read, with_kwargs=True)
    yield done
    hook.remove()
