"""Training losses: of the encoder on log T1 and log T2, and of the decoder on the fingerprint."""

import math

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

FLOOR = 0.003  # relative error below which the "bound" loss no longer tells errors apart [1]
RESIDUAL_FLOOR = 3e-4  # the same for the residual of a unit-norm fingerprint [1]


def embedding_loss(predicted: Tensor, target: Tensor, bound: Tensor | None) -> Tensor:
    """Mean loss of log T1 and log T2.

    Parameters
    ----------
    predicted, target
        Log T1 and log T2 `(voxel, 2)` [log s].
    bound
        Cramer-Rao bound of both `(voxel, 2)` [1]: errors count in units of it (plus a floor), with
        smooth L1. None: mean squared error in log10, as the paper has it.
    """
    if bound is None:
        errors = (predicted - target) / math.log(10)
        return errors.square().sum(dim=1).mean()
    unit = bound + FLOOR
    return smooth_l1_loss(predicted / unit, target / unit)


def reconstruction_loss(predicted: Tensor, target: Tensor, noise: Tensor | None) -> Tensor:
    """Loss of each voxel `(voxel,)` between fingerprints of norm 1.

    Parameters
    ----------
    predicted, target
        Fingerprints `(voxel, time)`, complex or real, of norm 1.
    noise
        Standard deviation of the noise per real channel, relative to the norm `(voxel,)` [1].
        Squared residuals count in units of its square (plus a floor), which is the Fisher metric of
        the tissue parameters, with a pseudo-Huber loss. None: the sum of squared residuals. The
        paper averages over time instead: its lambda is ours times the number of points in time.
    """
    difference = predicted - target
    if difference.is_complex():
        difference = torch.view_as_real(difference)
    misfit = difference.square().flatten(1).sum(dim=1)
    if noise is None:
        return misfit
    return (1 + misfit / (noise.square() + RESIDUAL_FLOOR**2)).sqrt() - 1
