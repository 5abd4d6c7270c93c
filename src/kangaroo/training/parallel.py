"""Training on many GPUs as on one: ranks share weights, gradients and moments, and rows that are too long for one.

Each rank holds a share of every weight in float32 and gathers a block's weights, in the dtype of the computation,
while it runs (FSDP2). Losses are sums, so gradients are summed over all ranks, never averaged: whoever calls divides
by the supervised tokens of all ranks together. Ranks of one context group share rows, and are to the gradients like
any other ranks. Order: `recompute`, then `compile_blocks`, then `shard`, then the optimisers.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial, wraps
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from kangaroo.compiling import compiled
from kangaroo.errors import OptionError
from kangaroo.model.modeling import KangarooForConditionalGeneration
from kangaroo.model.packed import ContextGroup
from kangaroo.training.loss import Objective
from kangaroo.training.recipe import Recompute

# what is dear to compute: products, and attention as each backend calls it
_KEPT = [
    torch.ops.aten.mm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten._scaled_dot_product_flash_attention.default,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    torch.ops.aten._scaled_dot_product_efficient_attention.default,
    torch.ops.aten._scaled_dot_product_cudnn_attention.default,
    torch.ops.torch_attn._varlen_attn.default,
    torch.ops.kangaroo.attend_long.default,
]


@dataclass(frozen=True, kw_only=True)
class World:
    """The ranks of a run and this process's place among them.

    Attributes:
        rank: This process's number.
        size: How many there are.
        device: Where this one computes.
        mesh: All ranks in a line: what weights are shared over.
        context: The ranks that read slices of the same rows as this one; None where each reads rows of its own.
    """

    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh
    context: ContextGroup | None

    def __enter__(self) -> "World":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # after a failure the others may never come to say goodbye
        if error is None:
            distributed.destroy_process_group()

    @property
    def data_rank(self) -> int:
        """Whose rows this rank reads; ranks of one context group read the same."""
        return self.rank // self._sharing

    @property
    def data_size(self) -> int:
        """Into how many parts rows are dealt."""
        return self.size // self._sharing

    @property
    def _sharing(self) -> int:
        return 1 if self.context is None else self.context.size

    def sum(self, value: Tensor) -> Tensor:
        """Return the sum of all ranks' tensors, on every rank; all call it."""
        total = value.detach().clone()
        distributed.all_reduce(total)
        return total

    def sum_over_rows(self, *numbers: int | float) -> tuple[float, ...]:
        """Return the sum of each number over all rows, for ranks that counted those they read; no GPU waits."""
        total = self.sum(torch.tensor(numbers, dtype=torch.float64))  # exact for counts below 2^53
        return tuple((total / self._sharing).tolist())


def start_world(device: str, *, context_parallel: int = 1) -> World:
    """Join the ranks that torchrun started; without it, be a world of one.

    Args:
        device: `cpu` or `cuda`; each rank takes the GPU of its number on its machine.
        context_parallel: How many ranks share each row.

    Raises:
        OptionError: `context_parallel` does not divide the ranks, or a rank has no GPU.
    """
    here = _device(device)
    if not distributed.is_initialized():
        # checkpoints talk over the CPU while GPUs compute
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        if distributed.is_torchelastic_launched():
            distributed.init_process_group(backend)
        else:
            store = distributed.HashStore()  # type: ignore[attr-defined]
            distributed.init_process_group(backend, store=store, rank=0, world_size=1)
    rank, size = distributed.get_rank(), distributed.get_world_size()
    if context_parallel < 1 or size % context_parallel:
        raise OptionError(
            f"context_gpus = {context_parallel} does not divide the {size} processes of this run; start a "
            "multiple of it with torchrun --nproc-per-node"
        )
    context = None
    if context_parallel > 1:
        group, _ = distributed.new_subgroups(context_parallel)
        context = ContextGroup(name=group.group_name, rank=rank % context_parallel, size=context_parallel)
    return World(rank=rank, size=size, device=here, mesh=init_device_mesh(here.type, (size,)), context=context)


def _device(device: str) -> torch.device:
    here = torch.device(device)
    if here.type != "cuda":
        return here
    index = int(os.environ.get("LOCAL_RANK", "0")) if here.index is None else here.index
    if index >= (found := torch.cuda.device_count()):
        raise OptionError(
            f"process {index} of this machine has no GPU of its own, torch sees {found}; start as many processes as "
            "GPUs, or write device = 'cpu'"
        )
    here = torch.device("cuda", index)
    torch.cuda.set_device(here)
    return here


def blocks(model: KangarooForConditionalGeneration) -> list[nn.Module]:
    """Return what repeats: the vision tower's blocks and the language model's layers."""
    return [*model.model.vision_tower.blocks, *model.model.language_model.layers]


def recompute(model: KangarooForConditionalGeneration, mode: Recompute) -> None:
    """Save memory in training: compute parts of each block again in the backward pass. Freeze what is frozen first."""
    if mode is Recompute.NONE:
        return
    sees = any(weight.requires_grad for weight in model.model.vision_tower.parameters())
    # a frozen tower keeps nothing: no backward pass comes to it
    for block in blocks(model) if sees else model.model.language_model.layers:
        block.forward = _recomputed(block.forward, mode)


def _recomputed(forward: Callable[..., Any], mode: Recompute) -> Callable[..., Any]:
    # no dropout anywhere, so there is no random state to bring back
    again = partial(checkpoint, use_reentrant=False, preserve_rng_state=False)
    if mode is Recompute.SELECTIVE:
        again = partial(again, context_fn=partial(create_selective_checkpoint_contexts, _KEPT))

    @wraps(forward)
    def run(*args: Any, **kwargs: Any) -> Any:
        return again(forward, *args, **kwargs) if torch.is_grad_enabled() else forward(*args, **kwargs)

    return run


def compile_blocks(model: KangarooForConditionalGeneration) -> None:
    """Compile what repeats, hooks of sharding left outside: one compilation serves all blocks of a kind."""
    for block in blocks(model):
        block.forward = compiled(block.forward)


def shard(objective: Objective, world: World, *, compute_dtype: torch.dtype) -> None:
    """Share the network's weights over all ranks and move them to the device; make optimisers after it.

    Every rank brings the same weights, in float32, and calls `objective` equally often.

    Args:
        objective: Its parameters become DTensors of the same names.
        world: Who shares.
        compute_dtype: What blocks gather weights in and compute in. Gradients are summed in float32.
    """
    # the network casts what it needs to; times and angles stay in float32
    policy = MixedPrecisionPolicy(param_dtype=compute_dtype, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for unit in (*blocks(objective.model), objective):
        sharded = fully_shard(unit, mesh=world.mesh, mp_policy=policy)
        # gradients of summed losses are summed; NCCL and gloo both can
        sharded.set_gradient_divide_factor(1.0)
        sharded.set_force_sum_reduction_for_comms(True)
    register_fsdp_forward_method(objective, "predict")


def clip_gradients(module: nn.Module, max_norm: float) -> Tensor:
    """Scale all gradients down where their norm over all ranks is larger than `max_norm`; return what it was."""
    norm = nn.utils.clip_grad_norm_(module.parameters(), max_norm)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def gather_weights(model: nn.Module, world: World) -> dict[str, Tensor]:
    """Return the whole weights on rank 0's CPU, as for `save_pretrained`; nothing elsewhere. All ranks call it."""
    weights: dict[str, Tensor] = {}
    for name, weight in model.state_dict().items():
        whole = weight.full_tensor() if isinstance(weight, DTensor) else weight
        if world.rank == 0:
            weights[name] = whole.cpu()
    return weights
