"""Training in several processes: torchrun starts them, DistributedDataParallel averages gradients.

Each process draws the same batch and takes its share of it, so that the result is that of one
process, but for the order of summation.
"""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mrftool.errors import ArgumentError
from mrftool.learning.batches import Batch


@contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that torchrun started, if it did; yields the device of this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    backend = "gloo"
    if device.type == "cuda":
        device, backend = torch.device("cuda", int(os.environ["LOCAL_RANK"])), "nccl"
    dist.init_process_group(backend)
    try:
        yield device
    finally:
        # DistributedDataParallel must release what it holds before the group ends.
        gc.collect()
        dist.destroy_process_group()


def world() -> int:
    """Number of processes that train together."""
    if dist.is_initialized():
        return dist.get_world_size()
    return 1


def is_first() -> bool:
    """Whether this process writes the files and speaks to the user."""
    return not dist.is_initialized() or dist.get_rank() == 0


def any_of(flag: bool) -> bool:
    """Whether `flag` is set in any of the processes; all of them get the same answer."""
    if not dist.is_initialized():
        return flag
    device = "cpu"
    if dist.get_backend() == "nccl":
        device = "cuda"
    votes = torch.tensor([float(flag)], device=device)
    dist.all_reduce(votes)
    return bool(votes.item())


def share(batch: Batch) -> Batch:
    """The voxels of `batch` that this process works on.

    Raises
    ------
    ArgumentError
        If the voxels cannot be divided equally.
    """
    if world() == 1:
        return batch
    if len(batch.rows) % world():
        raise ArgumentError(
            f"{len(batch.rows)} voxels of a sequence for {world()} processes, expected a multiple"
        )
    return batch[dist.get_rank() :: world()]


def replicated(network: nn.Module) -> nn.Module:
    """The network with gradients that are averaged over all processes."""
    if world() == 1:
        return network
    return DistributedDataParallel(network)
