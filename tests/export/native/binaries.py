"""What the headers of shared libraries say, read far enough to see what a library shows and needs."""

from __future__ import annotations

import struct


def text_at(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()


class Elf:
    """A 64-bit ELF file (System V ABI, chapters 4 and 5)."""

    def __init__(self, content: bytes) -> None:
        assert content[:5] == b"\x7fELF\x02"
        self.content = content
        (self.machine,) = struct.unpack_from("<H", content, 18)
        (table,) = struct.unpack_from("<Q", content, 32)
        size, count = struct.unpack_from("<HH", content, 54)
        self.segments = [struct.unpack_from("<IIQQQQ", content, table + i * size) for i in range(count)]
        entries = next(s for s in self.segments if s[0] == 2)
        pairs = struct.iter_unpack("<QQ", content[entries[2] : entries[2] + entries[5]])
        self.dynamic = [pair for pair in pairs if pair[0]]
        self.strings = self._offset(self._tag(5))

    def _tag(self, tag: int) -> int:
        return next(value for name, value in self.dynamic if name == tag)

    def _offset(self, address: int) -> int:
        """Where an address of memory lies in the file."""
        loads = [s for s in self.segments if s[0] == 1 and s[3] <= address < s[3] + s[5]]
        return address - loads[0][3] + loads[0][2]

    def _symbols(self) -> list[tuple[str, bool]]:
        """Names of the dynamic symbols, and whether each is defined here."""
        (count,) = struct.unpack_from("<I", self.content, self._offset(self._tag(4)) + 4)  # chains: one for each
        table = self._offset(self._tag(6))
        rows = [struct.unpack_from("<IBBH", self.content, table + 24 * i) for i in range(1, count)]
        return [(text_at(self.content, self.strings + name), section != 0) for name, _, _, section in rows]

    def exports(self) -> list[str]:
        return [name for name, is_defined in self._symbols() if is_defined]

    def imports(self) -> list[str]:
        return [name for name, is_defined in self._symbols() if not is_defined]

    def needed(self) -> list[str]:
        return [text_at(self.content, self.strings + value) for name, value in self.dynamic if name == 1]


class Pe:
    """A 64-bit PE file (Microsoft's PE format)."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        (start,) = struct.unpack_from("<I", content, 0x3C)
        assert content[start : start + 4] == b"PE\0\0"
        self.machine, sections, self.time, _, _, optional = struct.unpack_from("<HHIIIH", content, start + 4)
        (magic,) = struct.unpack_from("<H", content, start + 24)
        assert magic == 0x20B
        self.directories = [struct.unpack_from("<II", content, start + 24 + 112 + 8 * i) for i in range(2)]
        first = start + 24 + optional
        self.sections = [struct.unpack_from("<8sIIII", content, first + 40 * i) for i in range(sections)]

    def _offset(self, address: int) -> int:
        _, _, begin, _, raw = next(s for s in self.sections if s[2] <= address < s[2] + s[1])
        return address - begin + raw

    def name(self) -> str:
        """What programs that were linked with it look for."""
        (name,) = struct.unpack_from("<I", self.content, self._offset(self.directories[0][0]) + 12)
        return text_at(self.content, self._offset(name))

    def exports(self) -> list[str]:
        table = self._offset(self.directories[0][0])
        count, _, names = struct.unpack_from("<III", self.content, table + 24)
        at = self._offset(names)
        pointers = struct.unpack_from(f"<{count}I", self.content, at)
        return [text_at(self.content, self._offset(pointer)) for pointer in pointers]

    def imports(self) -> list[int]:
        """The directory of imports: empty where nothing is imported."""
        return [] if self.directories[1] == (0, 0) else list(self.directories[1])
