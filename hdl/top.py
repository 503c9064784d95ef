"""The whole array behind one memory port and one control port."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from .axi import AxiLite, AxiMemory
from .command import CommandProcessor
from .config import Config
from .control import ControlPort
from .core import Core
from .counters import Counters
from .read_port import ReadPort
from .registers import REGISTER_SPACE_BITS
from .writer import SegmentWriter

__all__ = ["Top"]


class Top(wiring.Component):
    """Control port, command processor, core, memory ports and counters; connections only.

    Throughput, Latency: those of its parts.
    Backpressure: on every AXI channel but R and B, which are always taken.
    Order: descriptors are processed in order.

    Parameters
    ----------
    config : Config

    Members
    -------
    control : AXI4-Lite slave, see hdl.registers
    memory : AXI4 master; a read stream's number is its id
    irq : level, a job has ended
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({
            "control": In(AxiLite(REGISTER_SPACE_BITS)),
            "memory": Out(AxiMemory(config.port_bytes)),
            "irq": Out(1),
        })

    def elaborate(self, platform):
        config = self._config
        m = Module()
        m.submodules.control_port = control = ControlPort(config)
        m.submodules.command = command = CommandProcessor(config)
        m.submodules.core = core = Core(config)
        m.submodules.writer = writer = SegmentWriter(config)
        m.submodules.counters = counters = Counters(config)
        m.submodules.read_port = read_port = ReadPort(config, 1 + len(core.o_request))

        # ---- control ----
        connect(m, flipped(self.control), control.bus)
        m.d.comb += [
            command.i_start.eq(control.o_start),
            command.i_descriptor.eq(control.o_descriptor),
            command.i_count.eq(control.o_count),
            control.i_status.eq(command.o_status),
            control.i_finished.eq(command.o_finished),
            control.i_counters.eq(counters.o),
            self.irq.eq(control.o_irq),
        ]

        # ---- jobs and events ----
        connect(m, command.o_fetch_job, core.i_fetch_job)
        connect(m, command.o_router_job, core.i_router_job)
        connect(m, command.o_tile_job, core.i_tile_job)
        connect(m, command.o_collector_job, core.i_collector_job)
        m.d.comb += [
            core.i_pe_job.eq(command.o_pe_job),
            core.i_open.eq(command.o_open),
            core.i_settled.eq(writer.o_idle),
            command.i_last.eq(core.o_last),
            command.i_tile_done.eq(core.o_tile_done),
            command.i_drained.eq(core.o_drained),
            command.i_collector_idle.eq(core.o_collector_idle),
            command.i_writer_idle.eq(writer.o_idle),
            command.i_read_error.eq(read_port.o_error),
            command.i_write_error.eq(writer.o_error),
            *(sink.eq(source) for sink, source in zip(command.i_faults, core.o_fault, strict=True)),
        ]

        # ---- memory: read streams by number, one write stream ----
        for number, (request, beat) in enumerate(zip([command.o_request, *core.o_request],
                                                     [command.i_beat, *core.i_beat], strict=True)):
            connect(m, request, read_port.i_request[number])
            connect(m, read_port.o_beat[number], beat)
        connect(m, read_port.ar, flipped(self.memory.ar))
        connect(m, flipped(self.memory.r), read_port.r)
        connect(m, core.o_write_job, writer.i_job)
        connect(m, core.o_write, writer.i)
        connect(m, writer.aw, flipped(self.memory.aw))
        connect(m, writer.w, flipped(self.memory.w))
        connect(m, flipped(self.memory.b), writer.b)

        # ---- counters ----
        m.d.comb += [
            counters.i_start.eq(control.o_start),
            counters.i_running.eq(command.o_status.busy),
            counters.i_active.eq(core.o_active),
            counters.i_blocked.eq(core.o_blocked),
            counters.i_token_waits.eq(core.o_token_waits),
            counters.i_open.eq(core.i_open),
            counters.i_fetch_waiting.eq(core.o_fetch_waiting),
            counters.i_tokens_due.eq(command.o_tokens_due),
            counters.i_draining.eq(command.o_draining),
            counters.i_read_beat.eq(read_port.o_beats),
            counters.i_write_beat.eq(self.memory.w.valid & self.memory.w.ready),
        ]
        return m
