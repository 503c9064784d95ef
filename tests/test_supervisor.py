"""hdl.supervisor: how jobs begin, end and are stopped; cycle by cycle on plain signals."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.emit import emit_verilog
from hdl.registers import ErrorCode
from hdl.supervisor import Supervisor
from tests.harness import as_python

REPORT = {"valid": 1, "error": {"code": ErrorCode.READ_BUS, "detail": 3, "descriptor": 7, "address": 0x1234}}
PULSES = ("o_start", "o_reset", "o_finished", "o_cleared")


class Board:
    """A supervisor on its own, with the pulses it gave."""

    def __init__(self, ctx: Any, dut: Supervisor):
        self.ctx, self.dut = ctx, dut
        self.seen = dict.fromkeys(PULSES, 0)
        ctx.set(dut.i_quiet, 1)

    async def cycles(self, count: int = 1, **inputs: Any) -> None:
        """Let time pass with these inputs, which are off again afterwards but for levels."""
        for name, value in inputs.items():
            self.ctx.set(getattr(self.dut, name), value)
        for _ in range(count):
            _, _, *values = await self.ctx.tick().sample(*(getattr(self.dut, name) for name in PULSES))
            for name, value in zip(PULSES, values, strict=True):
                self.seen[name] += value
        for name in inputs:
            if name not in ("i_quiet", "i_watchdog", "i_moves"):
                self.ctx.set(getattr(self.dut, name), {} if name == "i_report" else 0)

    async def start(self) -> None:
        """Begin a job; what is told of the one before is gone the cycle after."""
        await self.cycles(i_start=1)
        await self.cycles()

    def took(self, **wanted: int) -> bool:
        """Whether just these pulses came since the last time."""
        seen, self.seen = self.seen, dict.fromkeys(PULSES, 0)
        return seen == dict.fromkeys(PULSES, 0) | {f"o_{name}": count for name, count in wanted.items()}

    @property
    def status(self) -> dict[str, Any]:
        return as_python(self.ctx.get(self.dut.o_status))

    @property
    def code(self) -> int:
        return self.status["error"]["code"]


def run(body: Callable) -> None:
    """With either reset of the array: jobs are the same."""
    for late_reset in (False, True):
        run_with(Supervisor(late_reset=late_reset), body)


def run_with(dut: Supervisor, body: Callable) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)

    async def testbench(ctx: Any) -> None:
        await body(Board(ctx, dut))

    simulator.add_testbench(testbench)
    simulator.run()


def test_a_good_job_starts_and_ends_at_once() -> None:
    async def body(board: Board) -> None:
        await board.start()
        assert board.took(start=1) and board.status["busy"]
        await board.cycles(3, i_completed=1)
        await board.cycles(i_overflow=1)
        await board.cycles(i_finished=1)
        assert board.took(finished=1)
        assert board.status == {"busy": 0, "closing": 0, "overflow": 1, "completed": 3,
                                "error": {"code": 0, "detail": 0, "descriptor": 0, "address": 0}}
        await board.start()
        assert board.status["overflow"] == board.status["completed"] == 0
    run(body)


@pytest.mark.parametrize("inputs, code", [
    ({"i_report": REPORT}, ErrorCode.READ_BUS), ({"i_abort": 1}, ErrorCode.ABORTED),
    ({"i_abort": 1, "i_report": REPORT}, ErrorCode.ABORTED), ({"i_reset": 1}, ErrorCode.NONE),
    ({"i_report": REPORT, "i_finished": 1}, ErrorCode.READ_BUS)])
@pytest.mark.parametrize("wait", [0, 1, 9])
def test_a_stopped_job_ends_when_the_port_is_quiet(inputs: dict, code: ErrorCode, wait: int) -> None:
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(2, i_completed=1)
        await board.cycles(i_quiet=int(wait == 0), **inputs)
        await board.cycles(2)
        if wait:
            assert board.ctx.get(board.dut.o_close) and board.status["busy"]
        await board.cycles(wait)
        await board.cycles(4, i_quiet=1, i_completed=1)
        ended = {"cleared": 1} if "i_reset" in inputs else {"finished": 1}
        assert board.took(start=1, reset=1, **ended)
        status = board.status
        assert (status["busy"], status["closing"], board.code) == (0, 0, code)
        if code == ErrorCode.READ_BUS:
            assert status["error"] == as_python(REPORT["error"]) and status["completed"] == 2
        elif code == ErrorCode.ABORTED:
            assert status["error"]["descriptor"] == status["completed"] == 2
        else:
            assert status["completed"] == 0
        await board.start()
        await board.cycles(i_finished=1)
        assert board.took(start=1, finished=1) and board.code == 0
    run(body)


def test_an_abort_with_the_end_of_a_descriptor_names_what_completed_counts() -> None:
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(2, i_completed=1)
        await board.cycles(i_abort=1)
        await board.cycles(1, i_completed=1)  # the cycle in which the abort takes effect
        await board.cycles(4)
        assert board.code == ErrorCode.ABORTED
        assert board.status["error"]["descriptor"] == board.status["completed"] == 2
    run(body)


@pytest.mark.parametrize(("code", "completed"), [(ErrorCode.READ_BUS, 2), (ErrorCode.WRITE_BUS, 1)])
def test_what_ends_behind_a_failed_write_does_not_complete_a_descriptor(code: ErrorCode,
                                                                        completed: int) -> None:
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(i_completed=1)
        await board.cycles(i_report={"valid": 1, "error": {"code": code, "descriptor": 1}})
        await board.cycles(i_completed=1)     # the last answer, which is a good one
        await board.cycles(4)
        assert board.code == code and board.status["completed"] == completed
    run(body)


def test_only_the_first_fault_is_kept_and_aborts_come_too_late() -> None:
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(i_report=REPORT, i_quiet=0)
        other = {"valid": 1, "error": {"code": ErrorCode.WRITE_BUS}}
        await board.cycles(3, i_report=other, i_abort=1)
        await board.cycles(5, i_quiet=1)
        assert board.took(start=1, reset=1, finished=1) and board.code == ErrorCode.READ_BUS
        await board.start()
        await board.cycles(5)
        assert board.status["busy"], "the late abort hit the next job"
    run(body)


def test_a_soft_reset_leaves_no_trace_even_of_a_job_that_is_being_stopped() -> None:
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(i_report=REPORT, i_quiet=0)
        await board.cycles(2)
        await board.cycles(i_reset=1)
        await board.cycles(5, i_quiet=1)
        assert board.took(start=1, reset=1, cleared=1) and board.code == 0 and not board.status["busy"]
    run(body)


def test_a_soft_reset_without_a_job_resets_and_an_abort_does_nothing() -> None:
    async def body(board: Board) -> None:
        await board.cycles(i_abort=1)
        await board.cycles(5)
        assert board.took()
        await board.cycles(i_reset=1)
        assert board.status["busy"], "no job may start in the midst of a reset"
        await board.cycles(5)
        assert board.took(reset=1, cleared=1) and not board.status["busy"]
        await board.start()
        await board.cycles(3)
        assert board.took(start=1) and board.status["busy"]
    run(body)


@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5, 20])
def test_the_watchdog_counts_cycles_without_movement(limit: int) -> None:
    async def body(board: Board) -> None:
        await board.cycles(i_watchdog=limit)
        await board.cycles(i_start=1)
        await board.cycles(3 * limit, i_moves=1)
        assert board.took(start=1) and board.status["busy"]
        await board.cycles(limit - 1, i_moves=0)
        assert not board.ctx.get(board.dut.o_close)
        await board.cycles(1)
        assert board.ctx.get(board.dut.o_close)
        await board.cycles(3)
        assert board.took(reset=1, finished=1) and board.code == ErrorCode.TIMEOUT
    run(body)


def test_no_watchdog_waits_for_ever() -> None:
    async def body(board: Board) -> None:
        await board.cycles(i_watchdog=0)
        await board.start()
        await board.cycles(300)
        assert board.took(start=1) and board.status["busy"]
    run(body)


@pytest.mark.parametrize("limit", [1, 2, 5])
def test_a_watchdog_that_is_set_in_the_midst_of_a_job_counts_from_there(limit: int) -> None:
    async def body(board: Board) -> None:
        await board.cycles(i_watchdog=5)
        await board.start()
        await board.cycles(2)
        await board.cycles(30, i_watchdog=0)
        assert board.took(start=1) and board.status["busy"]
        # It is set while the counter begins again, which takes a cycle.
        await board.cycles(max(limit, 2) - 1, i_watchdog=limit)
        assert not board.ctx.get(board.dut.o_close)
        await board.cycles(1)
        assert board.ctx.get(board.dut.o_close)
    run(body)


@pytest.mark.parametrize("then", ["quiet", "stays", "abort", "reset"])
def test_a_job_started_while_transfers_are_open_waits_for_them(then: str) -> None:
    async def body(board: Board) -> None:
        await board.cycles(i_watchdog=10)
        await board.start()
        await board.cycles(i_quiet=0)
        await board.cycles(30)
        # Given up twice: the job, then its transfers; the job has ended for the host.
        assert board.took(start=1, finished=1) and board.code == ErrorCode.TIMEOUT
        assert board.status["closing"] and not board.status["busy"]
        await board.start()
        assert board.status["busy"] and board.code == 0
        if then == "quiet":
            await board.cycles(5, i_quiet=1)
            assert board.took(start=1, reset=1) and board.status["busy"] and not board.status["closing"]
            await board.cycles(i_finished=1)
            assert board.took(finished=1)
        elif then == "stays":
            await board.cycles(20)
            assert board.took(finished=1) and board.code == ErrorCode.TIMEOUT and not board.status["busy"]
        elif then == "abort":
            await board.cycles(i_abort=1)
            await board.cycles(4)
            assert board.took(finished=1) and board.code == ErrorCode.ABORTED and not board.status["busy"]
        else:
            await board.cycles(i_reset=1)
            await board.cycles(4)
            assert board.took(cleared=1) and board.code == 0 and not board.status["busy"]
        await board.cycles(6, i_quiet=1)
        assert not board.status["closing"]
        await board.start()
        await board.cycles(3)
        assert board.seen["o_start"] == 1 and board.status["busy"]
    run(body)


@pytest.mark.parametrize("after", range(4))
def test_a_start_after_a_reset_finds_registers_that_have_seen_what_is_asked_for(after: int) -> None:
    """They are cleared in the cycle of the reset, and hold what is there a cycle later."""
    async def body(board: Board) -> None:
        await board.start()
        await board.cycles(i_abort=1)
        while not board.ctx.get(board.dut.o_reset):
            await board.cycles(1)
        await board.cycles(1 + after)
        assert not board.status["busy"] and board.seen["o_start"] == 1
        await board.cycles(i_start=1)
        assert board.seen["o_start"] == (2 if after > board.dut._late_reset else 1)
        await board.cycles(2)
        assert board.seen["o_start"] == 2 and board.status["busy"]
    run(body)


def test_it_converts_to_verilog() -> None:
    assert "module block" in emit_verilog(Supervisor(), "block")
