"""The register map and the descriptor, as JSON, C header and documentation page."""

import json
from enum import Enum
from typing import Any

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode
from hdl.layouts import AFormat, BFormat, ScaleWord
from hdl.registers import (
    COUNTERS,
    ID_VALUE,
    INTERFACE_VERSION,
    REGISTER_SPACE_BITS,
    REGISTERS,
    ErrorCode,
    config_values,
)
from zerolane.markdown_tables import table_head, table_row
from zerolane.ports import ports

__all__ = ["c_header", "describe", "json_map", "markdown"]

_ENUMS: dict[str, type[Enum]] = {
    "OPCODE": Opcode, "A_FORMAT": AFormat, "B_FORMAT": BFormat, "ERROR": ErrorCode}


def _scale_fields() -> list[dict[str, Any]]:
    return [{"name": name, "offset": field.offset, "bits": field.width}
            for name, field in ScaleWord() if not name.startswith("reserved")]


def describe(config: Config | None = None, top: str | None = None) -> dict[str, Any]:
    """Everything a driver must know, as plain dicts, lists, strings and numbers.

    With a configuration, `configuration` holds its name and what its ID, VERSION and CONFIG registers read,
    and `ports` the top module's ports (`zerolane.ports`); `top` is that module's name.
    Addresses and offsets of words are in bytes, offsets of fields in bits.
    """
    result: dict[str, Any] = {
        "id": ID_VALUE,
        "interface_version": INTERFACE_VERSION,
        "register_space_bytes": 1 << REGISTER_SPACE_BITS,
        "registers": [
            {"name": entry.name, "address": entry.address, "access": entry.access.name, "about": entry.about,
             "fields": [{"name": field.name, "offset": field.offset, "bits": field.bits, "about": field.about}
                        for field in entry.fields]}
            for entry in REGISTERS],
        "counters": [{"name": name, "about": about} for name, about in COUNTERS],
        "descriptor_bytes": DESCRIPTOR_BYTES,
        "descriptor": [
            {"name": field.name, "number": number, "word": field.word, "offset": field.offset,
             "bits": field.bits, "about": field.about}
            for number, field in enumerate(DESCRIPTOR_FIELDS)],
        "scale_word": _scale_fields(),
        "enums": {name.lower(): {entry.name: entry.value for entry in kind} for name, kind in _ENUMS.items()},
    }
    if config is not None:
        result["configuration"] = {"name": config.name, "registers": config_values(config)}
        result |= {"top": top, "ports": ports(config)}
    return result


def json_map(config: Config, top: str) -> str:
    """The map as JSON text for drivers and tools; see `describe`."""
    return json.dumps(describe(config, top), indent=2) + "\n"


# ---- C -----------------------------------------------------------------------------------------------


def _define(name: str, value: int, about: str = "") -> str:
    text = f"#define ZEROLANE_{name} {value if value < 10 else hex(value)}u"
    return f"{text} /* {about} */" if about else text


def _field_defines(prefix: str, offset: int, bits: int) -> list[str]:
    return [_define(f"{prefix}_SHIFT", offset), _define(f"{prefix}_MASK", ((1 << bits) - 1) << offset)]


def c_header(config: Config) -> str:
    """A C99 header: register addresses, field shifts and masks, codes, and the descriptor as a struct."""
    lines = [
        f"/* Zerolane control port and job descriptor, configuration {config.name}. Generated. */",
        "#ifndef ZEROLANE_H", "#define ZEROLANE_H", "", "#include <stdint.h>", "",
        "/* Expected values of the identification registers. */",
        *(_define(f"{name}_VALUE", value) for name, value in config_values(config).items()), "",
        "/* Registers: byte addresses, then shift and mask (in place) of their fields. */",
        _define("REGISTER_SPACE_BYTES", 1 << REGISTER_SPACE_BITS)]
    for entry in REGISTERS:
        lines.append(_define(entry.name, entry.address, f"{entry.access.value}{': ' * bool(entry.about)}"
                                                        f"{entry.about}"))
        for part in entry.fields:
            lines += _field_defines(f"{entry.name}_{part.name.upper()}", part.offset, part.bits)
    lines += ["", "/* Codes. */"]
    for prefix, kind in _ENUMS.items():
        lines += [_define(f"{prefix}_{entry.name}", entry.value) for entry in kind]
    lines += ["", "/* Job descriptor: little-endian words. */", _define("DESCRIPTOR_BYTES", DESCRIPTOR_BYTES),
              *_c_struct(), "", "/* Fields of descriptor words that hold several. */"]
    for number, field in enumerate(DESCRIPTOR_FIELDS):
        lines.append(_define(f"FIELD_{field.name.upper()}", number, field.about))
        if field.bits < 32:
            lines += _field_defines(f"DESCRIPTOR_{field.name.upper()}", field.offset, field.bits)
    lines += ["", "/* Scale word. */"]
    for scale in _scale_fields():
        lines += _field_defines(f"SCALE_{scale['name'].upper()}", scale["offset"], scale["bits"])
    return "\n".join([*lines, "", "#endif", ""])


def _c_struct() -> list[str]:
    """One member a word; a word with several fields is named after its number."""
    members = []
    for word in range(DESCRIPTOR_BYTES // 4):
        inside = [field for field in DESCRIPTOR_FIELDS if field.word == word]
        if len(inside) == 1:
            members.append(f"    uint32_t {inside[0].name};")
        else:
            members.append(f"    uint32_t {f'word{word}' if inside else f'reserved{word}'};")
    return ["struct zerolane_descriptor {", *members, "};"]


# ---- documentation -----------------------------------------------------------------------------------


_PAGE_HEAD = """\
# Registers and descriptors

Generated from `hdl/registers.py` and `hdl/descriptor.py` by `python -m zerolane.register_map`; do not edit.

## Control port

AXI4-Lite, 32 bits of data, {space} bytes of addresses; the lowest two address bits are ignored. Write address
and write data may come in any order. Strobes are respected; a write without strobes does nothing. An address
without a register answers SLVERR and reads as 0; a write to a read-only register answers OKAY and changes
nothing; bits that no field names read as 0.

A job: put its descriptors and data into memory, write the windows, DESCRIPTOR and COUNT, write DOORBELL,
wait for STATUS.done or the interrupt, look at STATUS.error, write 1 to IRQ.done. Faults, abort and soft
reset: [faults.md](faults.md).
Writes to DESCRIPTOR and COUNT while a job runs are for the next job; the windows are locked meanwhile
(SLVERR). COUNT has 16 bits; 0, or a DESCRIPTOR that is not a multiple of port_bytes, ends the job at once
with ERROR.code {code} (FIELD) and ERROR.detail 255. `reuse_tile` in a job's first descriptor means the tile
of the last job's last descriptor; there is none after reset or after a job that failed."""

_PAGE_COUNTERS = """\
Exactly one of the `COUNT_...` counters counts in each cycle of a job: the first, in the order of their
addresses, whose condition holds. All counters start at 0 with the doorbell, stop at done, and stay at
0xffffffff once they get there.

### Error codes"""

_PAGE_DESCRIPTOR = """\
An error ends the job; the first one counts. [faults.md](faults.md) says what each one means.

## Descriptor

{length} bytes, little-endian 32-bit words, one descriptor after the other in memory. Words and bits that are
not named are to be 0. *Number* is what ERROR.detail says."""

_PAGE_SCALE = """\
### Scale word

It stands for multiplier / 2**(shift + 8):
`y = saturate18(round_shift(x << 17, shift)); z = saturate8(round_shift(y * multiplier, 25))` with
`round_shift(x, s) = (x + (1 << s >> 1)) >> s`."""


def _bits(offset: int, bits: int) -> str:
    return f"{offset}" if bits == 1 else f"{offset + bits - 1}:{offset}"


def markdown() -> str:
    """The text of docs/registers.md."""
    head = _PAGE_HEAD.format(space=1 << REGISTER_SPACE_BITS, code=ErrorCode.FIELD.value)
    lines = [*head.splitlines(), "", *table_head("address", "register", "access", "about")]
    lines += [table_row(f"`{entry.address:#04x}`", f"`{entry.name}`", entry.access.value, entry.about)
              for entry in REGISTERS]
    lines += ["", "### Fields", "", *table_head("register", "bits", "field", "about")]
    lines += [table_row(f"`{entry.name}`", _bits(field.offset, field.bits), f"`{field.name}`", field.about)
              for entry in REGISTERS for field in entry.fields]
    lines += ["", *_PAGE_COUNTERS.splitlines(), "", *table_head("code", "name")]
    lines += [table_row(code.value, f"`{code.name}`") for code in ErrorCode]
    lines += ["", *_PAGE_DESCRIPTOR.format(length=DESCRIPTOR_BYTES).splitlines(), "",
              *table_head("number", "word", "bits", "field", "about")]
    lines += [table_row(number, field.word, _bits(field.offset, field.bits), f"`{field.name}`", field.about)
              for number, field in enumerate(DESCRIPTOR_FIELDS)]
    lines += ["", "### Values", "", *table_head("field", "value", "name")]
    lines += [table_row(f"`{prefix.lower()}`", entry.value, f"`{entry.name}`")
              for prefix, kind in _ENUMS.items() if prefix != "ERROR" for entry in kind]
    lines += ["", *_PAGE_SCALE.splitlines(), "", *table_head("bits", "field")]
    lines += [table_row(_bits(part["offset"], part["bits"]), f"`{part['name']}`") for part in _scale_fields()]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    from pathlib import Path

    (Path(__file__).parents[1] / "docs" / "registers.md").write_text(markdown())
