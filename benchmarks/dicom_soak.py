"""A day of a DICOM node: many series through one process, without a restart. Prints `name: value`.

    python benchmarks/dicom_soak.py [--series 2000] [--real-every 20]

The node is a process of its own; this one is scanner and archive. Every 20th series is real: its
maps are made by a child process, as in use. In place of the maps of the others one image is made in
the node, so that a day takes less than an hour. Every 50th series is one that no rule means, and as
often a stranger asks for an association. The archive is down for a twentieth of the time.
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from dicom_factory import write_enhanced
from dicom_node import entries, short_sequence
from dicom_peers import (
    Archive,
    fingerprint,
    real_rule,
    send,
    serve_mixed,
    wait_for,
    write_settings,
)

from mrftool.exporting.make import make_model
from mrftool.inference.model.onnx_file import write_model
from mrftool.servers.dicom.settings import NodeSettings

HERE = Path(__file__).resolve()
QUIET = 0.2  # seconds after which a series is complete
SAMPLES = 20  # of what the node takes
UNKNOWN_EVERY = 50  # a series that no rule means, and a stranger, after so many
REAL, FAKE, UNKNOWN = "REAL", "MRF", "LOCALIZER"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--series", type=int, default=2000)
    parser.add_argument("--real-every", type=int, default=20)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve_mixed(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        Soak(Path(folder), options.series, options.real_every).run()


@dataclass
class Sample:
    """What the node takes after so many series."""

    series: int
    resident: int  # [kB]
    anonymous: int  # [kB]
    open_files: int
    threads: int
    journal: int  # [bytes]

    def __str__(self) -> str:
        return (
            f"resident {self.resident} kB, anonymous {self.anonymous} kB, "
            f"{self.open_files} open files, {self.threads} threads, journal {self.journal} bytes"
        )


@dataclass
class Children:
    """Largest memory of each child of a process, in the order of their start [kB]."""

    parent: int
    peaks: dict[int, int] = field(default_factory=dict)

    def watch(self, stop: threading.Event) -> None:
        """Look until `stop` is set."""
        listed = Path(f"/proc/{self.parent}/task/{self.parent}/children")
        while not stop.wait(0.2):
            for child in map(int, listed.read_text().split()):
                peak = kilobytes(child, "VmHWM")
                if peak:
                    self.peaks[child] = peak


class Soak:
    """One run: a node, a scanner that sends, and an archive that counts."""

    def __init__(self, folder: Path, count: int, real_every: int) -> None:
        self.folder = folder
        self.count = count
        self.every = max(count // SAMPLES, 4)  # series between samples
        self.real_every = real_every
        self.archive = Archive()
        self.archive.up()
        model = folder / "short.onnx"
        write_model(make_model(short_sequence(), tolerance=1e-3, check=False)[0], model)
        self.settings: NodeSettings = write_settings(
            folder / "node.yaml", model, self.archive.port, quiet=QUIET, more=real_rule(model)
        )
        self.kinds: dict[str, str] = {}  # by study
        self.again = self.refused = 0
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Send, sample, and say what was found."""
        start = time.monotonic()
        command = [sys.executable, str(HERE), "--serve", str(self.folder / "node.yaml")]
        node = subprocess.Popen(command)
        stop, children = threading.Event(), Children(node.pid)
        watcher = threading.Thread(target=children.watch, args=(stop,))
        watcher.start()
        try:
            self.send_all(node.pid)
            wait_for(lambda: len(entries(self.journal)) == self.count, 600)
        finally:
            stop.set()
            watcher.join()
            node.terminate()
            node.wait()
            self.archive.down()
        print("seconds:", round(time.monotonic() - start))
        self.report(list(children.peaks.values()))

    @property
    def journal(self) -> Path:
        """Where the node writes how series ended."""
        return self.settings.folder / "journal"

    def send_all(self, node: int) -> None:
        """Series after series, with a sample now and then."""
        (path,) = write_enhanced(self.folder / "scan", fingerprint(short_sequence()))
        dataset = pydicom.dcmread(path)
        for number in range(1, self.count + 1):
            kind = self.kind_of(number)
            study = f"1.2.5.{number}"
            self.kinds[study] = kind
            dataset.SeriesDescription, dataset.StudyInstanceUID = kind, study
            dataset.SeriesInstanceUID = f"1.2.3.{number}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
                f"1.2.4.{number}"
            )
            dataset.save_as(path)
            self.send_one(path)
            if kind == UNKNOWN:
                self.refused += send([path], self.settings.port, title="STRANGER") is None
            self.turn_archive(number)
            if number % self.every == 0:
                self.sample(node, number)

    def kind_of(self, number: int) -> str:
        """Of which kind a series is."""
        if number % UNKNOWN_EVERY == 1:
            return UNKNOWN
        if number % self.real_every == 2 % self.real_every:
            return REAL
        return FAKE

    def send_one(self, path: Path) -> None:
        """As a scanner: until it is acknowledged."""
        while send([path], self.settings.port) != [0]:
            self.again += 1
            if self.again > 100 + self.count // 10:
                raise RuntimeError("images are refused")
            time.sleep(0.2)

    def turn_archive(self, number: int) -> None:
        """Off in the middle between two samples, and on again."""
        middle = self.count // self.every // 2 * self.every
        if number == middle + self.every // 4:
            self.archive.down()
        if number == middle + self.every // 2:
            self.archive.up()

    def sample(self, node: int, number: int) -> None:
        """When nothing is left to do, note what the node takes."""
        wait_for(lambda: len(entries(self.journal)) == number, 600)
        time.sleep(1)  # for associations to end
        files = [path.stat().st_size for path in self.journal.iterdir()]
        self.samples.append(
            Sample(
                number,
                kilobytes(node, "VmRSS"),
                kilobytes(node, "RssAnon"),
                len(list(Path(f"/proc/{node}/fd").iterdir())),
                len(list(Path(f"/proc/{node}/task").iterdir())),
                sum(files),
            )
        )
        print(f"after_{number}_series: {self.samples[-1]}", flush=True)

    def report(self, peaks: list[int]) -> None:
        """What arrived, and how memory went."""
        later = self.samples[len(self.samples) // 2 :]
        if len(later) > 1:
            series = [sample.series for sample in later]
            slope = np.polyfit(series, [sample.anonymous for sample in later], 1)[0]
            print(f"more_kilobytes_for_1000_series_in_the_second_half: {1000 * slope:.0f}")
        third = max(len(peaks) // 3, 1)
        print("children:", len(peaks))
        print(f"peak_of_the_first_children_in_kilobytes: {np.mean(peaks[:third]):.0f}")
        print(f"peak_of_the_last_children_in_kilobytes: {np.mean(peaks[-third:]):.0f}")
        states = Counter(entry["state"] for entry in entries(self.journal))
        print("series:", self.count)
        for state in ("sent", "ignored", "failed"):
            print(f"series_{state}:", states[state])
        print("series_offered_again:", self.again)
        print("strangers_refused:", self.refused)
        self.report_arrivals()
        left = [each for place in ("incoming", "results", "work") for each in self.left_in(place)]
        print("left_behind:", len(left))

    def left_in(self, place: str) -> list[Path]:
        """What is left in a folder of the node."""
        return list((self.settings.folder / place).iterdir())

    def report_arrivals(self) -> None:
        """Count images in the archive, by study."""
        arrived = Counter(study for study, _ in self.archive.images.values())
        names = {(study, name) for study, name in self.archive.images.values()}
        real = [arrived[study] for study, kind in self.kinds.items() if kind == REAL]
        expected = {REAL: Counter(real).most_common(1)[0][0], FAKE: 1, UNKNOWN: 0}
        print("maps_of_a_real_series:", expected[REAL])
        print("images_arrived:", len(self.archive.images))
        print("images_sent_twice:", sum(times > 1 for times in self.archive.times.values()))
        print("series_lost:", sum(arrived[s] < expected[k] for s, k in self.kinds.items()))
        print("series_twice:", sum(arrived[s] > expected[k] for s, k in self.kinds.items()))
        print("maps_twice_under_another_uid:", len(self.archive.images) - len(names))
        print("foreign_studies:", len(set(arrived) - set(self.kinds)))


def kilobytes(process: int, name: str) -> int:
    """A memory figure of a process; 0 if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)


if __name__ == "__main__":
    main()
