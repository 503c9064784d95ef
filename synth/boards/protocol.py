"""What a host and a board say to each other over a serial line.

A command is SYNC_COMMAND, sequence number, operation, words, address (4 bytes), the words of a write (4 bytes
each), CRC; an answer is SYNC_ANSWER, sequence number, status, words, the words of a read, CRC. Numbers are
little endian; the CRC (CCITT, 16 bits, from 0xFFFF, over all but the first byte) is sent high byte first. A
damaged command, and one of more than MAX_WORDS, gets no answer. A write that is repeated with the sequence
number of the command before is answered again and not done again, so that a host may repeat what got no
answer.
"""

import binascii
import enum

__all__ = ["CRC_START", "IRQ_BIT", "MAX_WORDS", "PROTOCOL_VERSION", "SYNC_ANSWER", "SYNC_COMMAND", "Info",
           "Operation", "Status", "crc"]

PROTOCOL_VERSION = 1
SYNC_COMMAND = 0xC3
SYNC_ANSWER = 0x3C
MAX_WORDS = 64
"""Words of 32 bits in one command or answer."""
IRQ_BIT = 7
"""Of an answer's status: the array's interrupt."""
CRC_START = 0xFFFF


class Operation(enum.IntEnum):
    INFO = 0            # the words of `Info`
    READ_REGISTER = 1   # of the array, `words` from `address` on
    WRITE_REGISTER = 2
    READ_MEMORY = 3
    WRITE_MEMORY = 4


class Status(enum.IntEnum):
    OK = 0
    BUS_ERROR = 1       # the control port or the memory answered with an error
    UNKNOWN = 2         # no such operation


class Info(enum.IntEnum):
    """Order of the words that INFO gives."""

    VERSION = 0
    CLOCK_HZ = 1
    MEMORY_BYTES = 2
    CYCLES_LOW = 3      # since the board's reset
    CYCLES_HIGH = 4


def crc(data: bytes) -> int:
    """Of all bytes of a frame between its first one and the CRC."""
    return binascii.crc_hqx(data, CRC_START)
