"""zerolane.config_file and hdl.config: what is built and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from hdl.config import PRESETS, Config, ConfigError
from zerolane.config_file import config_by_preset, load_config


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_changes_the_preset_it_starts_from(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, 'preset = "small"\nacc_words = 8\n'))
    assert (config.name, config.acc_words, config.pes) == ("mine", 8, PRESETS["small"].pes)


def test_base_is_the_default_preset_and_scaling_follows_the_lanes(tmp_path: Path) -> None:
    config = load_config(write(tmp_path, "lanes = 16\n"))
    assert (config.pes, config.lanes, config.scale_multipliers) == (8, 16, 16)


@pytest.mark.parametrize("text, reason", [
    ("pse = 4\n", r"unknown key 'pse'; did you mean 'pes'\? \(docs/configuration.md\)"),
    ("pes = 3\n", "pes = 3; it must be a power of two"),
    ("pes = true\n", "pes = True; it must be a value of type int"),
    ('pes = "4"\n', "type int"),
    ('preset = "bse"\n', "unknown preset 'bse'.*'base'"),
    ("preset = 3\n", "preset"),
    ("lanes = \n", "not TOML"),
    ("port_bytes = 64\n", "port_bytes = 64; it must be lanes or twice lanes"),
    ("beat_tokens = 16\n", "beat_tokens"),
    ("scale_multipliers = 3\n", "scale_multipliers"),
    ("row_queue_rows = 1\n", "row_queue_rows = 1; it must be a power of two from 2 to 256"),
    ("tile_bytes = 1024\n", "tile_bytes = 1024; it must be at least .*, 2048"),
    ("table_rows = 256\nindex_rows = 128\n", "index_rows = 128; it must be at least table_rows, 256"),
    ('preset = "large"\ncompressed_b = false\nmerge_lanes = 0\n',
     "row_filter = True; it must be false unless"),
    ("csr_out = false\n",
     "merge_lanes = 4; it must be 0 unless csr_out .* does not set it, preset 'base' does"),
    ("tile_bytes = 8192\n", "tile_bytes = 8192; it must be with sddmm at least .*, 32768"),
    ("pes = 1\n", "pes = 1; it must be at least 2, with serial 1"),
    ("acc_words = 1\n", "acc_words = 1; it must be at least 2, with serial 1"),
    ("acc_words = 3\n", "acc_words = 3; it must be a power of two from 1 to 256"),
    ("port_bytes = 4\nbeat_tokens = 2\n", "port_bytes = 4; it must be lanes or twice lanes .*, 8 or 16"),
    ("serial = true\n", "pes = 8; it must be at least 2, with serial 1 .* preset 'base' does"),
    ("serial = 1\n", "serial = 1; it must be a value of type bool"),
])
def test_a_wrong_file_is_refused_with_the_right_word(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as error:
        load_config(write(tmp_path, text))
    assert "mine.toml" in str(error.value)


@pytest.mark.parametrize("line, wanted", [
    ("pes = 2", "at least 2, with serial 1"),
    ("lanes = 4", "with serial at least 8"),
    ("port_bytes = 8", "with serial 4"),
    ("acc_words = 2", "at least 2, with serial 1"),
    ("tile_bytes = 32768", "with serial at most 2048 · lanes, 16384"),
    ("tile_bytes = 128", "a power of two from 256 "),
    ("compressed_b = true", "false with serial"),
    ("row_filter = true", "false unless compressed_b is set"),
    ("scale_multipliers = 8", "0 or 1 with serial"),
    ("csr_out = true", "false with serial"),
    ("sddmm = true", "false with serial"),
    ("merge_lanes = 2", "0 unless csr_out and compressed_b are set"),
    ("serial = false", "at least 2, with serial 1"),
    ("preset = \"tiny\"\nscaler_block = true", "false without serial"),
])
def test_a_serial_array_is_refused_what_it_has_no_place_for(tmp_path: Path, line: str, wanted: str) -> None:
    text = line if "preset" in line else f'preset = "micro"\n{line}'
    with pytest.raises(ConfigError, match=f"it must be {wanted}"):
        load_config(write(tmp_path, f"{text}\n"))


@pytest.mark.parametrize("line", ["chains = 2", "csr_out = true", "sddmm = true", 'preset = "micro"'])
def test_words_do_not_drain_in_turn_where_others_rely_on_them(tmp_path: Path, line: str) -> None:
    text = line if "preset" in line else f'preset = "lean64"\n{line}'
    wanted = "lean_drain = True; it must be false with serial, csr_out, sddmm or two chains"
    with pytest.raises(ConfigError, match=wanted):
        load_config(write(tmp_path, f"{text}\nlean_drain = true\n"))


@pytest.mark.parametrize("line", ["sddmm = true", 'preset = "mini"'])
def test_registers_on_far_ways_are_refused_where_nothing_expects_them(tmp_path: Path, line: str) -> None:
    text = line if "preset" in line else f'preset = "base"\n{line}'
    with pytest.raises(ConfigError, match="far_registers = True; it must be false with serial or sddmm"):
        load_config(write(tmp_path, f"{text}\nfar_registers = true\n"))


def test_packed_tiles_may_drain_in_turn(tmp_path: Path) -> None:
    assert load_config(write(tmp_path, 'preset = "lean64"\ncompressed_b = true\n')).lean_drain


@pytest.mark.parametrize("line", ["tile_bytes = 256", "tile_bytes = 16384", "lanes = 32",
                                  "scale_multipliers = 0", "scaler_block = true"])
def test_a_serial_array_may_be_smaller_or_larger_than_its_preset(tmp_path: Path, line: str) -> None:
    config = load_config(write(tmp_path, f'preset = "micro"\n{line}\n'))
    assert config.serial and config != replace(PRESETS["micro"], name="mine")


def test_a_missing_file_and_preset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="unknown preset 'hugo'"):
        config_by_preset("hugo")


@pytest.mark.parametrize("name", PRESETS)
def test_presets_have_consistent_widths(name: str) -> None:
    config = PRESETS[name]
    assert config.lane_values * config.total_lanes == config.tile_bytes
    assert not config.compressed_b or config.slot_bits <= 2 * config.half_word_bits
    assert 1 << config.index_bits >= config.tile_bytes
    assert config.words_per_beat in (1, 2)


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Config().pes = 4  # type: ignore[misc]


@pytest.mark.parametrize("name", ["../../evil", "/x/y", "a b", "a\nb", "a */ b", "", "x" * 65, "\u00e4"])
def test_a_name_that_is_no_part_of_a_file_s_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="it must be 1 to 64 letters, digits"):
        Config(name=name)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b'\xef\xbb\xbfpreset = "tiny"\r\nlanes = 4\r\n')
    assert load_config(tmp_path / "mine.toml").pes == PRESETS["tiny"].pes
