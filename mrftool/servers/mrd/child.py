"""The process of one session: the socket and the settings come from the server."""

import resource
import shutil
import socket
import sys
from contextlib import suppress
from pathlib import Path

from mrftool.environment.child_process import end_with
from mrftool.errors import MrftoolError
from mrftool.servers.mrd.messages import Connection
from mrftool.servers.mrd.service import Service
from mrftool.servers.mrd.session import Session


def serve_session(sock: socket.socket, service: Service, folder: Path) -> str | None:
    """Run a session to its end; what went wrong, which the other side was told too.

    What comes in is kept in `folder`.
    """
    sock.settimeout(service.silence)
    connection = Connection(sock, service.most_bytes)
    fault = None
    try:
        Session(connection, service, folder).run()
    except MrftoolError as error:
        fault = str(error)
    except MemoryError:
        fault = f"not enough memory: a session may take {service.most_memory >> 20} MB"
    except OSError as error:
        fault = f"{type(error).__name__}: {error.strerror or error}"
    with suppress(OSError):
        if fault is not None:
            connection.send_text(f"mrftool: {fault}")
        connection.send_close()
    _end(sock, connection)
    return fault


def _end(sock: socket.socket, connection: Connection) -> None:
    """Close in order: the other side reads all that was sent before it sees the end."""
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        sock.settimeout(1.0)
        for _ in range(1000):
            if not sock.recv(1 << 16):
                break
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
    connection.close()


def main() -> int:
    """Arguments: number of the socket, settings of the session, its folder, number of the server's
    process.
    """
    service, folder = Service.from_text(sys.argv[2]), Path(sys.argv[3])

    def tidy() -> None:
        if service.save is None:
            shutil.rmtree(folder, ignore_errors=True)

    end_with(int(sys.argv[4]), tidy)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (service.most_memory, before[1]))
    fault = serve_session(socket.socket(fileno=int(sys.argv[1])), service, folder)
    if fault is None:
        return 0
    print(fault)  # noqa: T201  the server reads it
    return 3


if __name__ == "__main__":
    sys.exit(main())
