"""A command processor with its supervisor, as they stand together in the array."""

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hdl.command import CommandProcessor
from hdl.config import Config
from hdl.shared import add_resettable
from hdl.status import JobStatus
from hdl.supervisor import Supervisor

__all__ = ["Supervised"]

_BETWEEN = ("i_start", "i_completed", "o_finished", "o_report")
"""Members of the command processor that only the supervisor sees."""


class Supervised(wiring.Component):
    """CommandProcessor and Supervisor; connections only. Members as theirs.

    Throughput, Latency, Backpressure, Order: those of its parts.

    Parameters
    ----------
    config : Config
    """

    def __init__(self, config: Config):
        self._late = config.far_registers
        self._command, self._supervisor = CommandProcessor(config), Supervisor(late_reset=self._late)
        outer = {name: member for name, member in self._command.signature.members.items()
                 if name not in _BETWEEN}
        super().__init__(outer | {
            "i_start": In(1), "i_abort": In(1), "i_reset": In(1), "i_watchdog": In(32),
            "i_job_written": In(1), "i_overflow": In(1), "i_moves": In(1), "i_quiet": In(1),
            "o_close": Out(1), "o_reset": Out(1), "o_finished": Out(1), "o_status": Out(JobStatus()),
        })

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        command, m.submodules.supervisor = self._command, self._supervisor
        supervisor = self._supervisor
        add_resettable(m, {"command": command}, supervisor.o_reset, platform, late=self._late)
        for name, member in command.signature.members.items():
            if name in _BETWEEN:
                continue
            pairs = [(getattr(command, name), getattr(self, name))]
            for size in member.dimensions:
                pairs = [(inner[number], outer[number]) for inner, outer in pairs for number in range(size)]
            for inner, outer in pairs:
                if member.is_signature:
                    wiring.connect(m, inner, wiring.flipped(outer))
                elif member.flow == In:
                    m.d.comb += inner.eq(outer)
                else:
                    m.d.comb += outer.eq(inner)
        m.d.comb += [
            *(getattr(supervisor, name).eq(getattr(self, name)) for name in (
                "i_start", "i_abort", "i_reset", "i_watchdog", "i_overflow", "i_moves", "i_quiet")),
            supervisor.i_completed.eq(self.i_job_written),
            supervisor.i_report.eq(command.o_report),
            supervisor.i_finished.eq(command.o_finished),
            command.i_start.eq(supervisor.o_start),
            command.i_completed.eq(supervisor.o_status.completed),
            *(getattr(self, name).eq(getattr(supervisor, name))
              for name in ("o_close", "o_reset", "o_finished", "o_status")),
        ]
        return m
