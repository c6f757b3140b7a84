"""The server: accepts connections, and gives each a process of its own."""

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mrftool.environment.child_process import python_command, python_environment
from mrftool.environment.reporter import Reporter
from mrftool.errors import InputError
from mrftool.servers.mrd.messages import Kind
from mrftool.servers.mrd.service import Service, session_folder

_CHILD = "mrftool.servers.mrd.child"
_BACKLOG = 16
_LONGEST_FAULT = 500
_PAUSE = 0.5  # after a connection could not be accepted [s]
_PATIENCE = 5.0  # with sessions that were ended [s]
# A machine that lost its power says nothing: it is asked after 30 s of silence, three times.
_KEEP_ALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Server:
    """Sessions at an open port.

    Parameters
    ----------
    listening
        Bound and listening.
    service
        What each session may do.
    jobs
        Sessions at a time; others wait until one ends.
    reporter
        Hears how each session ended.

    """

    def __init__(
        self, listening: socket.socket, service: Service, jobs: int, reporter: Reporter
    ) -> None:
        self._listening = listening
        self._service = service
        self._free = threading.Semaphore(jobs)
        self._reporter = reporter
        self._children: set[subprocess.Popen[str]] = set()

    def run(self, sessions: int | None = None) -> None:
        """Serve until interrupted, or so many sessions."""
        threads: list[threading.Thread] = []
        count = 0
        try:
            while sessions is None or count < sessions:
                self._free.acquire()
                peer, address = self._accept()
                count += 1
                thread = threading.Thread(target=self._serve, args=(peer, address), daemon=True)
                thread.start()
                threads = [other for other in threads if other.is_alive()]
                threads.append(thread)
            for thread in threads:
                thread.join()
        finally:
            for child in tuple(self._children):
                child.kill()
            for thread in threads:  # each removes what came in
                thread.join(_PATIENCE)

    def _accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """The next connection. One that is gone already, or a lack of file descriptors, does not
        end the server.
        """
        while True:
            try:
                return self._listening.accept()
            except OSError as error:
                if self._listening.fileno() < 0:
                    raise
                self._reporter.note(f"a connection could not be accepted: {error.strerror}")
                time.sleep(_PAUSE)

    def _serve(self, peer: socket.socket, address: tuple[str, int]) -> None:
        """One session, from its connection to its end."""
        who = f"{address[0]}:{address[1]}"
        try:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            _keep_alive(peer)
            with session_folder(self._service) as folder:
                fault = self._run_child(peer, folder)
            self._reporter.note(f"{who}: {fault or 'served'}")
        except OSError as error:
            _tell(peer, f"the session could not be started: {error.strerror}")
            self._reporter.note(f"{who}: {error.strerror}")
        finally:
            with suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
            peer.close()
            self._free.release()

    def _run_child(self, peer: socket.socket, folder: Path) -> str | None:
        """Run the process of a session; what went wrong."""
        arguments = str(peer.fileno()), self._service.to_text(), str(folder), str(os.getpid())
        command = python_command(_CHILD, *arguments)
        with subprocess.Popen(  # noqa: S603
            command,
            env=python_environment({"TMPDIR": str(folder)}),
            pass_fds=[peer.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            errors="replace",
        ) as child:
            self._children.add(child)
            try:
                output, _ = child.communicate(timeout=self._service.seconds)
            except subprocess.TimeoutExpired:
                child.kill()
                _tell(peer, f"the session took more than {self._service.seconds:g} s")
                return f"ended after {self._service.seconds:g} s"
            finally:
                self._children.discard(child)
        if child.returncode in (0, 3):
            return output.strip()[:_LONGEST_FAULT] or None
        _tell(peer, "the process of this session died")
        return f"its process ended with {child.returncode}"


def serve(
    host: str,
    port: int,
    service: Service,
    reporter: Reporter,
    *,
    jobs: int = 1,
    sessions: int | None = None,
    ready: Callable[[int], None] = lambda port: None,
) -> None:
    """Listen and serve until interrupted.

    Parameters
    ----------
    host
        Address to listen at.
    port
        Number of the port; 0 takes a free one.
    service
        What each session may do.
    reporter
        Hears how each session ended.
    jobs
        Sessions at a time.
    sessions
        How many to serve; None for no end.
    ready
        Told the port as soon as connections are accepted.

    Raises
    ------
    InputError
        If the address cannot be listened at.

    """
    try:
        listening = socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"{host}:{port}: {error.strerror}, expected a free port here") from error
    with listening:
        ready(listening.getsockname()[1])
        Server(listening, service, jobs, reporter).run(sessions)


def _keep_alive(peer: socket.socket) -> None:
    """Notice when the machine at the other side is gone, as soon as the system lets us."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):
            peer.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _tell(peer: socket.socket, text: str) -> None:
    """Tell the other side why its session ends."""
    body = f"mrftool: {text}".encode()
    with suppress(OSError):
        peer.settimeout(1.0)
        peer.sendall(struct.pack("<HI", Kind.TEXT, len(body)) + body)
        peer.sendall(struct.pack("<H", Kind.CLOSE))
