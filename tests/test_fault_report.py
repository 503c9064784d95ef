"""hdl.fault_report: the first fault ends the job, and names its descriptor."""

import pytest

from hdl.config import PRESETS
from hdl.descriptor_check import NOT_A_FIELD
from hdl.registers import ErrorCode
from hdl.status import AT_WORK_BITS
from sim.models.command import numbered
from tests.machine import Machine, ended

VALID = {"valid": 1}


@pytest.mark.parametrize("inputs, code, detail, number, address", [
    ({"i_faults.0": VALID | {"code": ErrorCode.COLUMN_INDEX}, "i_fetch_fault_number": 1,
      "i_fault_addresses.0": 0x1230}, ErrorCode.COLUMN_INDEX, 0, 1, 0x1230),
    ({"i_faults.1": VALID | {"code": ErrorCode.ROW_POINTER}, "i_fault_addresses.1": 0x4560},
     ErrorCode.ROW_POINTER, 0, 0, 0x4560),
    ({"i_faults.2": VALID | {"code": ErrorCode.PACKED_OVERFLOW}}, ErrorCode.PACKED_OVERFLOW, 0, 0, 0),
    ({"i_read_error": VALID | {"reader": 2}, "i_fetch_numbers.1": 1, "i_read_address": 0x7890},
     ErrorCode.READ_BUS, 2, 1, 0x7890),
    ({"i_read_error": VALID | {"reader": 6}, "i_read_address": 0xABC0}, ErrorCode.READ_BUS, 6, 0, 0xABC0),
    ({"i_read_error": VALID | {"reader": 9}}, ErrorCode.READ_BUS, 9, 0, 0),
    ({"i_write_error": 1, "i_write_address": 0xDEF0}, ErrorCode.WRITE_BUS, 0, 0, 0xDEF0),
    ({"i_blocked": {"read": 1, "id": 3, "address": 0x990}, "i_fetch_numbers.2": 1},
     ErrorCode.BLOCKED, 3, 1, 0x990),
    ({"i_blocked": {"write": 1, "id": 3, "address": 0x880}}, ErrorCode.BLOCKED, NOT_A_FIELD, 0, 0x880),
], ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_a_fault_ends_the_job_and_the_first_one_is_named(inputs: dict, code: int, detail: int, number: int,
                                                         address: int) -> None:
    config = PRESETS["base"]
    machine = Machine(config, numbered(config, 6, "0"), slow=False, token_cycles=200, faults={
        80: inputs, 82: {"i_faults.1": VALID | {"code": ErrorCode.ROW_POINTER}}})
    # The owner is descriptor 0; descriptor 1, the head, is fetched ahead. Its tile waits for the owner's.
    assert machine.run(jobs=2) == [ended(0, code, detail, number)] * 2
    assert machine.address_named == address
    assert machine.times("collector") == 2 and machine.cycle_of("finished", 0) < 100


@pytest.mark.parametrize("head", range(1, 9))
@pytest.mark.parametrize("behind", [0, 1])
def test_a_unit_s_descriptor_is_the_head_or_one_before_it_whatever_its_number(head: int, behind: int) -> None:
    config = PRESETS["base"]
    quick = Machine(config, numbered(config, 10, "01"), slow=False, token_cycles=60)
    quick.run()
    fault = {"i_faults.0": VALID | {"code": ErrorCode.COLUMN_INDEX},
             "i_fetch_fault_number": (head - behind) % (1 << AT_WORK_BITS)}
    machine = Machine(config, numbered(config, 10, "01"), slow=False, token_cycles=60,
                      faults={quick.cycle_of("fetch", head) + 1: fault})
    [status] = machine.run()
    assert (status["code"], status["descriptor"]) == (ErrorCode.COLUMN_INDEX, head - behind)


def test_a_tile_is_to_blame_for_what_comes_while_it_is_still_stored() -> None:
    config = PRESETS["base"]
    overflow = {"i_faults.2": VALID | {"code": ErrorCode.PACKED_OVERFLOW}}
    quick = Machine(config, numbered(config, 4, "01"), slow=False, token_cycles=300)
    quick.run()
    done = quick.cycle_of("tile done", 0)
    numbers = []
    for cycle in (done + 1, done + 2, done + 3, done + 9):
        machine = Machine(config, numbered(config, 4, "01"), slow=False, token_cycles=300,
                          faults={cycle: overflow})
        [status] = machine.run()
        numbers.append(status["descriptor"])
    assert numbers == [0, 0, 0, 1]
