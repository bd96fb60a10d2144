"""A notebook server for the browser tests: started on a free port, waited for, and ended with its kernels."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil

#: A server that has not answered after this long is not going to; a loaded two-core machine needs about 15 s.
START_SECONDS = 120


class Server:
    """A process that answers on ``url`` within the block, with its files in a folder of its own."""

    name: str  # in messages

    def __init__(self, browser: Any, folder: Path):
        self.browser, self.folder = browser, folder
        self.log = folder / "server.log"

    def command(self) -> list[str]:
        """What starts the server on ``self.port``."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """The server's variables, which keep it from the user's own settings."""
        raise NotImplementedError

    def ask(self) -> None:
        """Ask the server anything; OSError as long as it does not answer."""
        raise NotImplementedError

    @property
    def work(self) -> Path:
        """The folder that the server starts in."""
        return self.folder

    def __enter__(self) -> Any:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        with self.log.open("wb") as log:
            self.process = psutil.Popen(
                self.command(),
                cwd=self.work,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_it_answers()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the server and every kernel it started, also those that do not answer."""
        if not self.process.is_running():
            return
        family = [*self.process.children(recursive=True), self.process]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()
        psutil.wait_procs(left, timeout=5)

    def _wait_until_it_answers(self) -> None:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                self.ask()
                return
            with contextlib.suppress(psutil.TimeoutExpired):
                self.process.wait(timeout=0.1)
                break  # it ended by itself
        raise RuntimeError(f"{self.name} did not start; its log ends:\n{self.log.read_text(errors='replace')[-3000:]}")
