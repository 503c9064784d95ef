"""zerolane.array_control: no job stays on an array when what waits for it is broken off."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hdl.config import PRESETS
from hdl.registers import register
from sim.transport import BusError, TransportError, TransportTimeout
from tests.device_model import DeviceModel
from zerolane.device import Device

ONES = np.ones((2, 2), np.int8)
CONTROL, STATUS, DOORBELL = (register(name).address for name in ("CONTROL", "STATUS", "DOORBELL"))
REFUSED_WHILE_BUSY = {register(name).address for name in (
    "DESCRIPTOR", "COUNT", "READ_BASE", "READ_LAST", "WRITE_BASE", "WRITE_LAST", "WATCHDOG")}
RESET = 0b101


class BusyModel(DeviceModel):
    """An array whose job lasts until it is waited for; a busy one refuses settings, as the real one does.

    `interrupt`, if any, is called in place of the next wait.
    """

    def __init__(self) -> None:
        super().__init__(PRESETS["tiny"])
        self.busy = False
        self.resets = 0
        self.interrupt: Callable[[], None] | None = None

    def write_register(self, address: int, value: int) -> None:
        if self.busy and address in REFUSED_WHILE_BUSY:
            raise BusError(f"register {address:#x} is refused while a job runs")
        if address == CONTROL and value == RESET:
            self.busy = False
            self.resets += 1
        super().write_register(address, value)
        self.busy |= address == DOORBELL

    def read_register(self, address: int) -> int:
        return 1 if self.busy and address == STATUS else super().read_register(address)

    def wait_interrupt(self, timeout_cycles: int = 1) -> None:
        if self.interrupt is not None:
            interrupt, self.interrupt = self.interrupt, None
            interrupt()
        self.busy = False


def raising(error: BaseException) -> Callable[..., Any]:
    def raise_it(*arguments: object) -> None:
        raise error
    return raise_it


@pytest.mark.parametrize("error", [KeyboardInterrupt(), TransportTimeout("no interrupt"), MemoryError()],
                         ids=lambda error: type(error).__name__)
def test_a_job_that_is_broken_off_is_taken_off_the_array(error: BaseException) -> None:
    model = BusyModel()
    device = Device("tiny", model)
    model.interrupt = raising(error)
    with pytest.raises(type(error)):
        device.matmul(ONES, ONES)
    assert model.resets == 1 and not model.busy
    np.testing.assert_array_equal(device.matmul(ONES, ONES), 2 * ONES)
    assert model.resets == 1


def test_a_doorbell_that_is_broken_off_is_followed_by_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    model = BusyModel()
    device = Device("tiny", model)

    def rung() -> None:
        model.busy = True
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "_run", rung)
    with pytest.raises(KeyboardInterrupt):
        device.matmul(ONES, ONES)
    assert model.resets == 1 and not model.busy


def test_a_job_that_cannot_be_taken_off_is_noted_and_the_next_one_begins_with_that(
        monkeypatch: pytest.MonkeyPatch) -> None:
    model = BusyModel()
    device = Device("tiny", model)

    def unplugged() -> None:
        monkeypatch.setattr(model, "write_register", raising(TransportError("unplugged")))
        raise KeyboardInterrupt

    model.interrupt = unplugged
    with pytest.raises(KeyboardInterrupt) as caught:
        device.matmul(ONES, ONES)
    assert "could not be taken off the array" in caught.value.__notes__[0]
    assert "unplugged" in caught.value.__notes__[0]
    monkeypatch.undo()
    np.testing.assert_array_equal(device.matmul(ONES, ONES), 2 * ONES)
    assert model.resets == 1


def test_a_device_resets_an_array_that_an_earlier_host_left_busy_and_says_so() -> None:
    model, said = BusyModel(), []
    model.busy = True
    device = Device("tiny", model, progress=said.append)
    assert model.resets == 1
    assert said == ["the array was busy with the job of a host that was ended; it is reset"]
    np.testing.assert_array_equal(device.matmul(ONES, ONES), 2 * ONES)


def test_an_array_that_is_not_busy_is_taken_as_it_is() -> None:
    model = BusyModel()
    Device("tiny", model)
    assert model.resets == 0


def test_a_simulator_that_an_interrupt_broke_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    opened, said = [], []

    def broken() -> None:
        opened[0].broken = "the model was closed"
        raise KeyboardInterrupt

    def open_model(name: str, config: object, **settings: object) -> DeviceModel:
        opened.append(BusyModel())
        return opened[-1]

    monkeypatch.setattr("zerolane.device.open_simulator", open_model)
    device = Device("tiny", "verilator", progress=said.append)
    device.matmul(ONES, ONES)
    opened[0].interrupt = broken
    with pytest.raises(KeyboardInterrupt) as caught:
        device.matmul(ONES, ONES)
    assert caught.value.__notes__ == ["the model was closed"]
    np.testing.assert_array_equal(device.matmul(ONES, ONES), 2 * ONES)
    assert len(opened) == 2 and opened[0].resets == 0
    assert said == ["the model was closed; it is started anew"]
