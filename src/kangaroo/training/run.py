"""A whole run: stages in order, each from the folder that the one before left, saved and resumed wherever it stops.

A run folder holds, for each stage, a folder that `kangaroo chat --model` opens (there once the stage is done) and,
until then, its checkpoints; and for the whole run `metrics.jsonl`, TensorBoard's files and `loss.png`.
"""

import json
import logging
import math
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn

from kangaroo.alone import alone_in, make_folder
from kangaroo.data.packing import PackingState
from kangaroo.data.quarantine import Quarantine
from kangaroo.data.sources import RecordSource, open_source
from kangaroo.dialogue.encoding import Encoder
from kangaroo.dialogue.processor import KangarooProcessor
from kangaroo.errors import KangarooError, ModelError, OptionError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import allow_packed_rows
from kangaroo.training.checkpoint import CheckpointWriter, latest, load, read_progress
from kangaroo.training.curriculum import Part, Records, Stage
from kangaroo.training.estimate import Estimate, counted, estimate
from kangaroo.training.export import NOTES, export, notes_on
from kangaroo.training.feed import Feed, check_films_fit, feed_rows, fresh_states
from kangaroo.training.journal import Journal
from kangaroo.training.loop import Progress, Step, train_stage
from kangaroo.training.lora import add_lora, merged
from kangaroo.training.loss import Objective
from kangaroo.training.optimizers import freeze, make_optimizers
from kangaroo.training.painter import Painter
from kangaroo.training.parallel import World, compile_blocks, gather_weights, recompute, shard
from kangaroo.training.probe import probe
from kangaroo.training.recipe import Recipe
from kangaroo.training.start import adapted, at_random, from_folder, start_config

logger = logging.getLogger(__name__)


class Run:
    """One run on one machine or many. `go` trains until the end, or is saved and stops: when the recipe's minutes are
    over, or when SIGTERM says that the machine is wanted back.

    Args:
        recipe: What to do.
        world: The processes that train together.
        stages: Numbers of the first and the last stage to train (`Recipe.span`).
        watch: Is told of every step: a progress bar.

    Raises:
        OptionError: A stage cannot be trained with this recipe, or data is missing.
    """

    def __init__(
        self,
        recipe: Recipe,
        world: World,
        *,
        stages: tuple[int, int],
        watch: Callable[[Stage, Step], None] = lambda _stage, _step: None,
    ) -> None:
        self.recipe, self.world, self.watch = recipe, world, watch
        self.first, self.last = stages
        self.sources = self._open_sources()
        for stage in recipe.stages[self.first - 1 : self.last]:
            recipe.check_shared(stage, world.size)

    def go(self) -> bool:
        """Train; return whether all wanted stages are done."""
        self.started, self.is_told_to_stop = time.monotonic(), False
        leads = self.world.rank == 0
        make_folder(self.recipe.out)
        with (
            alone_in(self.recipe.out) if leads else nullcontext(),
            _heard(signal.SIGTERM, self._stop),
            Journal(self.recipe.out, is_writer=leads) as self.journal,
        ):
            for number in range(self.first, self.last + 1):
                if not self._stands(number) and not self._train(number):
                    return False
                if leads:
                    # also those of a run that was killed between a stage's end and this
                    shutil.rmtree(self._checkpoints(number), ignore_errors=True)
        return True

    def folder(self, number: int) -> Path:
        """Return where a stage's model goes when it is done."""
        return self.recipe.out / f"{number}-{self.recipe.stages[number - 1].name}"

    def _checkpoints(self, number: int) -> Path:
        folder = self.folder(number)
        return folder.with_name(f"{folder.name}.checkpoints")

    def _train(self, number: int) -> bool:
        stage, world, recipe = self.recipe.stages[number - 1], self.world, self.recipe
        model, processor = adapted(*self._begin(number), stage)
        feed = Feed(stage, self.sources, processor.encoder, seed=recipe.seed)
        objective = self._shared(model, stage)
        optimizers = make_optimizers(model, stage)
        checkpoints = CheckpointWriter(self._checkpoints(number), world)
        progress = self._progress(number, model, optimizers)
        rows = feed_rows(
            feed,
            progress.streams,
            Quarantine(recipe.out / f"quarantine-{world.rank}.jsonl"),
            workers=recipe.workers,
            lookahead=recipe.lookahead,
        )
        painter = Painter(world.device, image_size_px=stage.image_size_px)
        self.journal.begin(model, counted(stage, lora_rank=recipe.lora_rank), num_gpus=world.size)
        for step in train_stage(
            objective,
            optimizers,
            rows,
            painter,
            stage,
            progress,
            world,
            rows_per_pass=recipe.rows_per_pass,
            seed=recipe.seed,
        ):
            self.watch(stage, step)
            done = step.samples >= stage.samples
            over = self._over() and not done
            tells = step.number % recipe.log_every == 0 or done
            probes = recipe.probe_every > 0 and (step.number % recipe.probe_every == 0 or done)
            saves = over or (step.number % recipe.save_every == 0 and not done)
            if tells or probes or saves:
                _check_finite(step, stage, checkpoints.folder)
            self.journal.saw(step)
            if tells:
                self.journal.step(step)
            if probes:
                with self.journal.off_the_clock():
                    shares = probe(objective, processor.encoder, stage, painter, num_films=recipe.probe_films)
                self.journal.probe(step, shares)
            if saves:
                whole = replace(progress, streams=_in_turn(progress.streams, world))
                checkpoints.save(step.number, model, optimizers, progress=self._kept(stage) | whole.to_dict())
            if over:
                checkpoints.wait()
                return False
        checkpoints.wait()
        weights = gather_weights(model, world)
        if world.rank == 0:
            notes = notes_on(recipe, stage, feed.mixture.manifest(), world_size=world.size) | {
                "kept": self._kept(stage)
            }
            export(model, processor, self.folder(number), weights=merged(model, weights), notes=notes)
        distributed.barrier()  # nobody looks for the folder before it is there
        return True

    def _shared(self, model: KangarooForConditionalGeneration, stage: Stage) -> Objective:
        """Return a network ready to be trained by all processes together."""
        freeze(model, stage)
        if self.recipe.lora_rank and Part.LANGUAGE in dict(stage.rates):
            torch.manual_seed(self.recipe.seed)
            add_lora(model, rank=self.recipe.lora_rank)
        allow_packed_rows(model)
        model.train()  # folders open for answering; compiled layers of both kinds would be compiled apart
        objective = Objective(model, z_loss=stage.z_loss, context=self.world.context)
        recompute(model, self.recipe.recompute)
        on_gpu = self.world.device.type == "cuda"
        if on_gpu:
            compile_blocks(model)
        shard(objective, self.world, compute_dtype=torch.bfloat16 if on_gpu else torch.float32)
        return objective

    def _progress(self, number: int, model: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> Progress:
        """Return where this process goes on, weights and moments put back to where they were."""
        stage, newest = self.recipe.stages[number - 1], latest(self._checkpoints(number))
        progress = Progress(streams=fresh_states(stage))
        if newest is not None:
            saved = read_progress(newest)
            self._check_same(newest, stage, saved)
            load(newest, model, optimizers)
            progress = Progress.from_dict(saved)
            logger.info("stage %s goes on at step %d", stage.name, progress.step)
        progress.streams = progress.streams[self.world.data_rank :: self.world.data_size]
        return progress

    def _stands(self, number: int) -> bool:
        """Whether a stage is done, as this recipe asks for it."""
        folder, stage = self.folder(number), self.recipe.stages[number - 1]
        if not folder.is_dir():
            return False
        try:
            kept = json.loads((folder / NOTES).read_text(encoding="utf-8"))["kept"]
        except (OSError, ValueError, TypeError, KeyError):
            raise ModelError(
                f"{folder} is in a stage's place, but no stage left it; move it, or name another out"
            ) from None
        self._check_same(folder, stage, kept)
        logger.info("stage %s is done: %s", stage.name, folder)
        return True

    def _check_same(self, place: Path, stage: Stage, saved: Mapping[str, Any]) -> None:
        for name, value in self._kept(stage).items():
            if saved.get(name) != value:
                raise OptionError(f"{place} was made with another {name}; go on with that, or name another out")

    def _kept(self, stage: Stage) -> dict[str, Any]:
        """Return, as JSON gives it back, what a stage is begun with: going on, and being done, ask for the same."""
        sources = {one.name: self.sources[one.name] for one in stage.data if isinstance(one, Records)}
        return {
            "curriculum": repr(stage),
            "seed": self.recipe.seed,
            "lora_rank": self.recipe.lora_rank,
            # wherever they lie
            "data": {
                name: [len(source), *(path.stat().st_size for path in source.files())]
                for name, source in sources.items()
            },
        }

    def _stop(self, *_: Any) -> None:
        self.is_told_to_stop = True

    def _over(self) -> bool:
        """Whether any process has been told to stop, or its minutes are over: all must stop at the same step."""
        minutes = math.inf if self.recipe.minutes is None else self.recipe.minutes
        over = self.is_told_to_stop or time.monotonic() - self.started > 60 * minutes
        return bool(self.world.sum(torch.tensor(int(over))))

    def _begin(self, number: int) -> tuple[KangarooForConditionalGeneration, KangarooProcessor]:
        before = self.folder(number - 1) if number > 1 else None
        if before is not None and not before.is_dir() and self._checkpoints(number - 1).is_dir():
            raise OptionError(f"stage {number - 1} is not done; train it to its end, or name another out")
        start = before if before is not None and before.is_dir() else self.recipe.start
        if start is not None:
            logger.info("stage %s begins with %s", self.recipe.stages[number - 1].name, start)
            return from_folder(start)
        if before is not None:
            raise OptionError(
                f"stage {number} begins with what stage {number - 1} left, but {before} is not there; train it first "
                "or name a start"
            )
        return at_random(self.recipe)

    def _open_sources(self) -> dict[str, RecordSource]:
        wanted = {
            one.name
            for stage in self.recipe.stages[self.first - 1 : self.last]
            for one in stage.data
            if isinstance(one, Records)
        }
        if missing := sorted(wanted - set(self.recipe.data)):
            raise OptionError(
                f"the recipe's [data] has no path for {', '.join(missing)}; add it, or train fewer stages"
            )
        return {name: open_source(path) for name, path in self.recipe.data.items() if name in wanted}


def estimates(recipe: Recipe, stages: tuple[int, int]) -> Iterator[Estimate]:
    """Yield what each stage takes; no weights are made, nothing is trained or written.

    A start that is not there yet is reckoned with at the curriculum's own sizes, which the estimates say.
    """
    absent = recipe.start is not None and not recipe.start.exists()
    config, tokenizer = start_config(replace(recipe, start=None) if absent else recipe)
    for stage in recipe.stages[stages[0] - 1 : stages[1]]:
        config.vision_config.image_size, config.patchify = stage.image_size_px, stage.patchify.value
        encoder = Encoder(tokenizer, config.layout())
        check_films_fit(stage, encoder)
        recipe.check_shared(stage, recipe.gpus)
        found = estimate(config, stage, recipe, encoder)
        missing = f"the sizes of {recipe.curriculum}, for {recipe.start} is not there yet" if absent else ""
        yield replace(found, assumed="; ".join(filter(None, (missing, found.assumed))))


@contextmanager
def _heard(number: signal.Signals, handler: Callable[..., None]) -> Iterator[None]:
    """Handle a signal for a while; only a process's main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def _check_finite(step: Step, stage: Stage, checkpoints: Path) -> None:
    """Stop a run before what is no number reaches a checkpoint or a model; reading waits for the GPU."""
    loss, grad_norm = float(step.loss), float(step.grad_norm)
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        raise KangarooError(
            f"stage {stage.name}, step {step.number}: the loss is {loss} and the gradients' norm {grad_norm}, so this "
            f"is not saved; what {checkpoints} holds is older. Lower the rates, or look at the data"
        )


def _in_turn(streams: list[PackingState], world: World) -> list[PackingState]:
    """Return all ranks' streams in the order of a step's rows."""
    gathered: list[Any] = [None] * world.size
    distributed.all_gather_object(gathered, (world.data_rank, streams))
    by_rank = dict(gathered)
    return [state for turn in zip(*(by_rank[rank] for rank in range(world.data_size)), strict=True) for state in turn]
