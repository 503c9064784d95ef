"""Jobs of one array by its registers: begun, waited for, and taken off it when they are broken off."""

from collections.abc import Callable

from hdl.descriptor import DESCRIPTOR_FIELDS
from hdl.registers import WATCHDOG_CYCLES, WINDOW_BYTES, register
from sim.transport import Transport

from .job import DeviceError
from .runtime import Image

__all__ = ["ArrayControl"]

_TIMEOUT_FACTOR = 50
_TIMEOUT_CYCLES = 1_000_000
_LONGEST_CYCLES = (1 << 31) - 1
_RESET_LOOKS = 16
_IRQ_ENABLE, _ABORT, _RESET = (1 << field.offset for field in register("CONTROL").fields)


class ArrayControl:
    """The control port of one array.

    Parameters
    ----------
    transport : Transport
    watchdog_cycles : a job in which nothing moves for so long is given up; 0: never
    report : is told of a job of somebody else that was taken off the array
    """

    def __init__(self, transport: Transport, watchdog_cycles: int,
                 report: Callable[[str], None] = lambda text: None):
        self.transport = transport
        self._watchdog_cycles = watchdog_cycles
        self._report = report
        self._may_run = False    # a job of ours that nobody waits for any more

    def take_over(self) -> None:
        """Reset an array that is busy: the host that began its job is no more. Raises as `reset`."""
        status = self.fields("STATUS")
        if status["busy"] or status["closing"]:
            self._report("the array was busy with the job of a host that was ended; it is reset")
            self.reset()

    def abort(self) -> None:
        """End the running job, if one runs, with error ABORTED."""
        self.write("CONTROL", _IRQ_ENABLE | _ABORT)

    def reset(self) -> None:
        """End the running job, if one runs, and forget it.

        DeviceError when the memory does not complete what the array has asked it for; the transport's errors.
        """
        self.write("CONTROL", _IRQ_ENABLE | _RESET)
        patience = self._watchdog_cycles or WATCHDOG_CYCLES
        for _ in range(_RESET_LOOKS):
            status = self.fields("STATUS")
            if not status["busy"] and not status["closing"]:
                self._may_run = False
                return
            self.transport.run_cycles(patience // _RESET_LOOKS + 1)
        raise DeviceError("the array cannot be reset: the memory does not complete its transfers")

    def write(self, name: str, value: int) -> None:
        """A register, by name."""
        self.transport.write_register(register(name).address, value)

    def fields(self, name: str) -> dict[str, int]:
        """Of a register, by name."""
        entry = register(name)
        value = self.transport.read_register(entry.address)
        return {part.name: value >> part.offset & ((1 << part.bits) - 1) for part in entry.fields}

    def run(self, image: Image, cycles: float) -> bool:
        """Write a job, ring the doorbell, wait for the interrupt, see how it ended; whether a sum wrapped.

        `cycles` are what it is predicted to take. Whatever breaks it off, an interrupt of the host too, takes
        the job off the array; where that is not possible the next job begins with it. Raises DeviceError for
        what the array reports, and the transport's errors.
        """
        if self._may_run:
            self.reset()
        for address, content in image.pieces:
            self.transport.write_memory(address, content)
        self._set_limits(image)
        self.write("IRQ", 1)
        self.write("CONTROL", _IRQ_ENABLE)
        self.write("DESCRIPTOR", image.descriptor_address)
        self.write("COUNT", image.descriptor_count)
        patience = round(_TIMEOUT_FACTOR * cycles) + _TIMEOUT_CYCLES + 3 * self._watchdog_cycles
        self._may_run = True
        try:
            self.write("DOORBELL", 1)
            self.transport.wait_interrupt(min(patience, _LONGEST_CYCLES))
            return self._outcome(image)
        except BaseException as error:
            if self._may_run:
                self._take_off(error)
            raise

    def _take_off(self, error: BaseException) -> None:
        """After `error`, which stays the one that is raised."""
        if self.transport.broken is not None:
            error.add_note(self.transport.broken)
            return
        try:
            self.reset()
        except Exception as failure:
            error.add_note(f"the job could not be taken off the array; the next begins with that: {failure}")

    def _set_limits(self, image: Image) -> None:
        """The job may read what was laid out for it, and write nothing but its result and scratch."""
        last = -(-image.used_bytes // WINDOW_BYTES) * WINDOW_BYTES - 1
        for name, value in (("READ_BASE", 0), ("READ_LAST", last), ("WRITE_BASE", image.c_address),
                            ("WRITE_LAST", last), ("WATCHDOG", self._watchdog_cycles)):
            self.write(name, value)

    def _outcome(self, image: Image) -> bool:
        status = self.fields("STATUS")
        self._may_run = bool(status["busy"])
        self.write("IRQ", 1)
        error = self.fields("ERROR")
        if status["error"] or error["code"]:
            address = self.transport.read_register(register("ERROR_ADDRESS").address)
            raise DeviceError.of(error["code"], error["detail"], error["descriptor"], image.descriptor_count,
                                 [field.name for field in DESCRIPTOR_FIELDS], address)
        completed = self.transport.read_register(register("COMPLETED").address)
        if status["busy"] or not status["done"] or completed != image.descriptor_count:
            raise DeviceError(f"the interrupt came, but STATUS says {status} and {completed} of "
                              f"{image.descriptor_count} descriptors are complete")
        return bool(status["overflow"])
