"""What can be set in a training run, and the defaults.

The command line reads them before numpy is loaded: nothing heavy is imported here.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mrftool.arrays import Range

Form = Literal["complex", "magnitude"]
Loss = Literal["bound", "log"]
Decoder = Literal["bloch", "fc", "rnn", "none"]


@dataclass(frozen=True)
class TrainSettings:
    """Settings of a training run: the one home of their defaults.

    Parameters
    ----------
    encoder
        One of `mrftool.learning.networks.encoders.PRESETS`, such as "compact" or "fc".
    decoder
        "bloch" adds the reconstruction loss through the EPG engine, "fc" and "rnn" through a network
        that is trained with the encoder; "none" leaves it out.
    weight
        Lambda, the weight of the reconstruction loss [1].
    decode_voxels
        How many voxels of each batch are decoded, 0 for all: a slow decoder sees fewer.
    labels
        Whether the embedding loss takes part. Without it the reconstruction alone trains the
        encoder.
    loss
        "bound" measures errors in units of the Cramer-Rao bound and the noise, "log" plainly, as
        the paper does.
    form
        Whether the encoder sees complex signals or magnitudes.
    tissue
        "random" draws T1 and T2 anew for each batch, log-uniform over their ranges; "grid" takes
        the pairs of the paper's grid in these ranges, each once an epoch.
    share
        How much of that grid there is to learn from [1].
    t1_range, t2_range
        Lowest and highest T1 and T2 [s].
    b1_range
        Lowest and highest B1 [1]; None for nominal flip angles and no B1 input.
    adc
        Diffusion coefficient [m2/s].
    snr_range
        Lowest and highest SNR, drawn log-uniformly [1]; None trains without noise.
    optimiser
        "muon" for the matrices between layers with Adam for the rest, or "adam" for all, as the
        paper.
    steps, batch
        Optimiser steps, and voxels in each.
    rate
        Peak learning rate.
    seed
        Of everything random.
    validate_every
        Steps between validations.

    """

    encoder: str = "compact"
    decoder: Decoder = "bloch"
    weight: float = 1.0
    decode_voxels: int = 0
    labels: bool = True
    loss: Loss = "bound"
    form: Form = "complex"
    tissue: Literal["random", "grid"] = "random"
    share: float = 1.0
    t1_range: "Range" = (0.03, 5.0)
    t2_range: "Range" = (0.006, 2.5)
    b1_range: "Range | None" = None
    adc: float = 0.0
    snr_range: "Range | None" = (1.0, 100.0)
    optimiser: Literal["muon", "adam"] = "muon"
    steps: int = 16_000
    batch: int = 512
    rate: float = 3e-3
    seed: int = 0
    validate_every: int = 250
