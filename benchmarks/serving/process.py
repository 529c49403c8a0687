"""A server in a process of its own."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from urllib.request import urlopen


class Server:
    """``twinrank serve`` with the network that comes along, on a free port of this machine.

    Attributes:
        address: Host and port.
        process: The process.
    """

    def __enter__(self) -> "Server":
        command = [sys.executable, "-m", "twinrank", "serve", "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.process.stdout.readline()
        host, _, port = self.process.stdout.readline().split()[0].removeprefix("http://").rstrip("/").partition(":")
        self.address = host, int(port)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()
        self.process.wait(60)

    @property
    def memory(self) -> float:
        """Resident memory of the server and of the process of its networks, in MiB."""
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text(encoding="ascii").split()
        return sum(_resident(pid) for pid in (own, *children))

    def get(self, path: str) -> str:
        """A page."""
        host, port = self.address
        with urlopen(f"http://{host}:{port}/{path}", timeout=60) as answer:
            return answer.read().decode()


def _resident(pid: int | str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024
