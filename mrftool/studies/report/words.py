"""The text of the report that does not depend on its numbers: methods, and how to read them."""

from mrftool.studies.paper.methods import SLOW_DECODER_VOXELS
from mrftool.studies.paper.plan import ABLATION_STEPS, EFFORT

TABLES = {
    "table1": (
        "Table 1: other tissue than in training",
        "Trained on the synthetic grid with the sequence fisp, tested with the same sequence on "
        "tissue that the\n"
        "grid does not hold.",
    ),
    "table2": (
        "Table 2: another sequence than in training",
        "Trained on spline5 and spline11noisy, tested on fisp. The last rows know fisp: the "
        "adapted networks begin\n"
        "from the BlochNet of the same seed, the table model is made from the sequence alone.",
    ),
}

READING = """\
log10 MSE: plain mean over T1 and T2 and over voxels of the squared difference of log10. Cells:
mean ± standard deviation over seeds. Two means are called different if Welch's t test, with its
degrees of freedom, tells them apart at the 5 % level; otherwise they are within the spread over
seeds. All tests of a table are of the same networks, so that they count as one comparison; a
single test among several that differs may do so by chance.

Training: signatures that a method is trained with, repetitions included, in percent of the
paper's 26 epochs of 160,200.

"From 1 ms": without the voxels whose true T1 or T2 is below 1 ms, which are failed fits of the
maps, not tissue; errors in percent and ms, and errors with noise, are always without them.

SNR: rms of each fingerprint over the standard deviation of the noise in each of the real and
imaginary channels; every method sees the same noise. RMSE / bound: over the Cramer-Rao bound of
T1 and T2 with an unknown complex M0, over voxels whose bound is below a fifth of the value for
both, and whose tissue lies in the range that all rows of the table were trained for. 1 is the
limit of estimates without bias; one with prior knowledge can be below it."""


def _trainings() -> str:
    """Signatures that each network is trained with."""
    return ", ".join(f"{name} {effort.steps * effort.batch:,}" for name, effort in EFFORT.items())


_BATCH = EFFORT["rnn-whole+rnn"].batch
CONDITIONS = [
    "Signals are simulated with as many EPG states as each tissue needs; the paper cut off at 20.",
    "A voxel without any signal (T2 far below TE) gets the lowest T1 and T2 of the training, "
    "whatever the method.",
    "The published numbers of dictionary matching are the result of an error: its look-up "
    "returned two flip angles, 6.41 and 6.88, "
    "as the answer to every query. Here it is matched correctly, on the paper's grid of 160,200 "
    "pairs.",
    "Lambda: our reconstruction loss sums the squared error of fingerprints of norm 1 over time, "
    "the paper's takes the "
    "mean over 1000 points; its lambda of 1 to 20 is 0.001 to 0.02 of ours, which the ablation "
    "covers.",
    "The decoder of the published RNN-RNN was never trained; here it learns. It is slow: of each "
    "batch of "
    f"{_BATCH}, {SLOW_DECODER_VOXELS} voxels are decoded.",
    "The paper trained for 26 epochs, 4165 steps of 1000 signatures. How long each method was "
    "trained here stands "
    f"under time and memory; trainings of the ablations have {ABLATION_STEPS:g} times as many "
    f"steps.",
    f"Slow networks are trained with fewer signatures, so their errors are not the lowest they "
    f"could reach: "
    f"{_trainings()}.",
    "RNN is the authors' form, which takes the whole fingerprint as one step; RNN over time "
    "takes it in steps of "
    "several points.",
    "HYDRA is the preset hydra-fast, which works on a quarter of the points in time.",
    "The lists of flip angles of Spline5 and Spline11Noisy are not available; ours follow the "
    "published rule.",
    "The phantom is our own digital head at 3 T with partial volume, not BrainWeb.",
]
