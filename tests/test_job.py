"""What a job tells: counters from the registers, errors in words, records fit for JSON."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from hdl.config import PRESETS
from hdl.descriptor import DESCRIPTOR_FIELDS
from hdl.registers import COUNTERS, ErrorCode, register
from tests.device_model import DeviceModel
from zerolane.device import Device
from zerolane.job import DeviceError, read_counters

NAMES = [field.name for field in DESCRIPTOR_FIELDS]


def test_every_counter_is_read_from_its_own_register():
    model = DeviceModel(PRESETS["base"])
    names = ["CYCLES", "READ_BEATS", "WRITE_BEATS", "MAC_WORDS"]
    names += [f"COUNT_{name.upper()}" for name, _ in COUNTERS]
    for number, name in enumerate(names):
        model.write_register(register(name).address, 100 + number)
    values = list(read_counters(model).values())
    assert values == [100 + number for number in range(len(names))]


def test_a_record_is_fit_for_json_and_names_the_plan():
    device = Device("small", DeviceModel(PRESETS["small"]))
    for matrix in (np.ones((30, 20), np.int8), sp.csr_array(np.eye(30, 20, dtype=np.int8)),
                   np.ones((0, 20), np.int8)):
        device.matmul(matrix, np.ones((20, 9), np.int8))
        record = json.loads(json.dumps(device.last_job.as_record()))
        assert set(record["counters"]) == {name for name, _ in COUNTERS}
        assert record["plan"] and record["efficiency"] >= 0
        assert device.explain()


@pytest.mark.parametrize("code, detail, words", [
    (ErrorCode.FIELD, NAMES.index("pk_log2"), "FIELD: .*: pk_log2; descriptor 3 of 5"),
    (ErrorCode.FIELD, 255, "DESCRIPTOR or COUNT register"),
    (ErrorCode.READ_BUS, 7, r"READ_BUS: .*\(read stream 7\)"),
    (ErrorCode.READ_BUS, 7, "at address 0xabc0, descriptor 3 of 5"),
    (ErrorCode.OUTSIDE, NAMES.index("c_address"), "OUTSIDE: .*: c_address; at address 0xabc0, descriptor 3"),
    (ErrorCode.OUTSIDE, 255, "DESCRIPTOR or COUNT register; at address 0xabc0"),
    (ErrorCode.BLOCKED, 255, r"BLOCKED: .* \(a write\)"), (ErrorCode.TIMEOUT, 0, "TIMEOUT: .*; descriptor 3"),
    (ErrorCode.ROW_POINTER, 0, "row pointer decreases"),
    (200, 1, "error code 200")])
def test_errors_are_told_in_words(code, detail, words):
    with pytest.raises(DeviceError, match=words):
        raise DeviceError.of(code, detail, 3, 5, NAMES, 0xABC0)


def test_every_error_code_has_a_meaning():
    for code in list(ErrorCode)[1:]:
        assert "no error" not in str(DeviceError.of(code, 0, 0, 1, NAMES))
