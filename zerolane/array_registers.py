"""What an array tells about itself in its registers: whether it is the expected one, or else what it is."""

from hdl.config import PRESETS, Config
from hdl.registers import ID_VALUE, INTERFACE_VERSION, config_values, register
from sim.transport import Transport

from .job import DeviceError

__all__ = ["check_array", "describe_array", "preset_of", "read_array"]


def read_array(transport: Transport) -> dict[str, int]:
    """What the ID, VERSION and CONFIG registers read, by name.

    Raises DeviceError where no array is behind the transport, or one whose interface is another, and the
    transport's errors.
    """
    def read(name: str) -> int:
        return transport.read_register(register(name).address)

    found = read("ID")
    if found != ID_VALUE:
        raise DeviceError(f"register ID reads {found:#x}; an array of zerolane has {ID_VALUE:#x}")
    version = read("VERSION")
    if version != INTERFACE_VERSION:
        raise DeviceError(f"register VERSION reads {version}; this host's interface is {INTERFACE_VERSION}: "
                          "build the array anew")
    return {name: read(name) for name in config_values(PRESETS["base"])}


def preset_of(found: dict[str, int]) -> Config | None:
    """The preset whose array reads so, if there is one."""
    return next((preset for preset in PRESETS.values() if config_values(preset) == found), None)


def describe_array(found: dict[str, int]) -> str:
    """What `read_array` gave, in words: shape, memories, features."""
    fields = {part.name: found[name] >> part.offset & ((1 << part.bits) - 1)
              for name in found for part in register(name).fields}
    words = [f"{fields['pes']} PE{'s' * (fields['pes'] > 1)} x {fields['lanes']} lanes",
             f"a port of {fields['port_bytes']} bytes",
             f"{found['CONFIG1']:,} bytes of tile memory", f"{fields['acc_words']} accumulator words",
             f"{fields['chains']} drain chain{'s' * (fields['chains'] > 1)}"]
    if fields["compressed_b"]:
        words.append(f"packed tiles of {fields['index_rows']:,} rows ({fields['table_rows']:,} with entries)")
    words += [words_of for name, words_of in (("scaling", "int8 results"), ("csr_out", "CSR results"),
                                              ("sddmm", "SDDMM"), ("elementwise", "elementwise operations"))
              if fields[name]]
    return ", ".join(words)


def check_array(transport: Transport, config: Config) -> None:
    """DeviceError, in words and by register, for an array of another configuration; else as `read_array`."""
    found, expected = read_array(transport), config_values(config)
    wrong = [f"{name} reads {found[name]:#x}, an array of configuration {config.name!r} has {value:#x}"
             for name, value in expected.items() if found[name] != value]
    if wrong:
        preset = preset_of(found)
        kind = f"preset {preset.name!r}" if preset else "no preset"
        raise DeviceError(f"the array is of another configuration than {config.name!r}: it has "
                          f"{describe_array(found)}: {kind}; {'; '.join(wrong)}")
