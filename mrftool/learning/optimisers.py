"""The optimisers of a training run, and their state as tensors."""

import torch
from torch import Tensor, nn

from mrftool.learning.config import TrainConfig


def new_optimisers(
    encoder: nn.Module, decoder: nn.Module | None, config: TrainConfig
) -> list[torch.optim.Optimizer]:
    """Muon for the matrices between layers, Adam for the rest (or for all), at the run's peak rate.

    Muon: K. Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. Its steps are scaled
    to the size of Adam's (J. Liu et al., arXiv:2502.16982). On these networks it needs a third of
    Adam's steps.
    """
    parameters = list(encoder.parameters())
    if decoder is not None:
        parameters += decoder.parameters()
    matrices = [x for x in parameters if _is_hidden_matrix(x)]
    if config.optimiser == "adam" or not matrices:
        return [torch.optim.Adam(parameters, lr=config.rate)]
    others = [x for x in parameters if not _is_hidden_matrix(x)]
    muon = torch.optim.Muon(
        matrices, lr=config.rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    return [torch.optim.Adam(others, lr=config.rate), muon]


def _is_hidden_matrix(parameter: nn.Parameter) -> bool:
    return parameter.ndim == 2 and min(parameter.shape) > 2


def optimiser_tensors(optimisers: list[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """The state of all optimisers, by names of the form "optimiser.parameter.key"."""
    tensors = {}
    for k, optimiser in enumerate(optimisers):
        for index, entry in optimiser.state_dict()["state"].items():
            for key, value in entry.items():
                tensors[f"{k}.{index}.{key}"] = value
    return tensors


def restore_optimisers(optimisers: list[torch.optim.Optimizer], tensors: dict[str, Tensor]) -> None:
    """Give optimisers the state that optimiser_tensors took."""
    states: list[dict[int, dict[str, Tensor]]] = [{} for _ in optimisers]
    for name, value in tensors.items():
        k, index, key = name.split(".")
        states[int(k)].setdefault(int(index), {})[key] = value
    for optimiser, state in zip(optimisers, states, strict=True):
        optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
