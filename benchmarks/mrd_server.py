"""The MRD server: equality with the file run, speed, damaged streams, leaks. Prints `name: value`.

    python benchmarks/mrd_server.py [--streams 1000] [--megabytes 1000] [--sessions 20]

The server runs in this process and its sessions in processes of their own, on the loopback
interface. A damaged stream is a valid one with words of its header or bytes of a message changed,
messages lost, repeated or exchanged, or its end cut off.
"""

import argparse
import itertools
import resource
import socket
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import numpy as np
from fuzz.mutations import change_bytes, change_text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from mrd_scans import write_raw_scan

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.formats.dicom.write.quantity import quantified, stored_image
from mrftool.formats.mrd.append import stored_readouts
from mrftool.formats.sequence.mrd.header import read_header_text
from mrftool.quantities import quantity
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.servers.mrd import quantification
from mrftool.servers.mrd.child import serve_session
from mrftool.servers.mrd.client import send_scan
from mrftool.servers.mrd.listen import serve
from mrftool.servers.mrd.messages import Connection, Kind, Readout
from mrftool.servers.mrd.service import Service
from mrftool.workflows.kspace.quantify_coefficients import (
    CoefficientScan,
    quantify_coefficient_scan,
)

HOST = "127.0.0.1"
NAVIGATOR = 1 << 22
WITHOUT_MAPS = "no maps are made here"
SERIES = {"t1": 101, "t2": 102, "sd_t1": 103, "sd_t2": 104, "m0": 105}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first stream")
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=120, help="after which a session hangs")
    parser.add_argument(
        "--fake", action="store_true", help="damaged streams alone, in this process, without maps"
    )
    options = parser.parse_args()
    if options.fake:
        damaged_here(options)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = write_raw_scan(folder / "scan.mrd", short_sequence())
        service = Service(threads=1, seconds=options.seconds, silence=options.seconds)
        reporter = SilentReporter()
        port = started(service, reporter)
        print("loopback_equals_file:", equals_file(scan, port, folder))
        wall, processor = rates(scan, port, options.megabytes)
        print("megabytes_per_second_in:", round(wall))
        print("megabytes_per_processor_second_in:", round(processor))
        leaks(scan, port, options.sessions)
        damaged(scan, port, options, reporter)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print("largest_session_megabytes:", peak // 1024)


def short_sequence() -> PulseSequence:
    """Forty pulses that tell T1 from T2."""
    flips = np.deg2rad(5 + 55 * np.sin(np.pi * np.arange(40) / 40))
    zeros, tr, te = np.zeros(40), np.full(40, 0.012), np.full(40, 0.003)
    return PulseSequence(flips, zeros, tr, te, Train(Inversion(1.0, 0.02)).events, name="short")


def started(service: Service, reporter: SilentReporter) -> int:
    """Port of a server in a thread of this process."""
    found: list[int] = []
    ready = threading.Event()

    def tell(port: int) -> None:
        found.append(port)
        ready.set()

    arguments = (HOST, 0, service, reporter)
    threading.Thread(
        target=serve, args=arguments, kwargs={"ready": tell, "jobs": 2}, daemon=True
    ).start()
    ready.wait()
    return found[0]


def equals_file(scan: Path, port: int, folder: Path) -> bool:
    """Whether the maps of a session are those of the file, to the bit."""
    answer = send_scan(scan, HOST, port, SilentReporter())
    files = quantify_coefficient_scan(
        CoefficientScan(scan, threads=1), folder / "maps", SilentReporter()
    )
    same = len(answer.images) == len(SERIES)
    for name, image in files.maps.images():
        for found in answer.images:
            if found.series == SERIES.get(name):
                expected = stored_image(quantified(name, image, quantity(name).unit.name))
                same &= np.array_equal(found.values[0, 0].T, expected.integers[:, :, 0])
    return same


def rates(scan: Path, port: int, megabytes: int) -> tuple[float, float]:
    """Data that a session takes and writes to disk, with the start of its process: MB for each
    second of the clock, and of the session's processor time.

    The readouts are navigators: they are kept, and not reconstructed. 8 coils, 800 samples.
    """
    (head, *_), *_ = itertools.islice(stored_readouts(scan), 1, 2)
    head = head.copy()
    head["flags"], head["number_of_samples"], head["active_channels"] = NAVIGATOR, 800, 8
    head["trajectory_dimensions"] = 2
    values = np.zeros(2 * 800 * 8, np.float32)
    readout = Readout(head, np.zeros(2 * 800, np.float32), values)
    count = int(megabytes * 1e6 / (values.nbytes + readout.trajectory.nbytes))
    start, before = time.perf_counter(), processor_time()
    with socket.create_connection((HOST, port)) as sock:
        connection = Connection(sock, 1 << 20)
        connection.send_text(read_header_text(scan).decode(), Kind.HEADER)
        for _ in range(count):
            connection.send_readout(readout)
        connection.send_close()
        list(connection.messages())
        connection.close()
    wall = time.perf_counter() - start
    time.sleep(1)  # until the server has seen its process end
    return megabytes / wall, megabytes / (processor_time() - before)


def processor_time() -> float:
    """Of all sessions that have ended [s]."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def leaks(scan: Path, port: int, sessions: int) -> None:
    """What is left after sessions, beyond what was there after three others."""
    for _ in range(min(sessions, 3)):
        send_scan(scan, HOST, port, SilentReporter())
    before = held()
    for _ in range(sessions):
        send_scan(scan, HOST, port, SilentReporter())
    after = held()
    print("sessions:", sessions)
    for name, value in after.items():
        print(f"more_{name}:", value - before[name])


def held() -> dict[str, int]:
    """What this process holds, and what sessions may leave behind."""
    time.sleep(5)  # until the server has seen the last session end
    status = Path("/proc/self/status").read_text()
    anonymous = next(line for line in status.splitlines() if line.startswith("RssAnon"))
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "folders": len(list(Path(tempfile.gettempdir()).glob("mrftool-*"))),
        "kilobytes": int(anonymous.split()[1]),
    }


def damaged(scan: Path, port: int, options: argparse.Namespace, reporter: SilentReporter) -> None:
    """Send damaged streams; count what became of them."""
    ends = {"answered": 0, "refused": 0, "hung": 0}
    already = len(reporter.notes)
    pieces = messages_of(scan)
    for number in range(options.first, options.first + options.streams):
        random = np.random.default_rng((1, number))
        content = change(random, pieces)
        answer = exchange(content, port, options.seconds + 30)
        if answer is None:
            ends["hung"] += 1
        elif struct.pack("<H", Kind.IMAGE) + b"\1\0" in answer:
            ends["answered"] += 1
        else:
            ends["refused"] += 1
    print("damaged_streams:", options.streams)
    for name, count in ends.items():
        print(f"damaged_{name}:", count)
    remarks = reporter.notes[already:]
    died = [
        remark for remark in remarks if "its process ended" in remark or "ended after" in remark
    ]
    print("damaged_sessions_that_died:", len(died))
    for remark in sorted({text.partition(": ")[2] for text in died}):
        print("  ", remark)
    whole = exchange(b"".join(pieces), port, options.seconds + 30)
    print("served_after_them:", whole is not None and len(whole) > 1000)


def damaged_here(options: argparse.Namespace) -> None:
    """Damaged streams to sessions in this process that store what comes and make no maps.

    Shows what the protocol and the file of a session do with them, many in a short time.
    """
    quantification.quantify_incoming = without_maps
    ends: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        pieces = messages_of(write_raw_scan(Path(name) / "scan.mrd", short_sequence()))
        service = Service(silence=options.seconds)
        slowest = 0.0
        for number in range(options.first, options.first + options.streams):
            content = change(np.random.default_rng((1, number)), pieces)
            start = time.process_time()
            try:
                fault = session_here(content, service)
                ends["complete" if fault == WITHOUT_MAPS else "refused"] += 1
            except Exception as error:
                ends[f"crashed with {type(error).__name__}"] += 1
            slowest = max(slowest, time.process_time() - start)
    print("fake_streams:", options.streams)
    for name, count in ends.items():
        print(f"fake_{name}:", count)
    print(f"fake_slowest_processor_seconds: {slowest:.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("fake_largest_megabytes:", peak // 1024)


def without_maps(work: object, reporter: object) -> NoReturn:
    """In place of the quantification."""
    raise InputError(WITHOUT_MAPS)


def session_here(content: bytes, service: Service) -> str | None:
    """What a session says of a stream."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(service.silence)
    sender = threading.Thread(target=send_all, args=(ours, content))
    sender.start()
    try:
        return serve_session(theirs, service)
    finally:
        sender.join()
        ours.close()


def send_all(sock: socket.socket, content: bytes) -> None:
    with suppress(OSError):
        sock.sendall(content)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(1 << 16):
            pass


def messages_of(scan: Path) -> list[bytes]:
    """The messages of a valid stream."""
    ours, theirs = socket.socketpair()
    pieces = []
    with ours, theirs, theirs.makefile("rb") as stream:
        connection = Connection(ours, 1)

        def sent(send: object, *arguments: object) -> None:
            send(*arguments)  # type: ignore[operator]
            theirs.setblocking(False)
            pieces.append(stream.read())

        sent(connection.send_config_name, "mrf")
        sent(connection.send_text, read_header_text(scan).decode(), Kind.HEADER)
        for readout in stored_readouts(scan):
            sent(connection.send_readout, Readout(*readout))
        sent(connection.send_close)
        connection.close()
    return pieces


def change(random: np.random.Generator, pieces: list[bytes]) -> bytes:
    """A damaged stream."""
    pieces = list(pieces)
    kind = random.random()
    if kind < 0.3:
        text = change_text(random, pieces[1][6:].decode()).encode()
        pieces[1] = struct.pack("<HI", Kind.HEADER, len(text)) + text
    elif kind < 0.75:
        place = int(random.integers(len(pieces)))
        pieces[place] = change_bytes(random, pieces[place], 360)
    elif kind < 0.85:
        place, other = (int(random.integers(len(pieces))) for _ in range(2))
        pieces[place] = random.choice([b"", pieces[place] * 2, pieces[other]])
    else:
        whole = b"".join(pieces)
        return whole[: int(random.integers(len(whole)))]
    return b"".join(pieces)


def exchange(content: bytes, port: int, patience: float) -> bytes | None:
    """What the server answers to a stream; None if it does not end."""
    with socket.create_connection((HOST, port), timeout=patience) as sock:
        answer = bytearray()
        try:
            sock.sendall(content)
            sock.shutdown(socket.SHUT_WR)
            while received := sock.recv(1 << 16):
                answer += received
        except TimeoutError:
            return None
        except OSError:
            pass  # it had said enough
        return bytes(answer)


if __name__ == "__main__":
    main()
