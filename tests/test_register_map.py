"""zerolane.register_map: JSON, C header and documentation agree with the hardware's tables."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hdl.config import PRESETS
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS
from hdl.registers import REGISTER_SPACE_BITS, REGISTERS, ErrorCode, config_values, register
from zerolane.register_map import c_header, describe, json_map, markdown

CONFIG = PRESETS["base"]


def defines(header: str) -> dict[str, int]:
    return {name: int(value, 0) for name, value in
            re.findall(r"^#define ZEROLANE_(\w+) (\w+?)u\b", header, re.MULTILINE)}


def test_the_committed_page_is_the_generated_one() -> None:
    page = Path(__file__).parents[1] / "docs" / "registers.md"
    assert page.read_text() == markdown(), "run python -m zerolane.register_map"


def test_registers_and_their_fields_do_not_overlap() -> None:
    addresses = [entry.address for entry in REGISTERS]
    assert len(set(addresses)) == len(addresses)
    for entry in REGISTERS:
        assert entry.address % 4 == 0 and entry.address < 1 << REGISTER_SPACE_BITS, entry.name
        bits = [field.offset + bit for field in entry.fields for bit in range(field.bits)]
        assert len(set(bits)) == len(bits) and max(bits, default=0) < 32, entry.name


def test_descriptor_fields_do_not_overlap_and_fit() -> None:
    bits = [32 * field.word + field.offset + bit for field in DESCRIPTOR_FIELDS for bit in range(field.bits)]
    assert len(set(bits)) == len(bits) and max(bits) < 8 * DESCRIPTOR_BYTES
    assert all(field.offset + field.bits <= 32 for field in DESCRIPTOR_FIELDS)


@pytest.mark.parametrize("preset", PRESETS)
def test_json_says_what_the_tables_say(preset: str) -> None:
    found = json.loads(json_map(PRESETS[preset], "zerolane"))
    assert {entry["name"]: entry["address"] for entry in found["registers"]} == {
        entry.name: entry.address for entry in REGISTERS}
    assert [entry["name"] for entry in found["descriptor"]] == [field.name for field in DESCRIPTOR_FIELDS]
    assert found["enums"]["error"] == {code.name: code.value for code in ErrorCode}
    assert found["configuration"] == {"name": preset, "registers": config_values(PRESETS[preset])}
    assert "configuration" not in describe()


def test_the_header_says_what_the_tables_say() -> None:
    found = defines(c_header(CONFIG))
    for entry in REGISTERS:
        assert found[entry.name] == entry.address
        for field in entry.fields:
            prefix = f"{entry.name}_{field.name.upper()}"
            assert found[f"{prefix}_SHIFT"] == field.offset
            assert found[f"{prefix}_MASK"] == ((1 << field.bits) - 1) << field.offset
    for number, field in enumerate(DESCRIPTOR_FIELDS):
        assert found[f"FIELD_{field.name.upper()}"] == number
    for name, value in config_values(CONFIG).items():
        assert found[f"{name}_VALUE"] == value


def test_the_header_compiles_and_the_struct_has_the_descriptor_s_offsets(tmp_path: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc") or shutil.which("g++")
    if compiler is None:
        pytest.skip("no C compiler found")
    (tmp_path / "zerolane.h").write_text(c_header(CONFIG))
    alone = [field for field in DESCRIPTOR_FIELDS if field.bits == 32]
    checks = [f"typedef char at_{field.name}[offsetof(struct zerolane_descriptor, {field.name})"
              f" == {4 * field.word} ? 1 : -1];" for field in alone]
    source = ["#include <stddef.h>", '#include "zerolane.h"', *checks,
              "typedef char size[sizeof(struct zerolane_descriptor) == ZEROLANE_DESCRIPTOR_BYTES ? 1 : -1];",
              f"typedef char status[ZEROLANE_STATUS == {register('STATUS').address} ? 1 : -1];"]
    (tmp_path / "check.c").write_text("\n".join([*source, ""]))
    flags = ["-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run([compiler, *flags, "check.c"], cwd=tmp_path, check=True)


def test_no_name_is_defined_twice() -> None:
    names = re.findall(r"^#define (\w+)", c_header(CONFIG), re.MULTILINE)
    assert sorted(set(names)) == sorted(names)
