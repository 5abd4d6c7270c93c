"""A whole run: stages in order, saved and resumed, logged as it goes, cut into slices where a machine is lent.

A run folder holds `state.pt` (everything needed to go on), `metrics.jsonl`, and after each stage a folder that
`kangaroo chat --model` opens.
"""

import json
import logging
import os
import time
from pathlib import Path

import torch

from kangaroo.dialogue.encoding import Encoder
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import OptionError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.training.batches import Painter, PlaygroundBatches, loader
from kangaroo.training.curriculum import CURRICULA, Stage
from kangaroo.training.loop import make_optimizers, train_stage
from kangaroo.training.probe import probe
from kangaroo.training.recipe import Recipe
from kangaroo.training.start import at_random, from_folder, make_tokenizer

logger = logging.getLogger(__name__)


class Run:
    """One run on one machine. `go` trains until the end or until the recipe's minutes are over."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.stages: tuple[Stage, ...] = CURRICULA[recipe.curriculum]
        if recipe.device.startswith("cuda") and not torch.cuda.is_available():
            raise OptionError("the recipe says device = 'cuda' but torch sees no GPU; write device = 'cpu'")
        recipe.out.mkdir(parents=True, exist_ok=True)
        if recipe.start is None:
            self.model, self.processor = at_random(recipe.curriculum, make_tokenizer(), seed=recipe.seed)
        else:
            self.model, self.processor = from_folder(recipe.start)
        self.model.to(recipe.device)
        self.optimizers = make_optimizers(self.model)
        self.painter = Painter(torch.device(recipe.device), seed=recipe.seed)
        self.stage, self.step = 0, 0
        if self._state.exists():
            self._resume()
        if recipe.device.startswith("cuda"):
            _compile(self.model)

    def go(self) -> bool:
        """Train; return whether the whole curriculum is done."""
        self.started = time.monotonic()
        while self.stage < len(self.stages):
            stage = self.stages[self.stage]
            if not self._train(stage):
                self.save()
                return False
            self.stage, self.step = self.stage + 1, 0
            self.save()
            export(self.model, self.processor, self.recipe.out / f"{self.stage}-{stage.name}")
        return True

    def _train(self, stage: Stage) -> bool:
        encoder = Encoder(self.processor.tokenizer, self.model.config.layout(image_size_px=stage.image_size_px))
        batches = PlaygroundBatches(stage, encoder, seed=self.recipe.seed, first_step=self.step)
        steps = train_stage(
            self.model,
            self.optimizers,
            loader(batches, num_workers=self.recipe.workers),
            self.painter,
            stage,
            first_step=self.step,
            is_first=self.stage == 0,
        )
        films, tokens, since = 0, 0, time.monotonic()
        for step in steps:
            self.step = step.number + 1
            films, tokens = films + step.num_films, tokens + step.num_tokens
            if self.step % self.recipe.log_every == 0 or self.step == stage.steps:
                seconds = time.monotonic() - since
                self._log(
                    stage=stage.name,
                    step=self.step,
                    loss=round(step.loss.item(), 4),
                    grad_norm=round(step.grad_norm.item(), 3),
                    learning_rate=step.learning_rate,
                    films_per_s=round(films / seconds, 1),
                    tokens_per_s=round(tokens / seconds),
                )
                films, tokens, since = 0, 0, time.monotonic()
            if self.step % self.recipe.probe_every == 0 or self.step == stage.steps:
                self._probe(batches)
                since = time.monotonic()
            if self.step % self.recipe.save_every == 0:
                self.save()
            if self._over():
                return False
        return True

    def _probe(self, batches: PlaygroundBatches) -> None:
        self.model.eval()
        frames = max(count for count, _ in batches.stage.frames if count <= 64)
        for num_frames in sorted({16, frames}):
            shares = probe(self.model, batches, self.painter, num_frames=num_frames, num_films=self.recipe.probe_films)
            self._log(
                stage=batches.stage.name,
                step=self.step,
                probe_frames=num_frames,
                **{name: round(share, 3) for name, share in shares.items()},
            )
        self.model.train()

    def _over(self) -> bool:
        return self.recipe.minutes is not None and time.monotonic() - self.started > 60 * self.recipe.minutes

    def _log(self, **metrics: object) -> None:
        with (self.recipe.out / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics) + "\n")
        logger.info("%s", " ".join(f"{name}={value}" for name, value in metrics.items()))

    @property
    def _state(self) -> Path:
        return self.recipe.out / "state.pt"

    def save(self) -> None:
        """Write everything needed to go on; a half-written file never takes the place of a whole one."""
        state = {
            "stage": self.stage,
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "stages": repr(self.stages),
            "roughening": self.painter.generator.get_state(),
        }
        unfinished = self._state.with_suffix(".unfinished")
        torch.save(state, unfinished)
        os.replace(unfinished, self._state)

    def _resume(self) -> None:
        state = torch.load(self._state, map_location=self.recipe.device, weights_only=True)
        if state["stages"] != repr(self.stages):
            raise OptionError(f"{self._state} was saved under another curriculum; name another out folder")
        self.model.load_state_dict(state["model"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.painter.generator.set_state(state["roughening"].cpu())
        self.stage, self.step = state["stage"], state["step"]
        logger.info("resumed at stage %d, step %d", self.stage, self.step)


def export(model: KangarooForConditionalGeneration, processor: KangarooProcessor, folder: Path) -> None:
    """Write a folder that `kangaroo chat --model` opens, weights in bfloat16."""
    state = {
        name: weight.to(torch.bfloat16)
        for name, weight in model.state_dict().items()
        if name not in model.all_tied_weights_keys
    }
    model.save_pretrained(folder, state_dict=state)
    processor.save_pretrained(folder)


def _compile(model: KangarooForConditionalGeneration) -> None:
    """Compile the repeated blocks: one compilation serves all of them, once for each shape of batch."""
    torch._dynamo.config.recompile_limit = 32
    for block in model.model.vision_tower.blocks:
        block.compile(dynamic=False)
    for layer in model.model.language_model.layers:
        layer.compile(dynamic=True)
