"""The DICOM node between two archives, killed again and again. Prints `name: value`.

    python benchmarks/dicom_node.py [--series 10] [--kills 5]
    python benchmarks/dicom_node.py --series 100 --kills 20 --real-every 5 --longest 30

Needs Debian's orthanc. A first Orthanc sends series, as a scanner does: again, until all images are
acknowledged. The node makes maps and sends them to a second Orthanc, which is ended for a while in
between. The node is killed (-9) at random moments, and started again. With --real-every, one image
is made of the other series in place of maps, so that many series can be tried. Kills are 0.5 s to
--longest apart; series are sent as they are worked on, so that kills meet all that a node does.
"""

import argparse
import io
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from dicom_factory import write_enhanced
from dicom_peers import (
    fingerprint,
    real_rule,
    serve_mixed,
    wait_for,
    write_settings,
)
from orthanc import Orthanc

from mrftool.exporting.make import make_model
from mrftool.inference.model.onnx_file import write_model
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.servers.dicom.storage import MOST_ATTEMPTS

HERE = Path(__file__).resolve()
REAL, FAKE = "REAL", "MRF"
QUIET = 1.0  # seconds after which a series is complete
MOST_BEFORE_WORK = 3  # series that came and have no maps, before another is sent


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=10)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument(
        "--real-every", type=int, default=1, help="real maps of every so many series; 0: of none"
    )
    parser.add_argument(
        "--longest", type=float, default=10.0, help="longest time between two kills [s]"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve_mixed(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        between_archives(Path(folder), options)


def short_sequence() -> PulseSequence:
    """Forty pulses that tell T1 from T2."""
    flips = np.deg2rad(5 + 55 * np.sin(np.pi * np.arange(40) / 40))
    zeros, tr, te = np.zeros(40), np.full(40, 0.012), np.full(40, 0.003)
    return PulseSequence(flips, zeros, tr, te, Train(Inversion(1.0, 0.02)).events, name="short")


@dataclass(frozen=True)
class Sent:
    """A series that was sent: REAL or FAKE, and what its signal was multiplied by."""

    kind: str
    scale: float


def kind_of(number: int, every: int) -> str:
    """Whether real maps are made of the series of this number: of every so many."""
    if every > 0 and number % every == 0:
        return REAL
    return FAKE


class KilledNode:
    """A node in a process that is killed and started again."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent / "node"
        self.command = [sys.executable, str(HERE), "--serve", str(path)]
        self.kills = self.kills_during_work = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def end(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait()

    def torment(
        self, chance: random.Random, kills: int, longest: float, stop: threading.Event
    ) -> None:
        """Kill at random moments."""
        while self.kills < kills and not stop.wait(chance.uniform(0.5, longest)):
            self.kills_during_work += len(listed(self.folder / "work")) > 0
            self.end()
            self.kills += 1
            self.start()

    def before_work(self) -> int:
        """Series that came, and have no maps yet."""
        return len(listed(self.folder / "incoming")) - len(listed(self.folder / "results"))


def listed(folder: Path) -> list[Path]:
    """What is in a folder that may not be there yet."""
    if not folder.is_dir():
        return []
    return list(folder.iterdir())


def between_archives(folder: Path, options: argparse.Namespace) -> None:
    """Series through archive, node, archive."""
    sequence = short_sequence()
    model = folder / "short.onnx"
    write_model(make_model(sequence, tolerance=1e-3, check=False)[0], model)
    target = Orthanc(folder / "target", "ARCHIVE").up()
    settings = write_settings(
        folder / "node.yaml", model, target.port, quiet=QUIET, more=real_rule(model)
    )
    source = Orthanc(
        folder / "source", "SCANNER", {"node": ["MRFTOOL", "127.0.0.1", settings.port]}
    ).up()
    node = KilledNode(folder / "node.yaml")
    stop = threading.Event()
    chance = random.Random(options.seed)
    killer = threading.Thread(
        target=node.torment, args=(chance, options.kills, options.longest, stop)
    )
    start = time.monotonic()
    try:
        node.start()
        killer.start()
        scans: dict[str, Sent] = {}
        for number in range(options.series):
            kind = kind_of(number, options.real_every)
            scan = fingerprint(sequence, kind, scale=1 + 0.1 * number)
            scans[scan.study] = Sent(kind, 1 + 0.1 * number)
            (path,) = write_enhanced(folder / "scans" / str(number), scan)
            series = source.post("/instances", path.read_bytes())["ParentSeries"]
            send_until_acknowledged(source, series)
            wait_for(lambda: node.before_work() <= MOST_BEFORE_WORK, 600)
            if number == options.series // 2:
                target.down()
            if number == options.series // 2 + max(options.series // 5, 1):
                target.up()
        journal = folder / "node" / "journal"
        wait_while_it_goes_on(journal, options.series)
        killer.join(60)
        stop.set()
        seconds = time.monotonic() - start
        report(target, scans, states(journal), node, seconds, options)
        for entry in entries(journal):
            if "reason" in entry:
                print("reason:", entry["reason"])
    finally:
        stop.set()
        killer.join()
        node.end()
        source.down()
        target.down()


def wait_while_it_goes_on(journal: Path, count: int) -> None:
    """Wait until so many series have ended, or none has for ten minutes: a machine may be slow."""
    before = -1
    while before < len(states(journal)) < count:
        before = len(states(journal))
        wait_for(lambda: len(states(journal)) > before, 600)  # noqa: B023


def send_until_acknowledged(source: Orthanc, series: str) -> None:
    """Send a series to the node as often as it takes."""
    while True:
        try:
            answer = source.post("/modalities/node/store", {"Resources": [series]})
        except urllib.error.HTTPError:
            answer = {"FailedInstancesCount": 1}
        if answer.get("FailedInstancesCount") == 0:
            return
        time.sleep(0.3)


def states(journal: Path) -> list[str]:
    """How series ended. One that is to be tried again has not ended."""
    return [
        entry["state"]
        for entry in entries(journal)
        if entry["state"] != "failed" or entry["attempts"] >= MOST_ATTEMPTS
    ]


def entries(journal: Path) -> list[dict[str, Any]]:
    """What the journal says of each series."""
    return [json.loads(path.read_text()) for path in journal.glob("*.json")]


def report(
    target: Orthanc,
    scans: dict[str, Sent],
    ended: list[str],
    node: KilledNode,
    seconds: float,
    options: argparse.Namespace,
) -> None:
    """Count what arrived, by study."""
    found: Counter[str] = Counter()
    largest: dict[str, float] = {}
    for identifier in target.get("/instances"):
        dataset = pydicom.dcmread(io.BytesIO(target.read(f"/instances/{identifier}/file")))
        found[str(dataset.StudyInstanceUID)] += 1
        if "M0" in str(dataset.SeriesDescription):
            values = dataset.pixel_array * float(dataset.RescaleSlope)
            largest[str(dataset.StudyInstanceUID)] = float(values.max())
    real = [study for study, sent in scans.items() if sent.kind == REAL]
    expected = {FAKE: 1, REAL: max((found[study] for study in real), default=0)}
    print("series_sent:", len(scans))
    print("series_with_real_maps:", len(real))
    print("kills:", node.kills)
    print("kills_during_work:", node.kills_during_work)
    print("series_sent_on:", ended.count("sent"))
    print("series_failed:", ended.count("failed"))
    print("series_unfinished:", len(scans) - len(ended))
    print("images_of_a_real_series:", expected[REAL])
    counts = [(found[study], expected[sent.kind]) for study, sent in scans.items()]
    print("series_lost:", sum(count < usual for count, usual in counts))
    print("series_with_more_images:", sum(count > usual for count, usual in counts))
    print("foreign_studies:", len(set(found) - set(scans)))
    mixed = [study for study in real if not _is_own(largest, study, scans)]
    print("series_with_the_m0_of_another:", len(mixed))
    print("seconds:", round(seconds))


def _is_own(largest: dict[str, float], study: str, scans: dict[str, Sent]) -> bool:
    """Whether M0 is that of the scan: it was simulated with 1, times its scale."""
    return abs(largest.get(study, 0.0) / scans[study].scale - 1) < 0.03


if __name__ == "__main__":
    main()
