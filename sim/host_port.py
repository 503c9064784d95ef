"""The host's commands on AXI-Lite, as hardware: so that every simulator takes the same cycles for them."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from hdl.axi import AxiLite
from hdl.registers import REGISTER_SPACE_BITS

__all__ = ["ACCESS_TIMEOUT_CYCLES", "HostCommand", "HostPort"]

ACCESS_TIMEOUT_CYCLES = 10_000
"""A register access that takes longer is given up."""


class HostCommand(enum.Enum, shape=2):
    WRITE = 0  # `data` to register `address`
    READ = 1   # register `address` to `result`
    WAIT = 2   # for the interrupt, `data` cycles at most
    RUN = 3    # `data` cycles


class HostPort(wiring.Component):
    """Runs one host command at a time on a control port.

    Throughput: one command at a time.
    Latency: `done` rises one cycle after the last handshake; WAIT looks at the level, from the second cycle
        on; RUN takes two cycles more than it is asked for.
    Backpressure: none; the host changes its inputs only while `done`.

    Members
    -------
    start : a change starts the command
    kind, address, data : the command, held while it runs
    irq : the array's interrupt
    control : AXI-Lite master
    done : no command runs
    result, response : read data and the bus's response of the last access
    timed_out : the last command was given up
    cycles : cycles since reset
    """

    def __init__(self) -> None:
        super().__init__({
            "start": In(1),
            "kind": In(HostCommand),
            "address": In(32),
            "data": In(32),
            "irq": In(1),
            "control": Out(AxiLite(REGISTER_SPACE_BITS)),
            "done": Out(1),
            "result": Out(32),
            "response": Out(2),
            "timed_out": Out(1),
            "cycles": Out(48),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        control = self.control
        started, count, out_of_time = Signal(), Signal(32), Signal()
        m.d.sync += self.cycles.eq(self.cycles + 1)
        m.d.comb += [
            self.done.eq(started == self.start),
            out_of_time.eq(count == 0),
            control.aw.p.address.eq(self.address), control.ar.p.address.eq(self.address),
            control.w.p.data.eq(self.data), control.w.p.strobe.eq(0b1111),
        ]
        for channel in (control.aw, control.w, control.ar):
            with m.If(channel.valid & channel.ready):
                m.d.sync += channel.valid.eq(0)

        def finish(timed_out: Any) -> None:
            m.d.sync += [started.eq(self.start), self.timed_out.eq(timed_out)]
            m.next = "IDLE"

        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += count.eq(self.data)
                with m.If(~self.done):
                    with m.Switch(self.kind):
                        with m.Case(HostCommand.WRITE):
                            m.d.sync += [control.aw.valid.eq(1), control.w.valid.eq(1),
                                         count.eq(ACCESS_TIMEOUT_CYCLES)]
                            m.next = "WRITE"
                        with m.Case(HostCommand.READ):
                            m.d.sync += [control.ar.valid.eq(1), count.eq(ACCESS_TIMEOUT_CYCLES)]
                            m.next = "READ"
                        with m.Case(HostCommand.WAIT):
                            m.next = "WAIT"
                        with m.Case(HostCommand.RUN):
                            m.next = "RUN"
            for name, answer in (("WRITE", control.b), ("READ", control.r)):
                with m.State(name):
                    m.d.comb += answer.ready.eq(1)
                    m.d.sync += count.eq(count - 1)
                    with m.If(answer.valid):
                        m.d.sync += self.response.eq(answer.p.response)
                        if name == "READ":
                            m.d.sync += self.result.eq(answer.p.data)
                        finish(0)
                    with m.Elif(out_of_time):
                        finish(1)
            with m.State("WAIT"):
                m.d.sync += count.eq(count - 1)
                with m.If(self.irq):
                    finish(0)
                with m.Elif(out_of_time):
                    finish(1)
            with m.State("RUN"):
                m.d.sync += count.eq(count - 1)
                with m.If(out_of_time):
                    finish(0)
        return m
