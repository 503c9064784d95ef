"""synth.area: cells find their blocks, and the blocks their place in the table."""

from synth.area import FENCE, Cell, Owners, area_by_block, instance_paths, mark_source, merged
from synth.picture import place_of

RTLIL = r"""
attribute \top 1
module \top
  cell \top_pe \pe0
  end
  cell \top_pe \pe1
  end
  cell $add $1
  end
end
""", r"""
module \top_pe.queue
end
attribute \top 1
module \top_pe
  cell \top_pe.queue \queue
  end
  cell \MULT18X18D \dsp
  end
end
"""
PATHS = {"": "top", "pe0": "top_pe", "pe0.queue": "top_pe.queue", "pe1": "top_pe",
         "pe1.queue": "top_pe.queue"}


def test_instances_are_found_through_shared_modules() -> None:
    assert instance_paths(RTLIL, "top") == PATHS


def test_a_register_belongs_to_the_module_in_its_source_in_the_instance_of_its_name() -> None:
    owners = Owners(PATHS)
    assert owners.of("pe1.o_payload_FF", mark_source("top_pe.queue") + "|/share/cells.v:3") == "pe1.queue"
    assert owners.of("pe1.o_payload_FF") == "pe1"
    assert owners.of("fence_in_FF") == ""


def test_the_area_counts_each_cell_where_it_is() -> None:
    cells = [
        Cell("pe0.queue.a_LUT4", "TRELLIS_COMB", "X1/Y1/A", ""), Cell("pe0.queue.a", "TRELLIS_FF", "", ""),
        Cell("pe1.dsp", "MULT18X18D", "", ""), Cell("pe1.queue.m", "DP16KD", "", ""),
        Cell("i$tr_io", "TRELLIS_IO", "", ""), Cell("x", "ICESTORM_LC", "", "", has_register=True),
        Cell("pe0.c", "CCU2C", "", ""),
    ]
    area = area_by_block(cells, Owners(PATHS))
    assert area == {
        FENCE: {"luts": 1, "registers": 1, "dsps": 0, "brams": 0},
        "pe0": {"luts": 2, "registers": 0, "dsps": 0, "brams": 0},
        "pe0.queue": {"luts": 1, "registers": 1, "dsps": 0, "brams": 0},
        "pe1": {"luts": 0, "registers": 0, "dsps": 1, "brams": 0},
        "pe1.queue": {"luts": 0, "registers": 0, "dsps": 0, "brams": 1},
    }
    assert merged(area, 1)["pe* (2)"] == {"luts": 3, "registers": 1, "dsps": 1, "brams": 1}


def test_the_stages_of_both_chains_are_one_line_of_the_table() -> None:
    one = {"luts": 1, "registers": 0, "dsps": 0, "brams": 0}
    area = {f"core.chain{chain}_stage{stage}": one for chain in (0, 1) for stage in (0, 1, 2)}
    assert merged(area, 2) == {"core.chain*_stage* (6)": one | {"luts": 6}}


def test_places_of_all_families_are_read() -> None:
    assert place_of("X26/Y5/SLICEC.K1") == (26, 5)
    assert place_of("X22/Y5/lc1") == (22, 5)
    assert place_of("X20Y3/LUT1") == (20, 3)
    assert place_of("CLOCK") is None
