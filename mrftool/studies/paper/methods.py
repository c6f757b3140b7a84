"""The methods that the study compares, and the rows of its two tables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mrftool.studies.paper.sets import ABOVE_T1, ABOVE_T2

SLOW_DECODER_VOXELS = 8  # of each batch are decoded by a recurrent decoder

GRID_T1, GRID_T2 = [0.001, 5.0], [0.001, 2.0]  # [s]: the paper's grid
SHORT_T1, SHORT_T2 = [0.001, ABOVE_T1[0]], [0.001, ABOVE_T2[0]]
_TABLE_T2 = [0.001, 2.5]
_PAPER = {
    "tissue": "grid",
    "loss": "log",
    "weight": 1.0,
    "snr_range": None,
    "t1_range": GRID_T1,
    "t2_range": GRID_T2,
}
_NOISE = {"loss": "bound", "snr_range": [4.0, 100.0]}
_DEFAULT = {
    "tissue": "random",
    "weight": 1.0,
    "t1_range": [0.03, 5.0],
    "t2_range": [0.006, 2.5],
    "loss": "bound",
    "snr_range": [1.0, 100.0],
}
_GRID = {"t1_range": GRID_T1, "t2_range": GRID_T2}


@dataclass(frozen=True)
class Method:
    """A row of a table.

    Parameters
    ----------
    title
        As printed.
    kind
        "train", "adapt", "match" or "table".
    train
        Settings of the training, or the ranges of a method that is not trained.
    start
        Method whose weights it starts from.
    """

    title: str
    kind: str = "train"
    train: Mapping[str, Any] = field(default_factory=dict)
    start: str | None = None


def _network(title: str, encoder: str, decoder: str, **settings: Any) -> Method:
    """A network that is trained as in the paper, but for `settings`."""
    return Method(title, train={"encoder": encoder, "decoder": decoder, **_PAPER, **settings})


def _adaptation(title: str, **settings: Any) -> Method:
    """The paper's network, adapted to the test sequence."""
    train = {"encoder": "fc", "decoder": "bloch", **_PAPER, **settings}
    return Method(title, "adapt", train, "blochnet")


METHODS = {
    "matching": Method("Dictionary matching", "match", _GRID),
    "fc": _network("FC", "fc", "none"),
    "rnn": _network("RNN", "rnn-whole", "none"),
    "hydra": _network("HYDRA", "hydra-fast", "none"),
    "fc-fc": _network("FC-FC", "fc", "fc"),
    "rnn-rnn": _network("RNN-RNN", "rnn-whole", "rnn", decode_voxels=SLOW_DECODER_VOXELS),
    "blochnet": _network("BlochNet", "fc", "bloch"),
    "rnn-time": _network("RNN over time", "rnn", "none"),
    "fc-noise": _network("FC (noise)", "fc", "none", **_NOISE),
    "blochnet-noise": _network("BlochNet (noise)", "fc", "bloch", **_NOISE),
    "compact": Method(
        "mrftool's encoder", train={"encoder": "compact", "decoder": "bloch", **_DEFAULT}
    ),
    "table": Method("Table model", "table", {"t1_range": GRID_T1, "t2_range": _TABLE_T2}),
    "adapt": _adaptation("BlochNet (adapted)"),
    "adapt-unlabelled": _adaptation("BlochNet (adapted, no labels)", labels=False),
}
# The rows of the paper, in its order.
PAPERS = ("matching", "fc", "rnn", "hydra", "fc-fc", "rnn-rnn", "blochnet")
OURS = ("rnn-time", "fc-noise", "blochnet-noise", "compact", "table")
REMEDIES = ("adapt", "adapt-unlabelled", "table")
ROWS = {"table1": (*PAPERS, *OURS), "table2": (*PAPERS, *REMEDIES)}
