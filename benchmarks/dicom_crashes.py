"""The DICOM node killed before each of its steps on disk, and started again. Prints `name: value`.

    python benchmarks/dicom_crashes.py [--pairs 200] [--every 1]

A process takes two series of two images, makes two maps of each, and gives them to two archives.
It is killed (-9) before its first change on disk, in another run before the second, and so on: a
file that is opened, brought to the disk, renamed, linked or removed, or a map that an archive has
taken. Another process starts in the same folder, and must finish. --pairs kills that one too, at so
many random pairs of steps. The series may be worked on before all images are there, as when a
sender waits for the node.
"""

import argparse
import io
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import pydicom
from pydicom.uid import generate_uid

import mrftool.servers.dicom.deliver as deliver
from mrftool.environment.reporter import SilentReporter
from mrftool.servers.dicom.settings import Destination, NodeSettings, Rule
from mrftool.servers.dicom.storage import Arrival, Storage
from mrftool.servers.dicom.work import Worker

MR = "1.2.840.10008.5.1.4.1.1.4"
SERIES, IMAGES, MAPS = ("1.1", "1.2"), ("1", "2"), ("T1", "T2")
ARCHIVES = ("here", "there")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "shutil.rmtree"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--every", type=int, default=1, help="kill before each of so many steps")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    found: Counter[str] = Counter()
    for is_early in (False, True):
        steps = 0
        while try_kills((steps,), is_early, found):
            steps += options.every
        print(f"steps_{'with_early_work' if is_early else 'in_order'}:", steps)
        for _ in range(options.pairs // 2):
            kills = chance.randrange(steps), chance.randrange(steps)
            try_kills(kills, is_early, found)
    for name in ("runs", "kills", "series_lost", "series_twice", "left_behind"):
        print(f"{name}:", found[name])
    print("maps_sent_again_under_their_uid:", found["again"])


def try_kills(kills: tuple[int, ...], is_early: bool, found: Counter[str]) -> bool:
    """One folder: processes that are killed, then one that is not; whether the first was killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        was_killed = [in_process(folder, kill, is_early) for kill in kills]
        if in_process(folder, None, is_early):
            raise RuntimeError(f"the last process died, after kills at {kills}")
        found["runs"] += 1
        found["kills"] += sum(was_killed)
        count(folder, found)
        return was_killed[0]


def in_process(folder: Path, kill: int | None, is_early: bool) -> bool:
    """Run a node in a process of its own; whether it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if kill is not None:
                kill_before(kill, folder)
            live(folder, is_early)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    if os.WEXITSTATUS(status):
        raise RuntimeError(f"a process failed, to be killed at {kill}")
    return False


def kill_before(step: int, folder: Path) -> None:
    """Kill this process before a change on disk, counted from 0."""
    left = [step]

    def tick() -> None:
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        is_opened = event == "open" and str(arguments[0]).startswith(str(folder))
        if is_opened or event in CHANGES:
            tick()

    fsync = os.fsync

    def sync(number: int) -> None:
        tick()
        fsync(number)

    os.fsync = sync
    sys.addaudithook(hear)


def live(folder: Path, is_early: bool) -> None:
    """A node from its start until nothing is left to do."""
    deliver.Association = FolderArchive  # type: ignore[assignment, misc]
    archives = {name: Destination(name, name, str(folder), 104) for name in ARCHIVES}
    rule = Rule("all", {"SeriesInstanceUID": "*"}, Path("none"), ARCHIVES)
    settings = NodeSettings(folder / "node", (rule,), archives, {}, quiet_seconds=0.0)
    storage = Storage(settings.folder)
    worker = MapsOfTwo(settings, storage, SilentReporter())
    courier = deliver.Courier(settings, storage, SilentReporter())
    with storage.locked():
        storage.open()
        if is_early:
            worker.step()
            courier.step()
        send(storage, folder / "acknowledged", worker if is_early else None)
        worker.step()
        courier.step()


def send(storage: Storage, log: Path, worker: Worker | None) -> None:
    """Send what was not acknowledged; `worker` works after each image."""
    for series in SERIES:
        for image in IMAGES:
            uid = f"{series}.{image}"
            if uid in lines(log):
                continue
            arrival = storage.add_image(series, uid, content_of(series, uid))
            if arrival is Arrival.LATE:
                raise RuntimeError("an image came too late")
            add_line(log, uid)
            if worker is not None:
                worker.step()


class MapsOfTwo(Worker):
    """Makes maps of a series that is complete, in no time."""

    def _run(self, images: Path, folder: Path, rule: Rule) -> str | None:
        paths = sorted(images.glob("*.dcm"))
        if len(paths) < len(IMAGES):
            return "images are missing"
        folder.mkdir(parents=True)
        series = str(pydicom.dcmread(paths[0]).SeriesInstanceUID)
        for name in MAPS:
            (folder / f"{name}.dcm").write_bytes(content_of(series, generate_uid()))
        return None


class FolderArchive:
    """Writes down what it takes."""

    def __init__(self, destination: Destination, settings: object, classes: object) -> None:
        self.log = Path(destination.host) / f"archive_{destination.name}"

    def __enter__(self) -> "FolderArchive":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def store(self, dataset: pydicom.Dataset) -> None:
        add_line(self.log, f"{dataset.SeriesInstanceUID} {dataset.SOPInstanceUID}")


def content_of(series: str, uid: str) -> bytes:
    """A small DICOM file."""
    dataset = pydicom.Dataset()
    dataset.SeriesInstanceUID, dataset.SOPInstanceUID, dataset.SOPClassUID = series, uid, MR
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset, enforce_file_format=True)
    return file.getvalue()


def add_line(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(f"{text}\n")


def lines(log: Path) -> list[str]:
    if not log.exists():
        return []
    return log.read_text().splitlines()


def count(folder: Path, found: Counter[str]) -> None:
    """Add what arrived, and what is left."""
    for archive in ARCHIVES:
        taken = Counter(lines(folder / f"archive_{archive}"))
        found["again"] += sum(times - 1 for times in taken.values())
        maps = Counter(line.split()[0] for line in taken)  # an archive keeps a UID once
        found["series_lost"] += sum(maps[series] < len(MAPS) for series in SERIES)
        found["series_twice"] += sum(maps[series] > len(MAPS) for series in SERIES)
    node = folder / "node"
    left = [path for place in ("incoming", "results", "work") for path in (node / place).iterdir()]
    states = [Storage(node).entry(path.stem) for path in (node / "journal").iterdir()]
    is_done = [entry is not None and entry["state"] == "sent" for entry in states]
    found["left_behind"] += len(left) + (len(is_done) != len(SERIES) or not all(is_done))


if __name__ == "__main__":
    main()
