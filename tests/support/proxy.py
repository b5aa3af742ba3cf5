"""A TCP proxy on this machine whose connections can fall silent, as those to a host that vanished."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

Pair = tuple[socket.socket, socket.socket]


class Proxy:
    """Passes on what comes to `port`; `silence` leaves the connections of that moment open and mute."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._pairs: set[Pair] = set()
        self._mute: set[Pair] = set()
        self._unheard: list[socket.socket] = []
        self._is_cut = self._is_deaf = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> Self:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for pair in list(self._pairs):
            self._end(pair)
        for each in self._unheard:
            each.close()
        self._accepting.join(5)

    def silence(self) -> int:
        """Pass nothing on any more for those who are connected now; how many they are."""
        muted = self._pairs - self._mute
        self._mute |= muted
        for _, there in muted:
            with contextlib.suppress(OSError):
                there.shutdown(socket.SHUT_RDWR)
        return len(muted)

    def cut(self) -> None:
        """End every connection, and let nobody connect, until `mend`."""
        self._is_cut = True
        for pair in list(self._pairs):
            self._end(pair)

    def swallow(self) -> None:
        """Leave every connection open and mute, new ones too, until `mend`."""
        self._is_deaf = True
        self.silence()

    def mend(self) -> None:
        """Let everybody connect again. Connections that are mute stay so."""
        self._is_cut = self._is_deaf = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                if self._is_cut:
                    here.close()
                elif self._is_deaf:
                    self._unheard.append(here)
                else:
                    self._connect(here)

    def _connect(self, here: socket.socket) -> None:
        try:
            there = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            here.close()
            return
        pair = (here, there)
        self._pairs.add(pair)
        for one, other in (pair, pair[::-1]):
            threading.Thread(target=self._pump, args=(one, other, pair), daemon=True).start()

    def _pump(self, one: socket.socket, other: socket.socket, pair: Pair) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if pair in self._mute:
                    return
                other.sendall(data)
        if pair not in self._mute:
            self._end(pair)

    def _end(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        for each in pair:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
