"""The memory between the loop and the disk: rows wait in it until the drain thread has written them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from daenr_export.loop.log.records import PACK_ROW, ROW


class Ring:
    """A preallocated ring of rows: any thread appends, one thread takes.

    Positions count up for ever and are taken modulo the capacity. Appending threads share a lock, which is held for
    a microsecond and never while anything is written; the taking thread needs none, because it alone moves the tail.

    Attributes:
        lost: rows that found the ring full or closed, or whose values do not fit a row.
        misfit: the first error of a row whose values do not fit; None while there is none.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        room = np.empty(capacity, ROW).view(np.uint8)
        room.fill(0)  # the system hands out memory when it is first written to: now, not when a frame arrives
        self._bytes = memoryview(room.data)
        self._head = self._tail = 0
        self._lock = threading.Lock()
        self._open = True
        self.lost = 0
        self.misfit: str | None = None

    def append(self, *values: object) -> None:
        """Add a row: values in the order of `ROW`. Never raises."""
        with self._lock:
            head = self._head
            if head - self._tail >= self._capacity or not self._open:
                self.lost += 1
                return
            try:
                PACK_ROW(self._bytes, head % self._capacity * ROW.itemsize, *values)
            except Exception as error:
                self.lost += 1
                self.misfit = self.misfit or f"a row does not fit the log ({error})"
                return
            self._head = head + 1

    def peek(self, most: int) -> Sequence[memoryview]:
        """The bytes of the oldest rows, at most so many, in one piece or two. They stay until they are released."""
        first, last = self._tail, min(self._head, self._tail + most)
        begin, end = first % self._capacity, first % self._capacity + last - first
        pieces = [(begin, min(end, self._capacity)), (0, end - self._capacity)]
        return [self._bytes[a * ROW.itemsize : b * ROW.itemsize] for a, b in pieces if b > a]

    def release(self, rows: int) -> None:
        """Give the room of the oldest rows back."""
        self._tail += rows

    def close(self) -> None:
        """Take no more rows: later ones are lost."""
        with self._lock:
            self._open = False

    def give_up(self, rows: int) -> None:
        """Count rows as lost that were taken and cannot be written, and all that still wait."""
        with self._lock:
            self.lost += rows + self._head - self._tail
            self._tail = self._head

    def abandon(self) -> None:
        """In a forked child: the rows are the parent's, and the lock may be held by a thread that is not here."""
        self._lock = threading.Lock()
        self._open = False
        self._tail = self._head
