"""The host's end of a serial line, against a stand-in for a board that answers as no good board would."""

import os
import pty
import struct
import threading
import tty
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim.transport import TransportError, TransportTimeout
from synth.boards.protocol import (
    IRQ_BIT,
    PROTOCOL_VERSION,
    SYNC_ANSWER,
    Operation,
    Status,
    crc,
)
from synth.boards.serial_transport import SerialTransport

CLOCK_HZ = 40_000_000
MEMORY_BYTES = 1 << 15
_HEAD = struct.Struct("<BBBBI")
_CRC_BYTES = 2
_WRITES = (Operation.WRITE_REGISTER, Operation.WRITE_MEMORY)

pytestmark = pytest.mark.timeout(60)


class Board:
    """Answers by `answer`, which tests replace; nothing at all where that gives None.

    Reads give words of 7; the cycles go on by `step` from one INFO to the next.
    """

    def __init__(self) -> None:
        self.master, self._slave = pty.openpty()
        tty.setraw(self._slave)  # held open, so that hosts may come and go
        self.port = os.ttyname(self._slave)
        self.cycles, self.step = 1000, 1000
        self.irq = False
        self.answer: Callable[[Operation, int], tuple[int, Sequence[int]] | None] = self.good
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def info(self) -> list[int]:
        self.cycles += self.step
        return [PROTOCOL_VERSION, CLOCK_HZ, MEMORY_BYTES, self.cycles & 0xFFFF_FFFF, self.cycles >> 32]

    def good(self, operation: Operation, words: int) -> tuple[int, Sequence[int]]:
        if operation == Operation.INFO:
            return Status.OK, self.info()[:words]
        return Status.OK, [] if operation in _WRITES else [7] * words

    def _serve(self) -> None:
        received = b""
        while True:
            try:
                received += os.read(self.master, 4096)
            except OSError:
                return  # closed
            while len(received) >= _HEAD.size:
                _, sequence, operation, words, _ = _HEAD.unpack_from(received)
                size = _HEAD.size + 4 * words * (operation in _WRITES) + _CRC_BYTES
                if len(received) < size:
                    break
                received = received[size:]
                answered = self.answer(Operation(operation), words)
                if answered is not None:
                    self._send(sequence, *answered)

    def _send(self, sequence: int, status: int, values: Sequence[int]) -> None:
        body = bytes([sequence, status | self.irq << IRQ_BIT, len(values)])
        body += struct.pack(f"<{len(values)}I", *values)
        os.write(self.master, bytes([SYNC_ANSWER]) + body + struct.pack(">H", crc(body)))

    def close(self) -> None:
        os.close(self._slave)
        # What waits for commands ends with an error once nobody has the other end.
        self._thread.join(5)
        os.close(self.master)


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board()
    yield made
    made.close()


@contextmanager
def connected(board: Board) -> Iterator[SerialTransport]:
    with SerialTransport(board.port) as transport:
        yield transport


# ---- ports ----


def test_a_port_is_refused_while_another_host_has_it(board: Board) -> None:
    with connected(board), pytest.raises(TransportError) as caught:
        SerialTransport(board.port)
    assert str(caught.value) == f"serial port {board.port} is in use by another process"


def test_a_port_is_free_again_when_its_host_has_closed_it(board: Board) -> None:
    for _ in range(2):
        with connected(board) as transport:
            assert transport.memory_bytes == MEMORY_BYTES


def test_a_file_and_a_device_that_are_no_serial_port_are_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for port in ("/dev/null", str(tmp_path / "file"), str(tmp_path)):
        with pytest.raises(TransportError) as caught:
            SerialTransport(port)
        assert str(caught.value) == f"{port} is no serial port"


def test_a_missing_port_is_named_once() -> None:
    with pytest.raises(TransportError) as caught:
        SerialTransport("/dev/nowhere")
    assert str(caught.value) == "serial port /dev/nowhere does not open: No such file or directory"


def test_what_answers_in_other_words_is_no_silent_board(board: Board,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "_send", lambda *answer: os.write(board.master, b"login: "))
    with pytest.raises(TransportTimeout, match="gave no good answer to INFO in 5 tries, though 35 bytes "
                                               "came; is it this board's port"):
        SerialTransport(board.port)


# ---- words of an answer ----


@pytest.mark.parametrize("given", [0, 1, 3, 64])
def test_a_read_that_is_answered_with_another_number_of_words_is_an_error(board: Board, given: int) -> None:
    with connected(board) as transport:
        board.answer = lambda operation, words: (Status.OK, [7] * given)
        with pytest.raises(TransportTimeout) as caught:
            transport.read_memory(0, 8)
    assert str(caught.value).startswith(f"the board on {board.port} gave no good answer to READ_MEMORY in 5 "
                                        f"tries: {given} words in place of 2")


def test_a_write_that_is_answered_with_words_is_an_error(board: Board) -> None:
    with connected(board) as transport:
        board.answer = lambda operation, words: (Status.OK, [7])
        with pytest.raises(TransportTimeout, match="WRITE_REGISTER in 5 tries: 1 words in place of 0"):
            transport.write_register(0, 1)


def test_an_answer_with_another_number_of_words_is_asked_for_again(board: Board) -> None:
    answers = iter([(Status.OK, [1]), (Status.OK, [1, 2, 3]), (Status.OK, [5, 6])])
    with connected(board) as transport:
        board.answer = lambda operation, words: next(answers)
        assert transport.read_memory(0, 8) == struct.pack("<2I", 5, 6)
        assert transport.repeated == 2


def test_an_info_of_this_version_that_is_too_short_is_an_error(board: Board) -> None:
    board.answer = lambda operation, words: (Status.OK, board.info()[:2])
    with pytest.raises(TransportTimeout, match="no good answer to INFO in 5 tries: 2 words in place of 5"):
        SerialTransport(board.port)


@pytest.mark.parametrize("words", [1, 3, 7])
def test_another_version_of_the_protocol_is_named_whatever_its_info_holds(board: Board, words: int) -> None:
    board.answer = lambda operation, asked: (Status.OK, [PROTOCOL_VERSION + 1] * words)
    with pytest.raises(TransportError, match=f"speaks version {PROTOCOL_VERSION + 1} of the protocol"):
        SerialTransport(board.port)


# ---- waiting ----


def test_a_board_that_interrupts_ends_the_wait(board: Board) -> None:
    with connected(board) as transport:
        board.irq = True
        transport.wait_interrupt()


def test_a_board_without_an_interrupt_is_named(board: Board) -> None:
    with connected(board) as transport, pytest.raises(TransportTimeout) as caught:
        transport.wait_interrupt(5000)
    assert str(caught.value) == f"the board on {board.port} gave no interrupt in 5000 cycles"


def test_cycles_pass_until_there_were_as_many_as_asked_for(board: Board) -> None:
    with connected(board) as transport:
        before = board.cycles
        transport.run_cycles(5000)
        assert 5000 <= board.cycles - before <= 5000 + 2 * board.step


@pytest.mark.parametrize("wait", [SerialTransport.wait_interrupt, lambda transport: transport.run_cycles(10)],
                         ids=["wait_interrupt", "run_cycles"])
def test_a_board_whose_cycles_stand_still_ends_what_waits_for_them(
        board: Board, wait: Callable[[SerialTransport], None]) -> None:
    with connected(board) as transport:
        board.step = 0
        with pytest.raises(TransportTimeout) as caught:
            wait(transport)
    assert str(caught.value).startswith(f"the board on {board.port} answers, but its cycles have stood still "
                                        f"at {board.cycles:,} for ")


def test_a_board_whose_cycles_go_on_now_and_then_is_waited_for(board: Board) -> None:
    with connected(board) as transport:
        looks = 0

        def now_and_then(operation: Operation, words: int) -> tuple[int, Sequence[int]]:
            nonlocal looks
            looks += 1
            board.step = 1 if looks % 3 == 0 else 0
            return board.good(operation, words)

        board.answer = now_and_then
        # Longer altogether than a board is given that stands still.
        transport.run_cycles(12)
        assert looks >= 30


def test_a_board_that_begins_anew_ends_what_waits_for_it(board: Board) -> None:
    with connected(board) as transport:
        board.cycles = 10_000_000

        def reset(operation: Operation, words: int) -> tuple[int, Sequence[int]]:
            answered = board.good(operation, words)
            board.cycles = 0
            return answered

        board.answer = reset
        with pytest.raises(TransportError, match="began anew while it was waited for: its cycles went from "
                                                 "10,001,000 to 1,000"):
            transport.wait_interrupt()
