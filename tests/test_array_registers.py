"""zerolane.array_registers: what an array says of itself."""

import pytest

from hdl.config import PRESETS
from hdl.registers import config_values, register
from tests.device_model import DeviceModel
from zerolane.array_registers import check_array, describe_array, preset_of, read_array
from zerolane.job import DeviceError


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_s_array_is_known_by_its_registers(preset: str) -> None:
    model = DeviceModel(PRESETS[preset])
    assert preset_of(read_array(model)) is PRESETS[preset]
    check_array(model, PRESETS[preset])


def test_an_array_is_described_by_shape_memories_and_features() -> None:
    config = PRESETS["base"]
    text = describe_array(config_values(config))
    assert text.startswith(f"{config.pes} PEs x {config.lanes} lanes, a port of {config.port_bytes} bytes, "
                           f"{config.tile_bytes:,} bytes of tile memory, ")
    assert text.endswith("int8 results, CSR results, SDDMM, elementwise operations")


@pytest.mark.parametrize("name, message", [
    ("ID", "register ID reads 0x7; an array of zerolane has 0x5a4c414e"),
    ("VERSION", "register VERSION reads 7; this host's interface is 3: build the array anew"),
])
def test_what_is_no_array_or_of_another_interface_is_refused_first(name: str, message: str) -> None:
    model = DeviceModel(PRESETS["tiny"])
    model.write_register(register(name).address, 7)
    with pytest.raises(DeviceError) as caught:
        check_array(model, PRESETS["base"])
    assert str(caught.value) == message
