"""The MRD server: equality with the file run, speed, damaged streams, leaks. Prints `name: value`.

    python benchmarks/mrd_server.py [--streams 1000] [--megabytes 1000] [--sessions 20]
    python benchmarks/mrd_server.py --streams 1000 --apart [--maps-of-every 5]

The server runs in this process and its sessions in processes of their own, on the loopback
interface. With --apart, sessions are forks of this process, which have the same limits and do the
same work, so that many can be tried. A damaged stream is a valid one, of readouts, images or
coefficients, with words of its header or bytes of a message changed, messages lost, repeated or
exchanged, or its end cut off. A count of 0 leaves its part out.

Leaks are those of a server of a process of its own, over so many sessions one after the other; the
process of every fourth of them is killed (-9) while its data come in.
"""

import argparse
import io
import itertools
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import nibabel as nib
import numpy as np
from fuzz.mutations import change_bytes, change_text

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from mrd_scans import (
    coefficient_images,
    write_coefficient_scan,
    write_image_scan,
    write_raw_scan,
)

from mrftool.environment.reporter import SilentReporter
from mrftool.errors import InputError
from mrftool.exporting.make import make_model
from mrftool.formats.coefficients.mrd import holds_coefficients, read_stored
from mrftool.formats.dicom.write.quantity import quantified, stored_image
from mrftool.formats.mrd.append import stored_images, stored_readouts
from mrftool.formats.mrd.read import open_raw
from mrftool.formats.open_scan import file_kind, open_scan
from mrftool.formats.sequence.mrd.header import read_header_text
from mrftool.inference.model.onnx_file import write_model
from mrftool.physics.simulate import simulate
from mrftool.quantities import quantity
from mrftool.sequence import Inversion, PulseSequence, Train
from mrftool.servers.mrd import quantification
from mrftool.servers.mrd.child import serve_session
from mrftool.servers.mrd.client import send_scan
from mrftool.servers.mrd.listen import serve
from mrftool.servers.mrd.messages import Connection, Kind, Readout
from mrftool.servers.mrd.service import Service, session_folder
from mrftool.tissue import Tissue
from mrftool.workflows.kspace.quantify_coefficients import (
    CoefficientScan,
    quantify_coefficient_scan,
)

HOST = "127.0.0.1"
NAVIGATOR = 1 << 22
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
        "--maps-of-every", type=int, default=1, help="with --apart: others are only opened"
    )
    parser.add_argument(
        "--apart", action="store_true", help="damaged streams alone, without the server's start"
    )
    options = parser.parse_args()
    if options.apart:
        damaged_apart(options)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scan = write_raw_scan(folder / "scan.mrd", short_sequence())
        service = Service(threads=1, seconds=options.seconds, silence=options.seconds)
        reporter = SilentReporter()
        port = started(service, reporter)
        print("loopback_equals_file:", equals_file(scan, port, folder))
        if options.megabytes:
            wall, processor = rates(scan, port, options.megabytes)
            print("megabytes_per_second_in:", round(wall))
            print("megabytes_per_processor_second_in:", round(processor))
        if options.sessions:
            leaks(scan, folder, options.sessions)
        if options.streams:
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
    several = sent(lambda connection: connection.send_readout(readout)) * 16
    count = int(megabytes * 1e6 / len(several))
    start, before = time.perf_counter(), processor_time()
    with socket.create_connection((HOST, port)) as sock:
        connection = Connection(sock, 1 << 20)
        connection.send_text(read_header_text(scan).decode(), Kind.HEADER)
        for _ in range(count):
            sock.sendall(several)
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


def leaks(scan: Path, folder: Path, sessions: int) -> None:
    """What a server of a process of its own holds after sessions, beyond what it held after three
    others; every fourth session is killed while its data come in.
    """
    place = folder / "temporary"
    place.mkdir()
    command = [sys.executable, "-m", "mrftool", "serve", "mrd", "--port", "0", "--threads", "1"]
    environment = {**os.environ, "TMPDIR": str(place)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stderr is not None
        port = int(server.stderr.readline().split()[-1])
        threading.Thread(target=server.stderr.read, daemon=True).start()
        for number in range(3):
            one_session(scan, server.pid, port, number)
        before = held(server.pid, place)
        for number in range(sessions):
            one_session(scan, server.pid, port, number)
        after = held(server.pid, place)
        server.terminate()
    print("sessions:", sessions)
    print("sessions_killed:", sum(is_killed(number) for number in range(sessions)))
    for name, value in after.items():
        print(f"{name}: {value}, more than after three sessions by {value - before[name]}")
    print("left_by_the_server:", len(list(place.iterdir())))


def one_session(scan: Path, server: int, port: int, number: int) -> None:
    """A whole session, or one whose process is killed after its header came."""
    if not is_killed(number):
        if len(send_scan(scan, HOST, port, SilentReporter()).images) != len(SERIES):
            raise RuntimeError("a session gave other images")
        return
    pieces = messages_of(scan)
    while children_of(server):  # of the session before
        time.sleep(0.05)
    with socket.create_connection((HOST, port), timeout=120) as sock:
        sock.sendall(b"".join(pieces[: len(pieces) // 2]))
        while not (children := children_of(server)):
            time.sleep(0.05)
        time.sleep(2)
        os.kill(children[0], signal.SIGKILL)
        while sock.recv(1 << 16):
            pass


def is_killed(number: int) -> bool:
    """Whether the session of this number is one that is killed."""
    return number % 4 == 1


def children_of(process: int) -> list[int]:
    """Processes that a process has started, by any of its threads."""
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").iterdir():
        with suppress(OSError):  # a thread that has ended
            found += map(int, (task / "children").read_text().split())
    return found


def held(server: int, place: Path) -> dict[str, int]:
    """What the server holds, and what its sessions may leave behind."""
    time.sleep(2)  # until the server has seen the last session end
    status = Path(f"/proc/{server}/status").read_text().splitlines()
    facts = {line.split(":")[0]: line.split()[1] for line in status if len(line.split()) > 1}
    return {
        "server_resident_kilobytes": int(facts["VmRSS"]),
        "server_anonymous_kilobytes": int(facts["RssAnon"]),
        "server_threads": int(facts["Threads"]),
        "server_open_files": len(list(Path(f"/proc/{server}/fd").iterdir())),
        "server_children": len(children_of(server)),
        "temporary_files": len(list(place.rglob("*"))),
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


def damaged_apart(options: argparse.Namespace) -> None:
    """Damaged streams, each to a whole session with its maps, in a process made by a fork.

    The process has what a session of the server has, and none of the start of Python.
    """
    ends: Counter[str] = Counter()
    largest, slowest = 0, 0.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "short.onnx"
        write_model(make_model(short_sequence(), tolerance=1e-3, check=False)[0], model)
        service = Service({"mrf": str(model)}, threads=1, silence=options.seconds)
        kinds = [messages_of(path) for path in small_scans(folder)]
        for pieces in kinds:
            whole = b"".join(pieces)
            print("whole_stream:", session_here(whole, service) or "answered")  # loads what it uses
            print(f"whole_stream_seconds: {session_apart(whole, service, options.seconds)[2]:.1f}")
        for number in range(options.first, options.first + options.streams):
            random = np.random.default_rng((1, number))
            content = change(random, kinds[number % len(kinds)])
            has_maps = number // len(kinds) % options.maps_of_every == 0
            end, megabytes, seconds = session_apart(content, service, options.seconds, has_maps)
            ends[end] += 1
            largest, slowest = max(largest, megabytes), max(slowest, seconds)
            if end not in ("answered", "refused"):
                print(f"stream {number}: {end}")
    print("damaged_streams:", options.streams)
    for end in ("answered", "refused", "died", "hung"):
        print(f"damaged_{end}:", ends[end])
    print("damaged_largest_megabytes:", largest)
    print(f"damaged_slowest_seconds: {slowest:.1f}")


def small_scans(folder: Path) -> list[Path]:
    """Raw data, images of time points, and coefficient images."""
    sequence = short_sequence()
    return [
        write_raw_scan(folder / "scan.mrd", sequence, samples=64),
        write_image_scan(folder / "images.mrd", short_images(folder)),
        write_coefficient_scan(folder / "few.mrd", coefficient_images(sequence), sequence),
    ]


def short_images(folder: Path) -> Path:
    """A small scan in NIfTI."""
    t1, t2 = np.meshgrid([0.5, 0.9, 1.4, 2.0], [0.05, 0.08, 0.11], indexing="ij")
    signal = simulate(short_sequence(), Tissue(t1.ravel(), t2.ravel())).signal
    path = folder / "images.nii"
    nib.save(nib.Nifti1Image(signal.reshape(4, 3, 1, -1).astype(np.complex64), np.eye(4)), path)
    return path


def session_apart(
    content: bytes, service: Service, seconds: float, has_maps: bool = True
) -> tuple[str, int, float]:
    """How a session ends, the memory that its process took [MB], and its time [s]."""
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        signal.alarm(int(seconds))
        sys.stdout = sys.stderr = io.StringIO()
        resource.setrlimit(resource.RLIMIT_DATA, (service.most_memory, service.most_memory))
        if not has_maps:
            quantification.quantify_incoming = only_opened
        end = 1
        try:
            end = 2 if session_here(content, service) is None else 3
        finally:
            os._exit(end)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - start
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
        end = "hung"
    else:
        end = {2: "answered", 3: "refused"}.get(os.waitstatus_to_exitcode(status), "died")
    return end, usage.ru_maxrss // 1024, seconds


def only_opened(work: quantification.Work, reporter: object) -> NoReturn:
    """In place of the quantification: what came in is opened as a scan."""
    if holds_coefficients(work.path):
        read_stored(work.path)
    elif file_kind(work.path) == "MRD images":
        open_scan(work.path)
    else:
        open_raw(work.path)
    raise InputError("no maps are made of this one")


def session_here(content: bytes, service: Service) -> str | None:
    """What a session says of a stream."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(service.silence)
    sender = threading.Thread(target=send_all, args=(ours, content))
    sender.start()
    try:
        with session_folder(service) as folder:
            return serve_session(theirs, service, folder)
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
    """The messages of a valid stream, of readouts or images."""
    header = read_header_text(scan).decode()
    return [
        sent(lambda connection: connection.send_config_name("mrf")),
        sent(lambda connection: connection.send_text(header, Kind.HEADER)),
        *(
            sent(lambda connection, parts=parts: connection.send_readout(Readout(*parts)))
            for parts in stored_readouts(scan)
        ),
        *(
            sent(lambda connection, image=image: connection.send_image(image))
            for image in stored_images(scan)
        ),
        sent(Connection.send_close),
    ]


def sent(send: Callable[[Connection], None]) -> bytes:
    """What a connection sends."""
    ours, theirs = socket.socketpair()
    with theirs, theirs.makefile("rb") as stream:
        connection = Connection(ours, 1)
        send(connection)
        connection.close()
        return stream.read()


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
