"""Jobs at the control port."""

from hdl.registers import REGISTERS, Access, config_values, register
from sim.host_port import HostCommand

from .session import Session

__all__ = ["doorbells", "registers"]


WINDOWS = ("READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST")


def registers(session: Session) -> None:
    """Every address read and written, with every strobe, the host slow in every channel."""
    for name, value in config_values(session.config).items():
        assert session.read(name) == value
    holds: list[dict[str, int]] = [{}, {"hold_aw": 3}, {"hold_w": 3}, {"hold_b": 4, "hold_r": 4},
                                   {"hold_ar": 2, "hold_aw": 1, "hold_w": 2, "hold_b": 1, "hold_r": 2}]
    for hold in holds:
        session.recorder.set_knobs(**{f"hold_{channel}": 0 for channel in ("aw", "w", "b", "ar", "r")} | hold)
        for strobe in (15, 0, 1, 2, 4, 8, 6):
            session.recorder.set_knobs(strobe=strobe)
            for name in ("DESCRIPTOR", "COUNT", "CONTROL", "IRQ", "WATCHDOG", *WINDOWS):
                value = int(session.rng.integers(0, 1 << 32)) & ~7
                session.access(HostCommand.WRITE, register(name).address, value)
                session.access(HostCommand.READ, register(name).address)
    session.recorder.set_knobs(strobe=15, hold_aw=0, hold_w=0, hold_b=0, hold_ar=0, hold_r=0)
    for name in ("WATCHDOG", *WINDOWS):
        session.write(name, register(name).reset)
    for entry in REGISTERS:
        if entry.access is Access.RO:
            session.access(HostCommand.WRITE, entry.address, 0xFFFF_FFFF)
    for address in range(0, 256, 4):
        session.access(HostCommand.READ, address + int(session.rng.integers(0, 4)))
        if all(entry.address != address for entry in REGISTERS):
            session.access(HostCommand.WRITE, address, 0xFFFF_FFFF)
    session.look()


def doorbells(session: Session) -> None:
    """Strobes, a doorbell while busy, a polled job without interrupt, the interrupt switched and cleared."""
    a, b = session.matrix(5, 20, 0.6, "csr"), session.matrix(20, 9, 0.9, "dense")
    image = session.image(a, b)
    session.put(image)
    session.write("IRQ", 1)
    session.write("CONTROL", 0)
    session.write("DESCRIPTOR", image.descriptor_address)
    session.write("COUNT", image.descriptor_count)
    session.recorder.set_knobs(strobe=0)
    session.write("DOORBELL", 1)
    session.recorder.run_cycles(20)
    assert session.read("STATUS") & 1 == 0
    for strobe in (8, 1):
        session.recorder.set_knobs(strobe=strobe)
        session.write("DOORBELL", 0)
        session.recorder.set_knobs(strobe=15)
        for _ in range(2):
            session.write("DOORBELL", 1)
            session.write("DESCRIPTOR", 0x7C00)
            session.read("COMPLETED")
            assert session.read("STATUS") & 1
        # Windows cannot be changed now.
        for name in ("READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST"):
            session.access(HostCommand.WRITE, register(name).address, 0x1234_5678)
            session.read(name)
        session.recorder.run_cycles(2000)
        assert session.read("STATUS") == 0b010 and session.read("ERROR") == 0
        session.look()
        session.write("DESCRIPTOR", image.descriptor_address)
    session.access(HostCommand.WAIT, 0, 10)
    session.write("CONTROL", 1)
    session.recorder.wait_interrupt(10)
    session.recorder.set_knobs(strobe=14)
    session.write("IRQ", 1)
    session.recorder.wait_interrupt(10)
    session.recorder.set_knobs(strobe=15)
    session.write("IRQ", 0xFFFF_FFFE)
    session.recorder.wait_interrupt(10)
    session.write("IRQ", 1)
    session.access(HostCommand.WAIT, 0, 10)
