"""Jobs as bytes in memory, changed after the runtime has made them."""

import numpy as np

from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS
from hdl.layouts import AFormat, BFormat
from sim.models.extents import MERGES, SAMPLES
from zerolane import runtime

__all__ = ["ADDRESSES", "FIELDS", "add_to_words", "content_of", "edited", "field_of", "fields_of", "is_csr",
           "is_run", "row_count"]

FIELDS = {field.name: field for field in DESCRIPTOR_FIELDS}
ADDRESSES = [name for name in FIELDS
             if name.rpartition("_")[2] in ("pointers", "indices", "values", "address")]


def is_csr(fields: dict[str, int], matrix: str) -> bool:
    dense = (AFormat.DENSE,) if matrix == "a" else (BFormat.DENSE, BFormat.DENSE_PACKED)
    return fields[f"{matrix}_format"] not in [form.value for form in dense]


def row_count(fields: dict[str, int], matrix: str) -> int:
    """Rows of A, B or C; elementwise, all have as many."""
    return fields["k_count" if matrix == "b" and fields["opcode"] not in MERGES else "rows"]


def is_run(fields: dict[str, int], name: str) -> bool:
    """Rows that follow each other without a gap, which are read and written in another way."""
    streamed = fields["n_count" if fields["opcode"] in SAMPLES else "k_count"]
    width = {"a_stride": streamed, "b_stride": fields["n_count"]}.get(name)
    return fields[name] == width if width else fields[name] % 8 == 0


def add_to_words(address: int, content: bytes, places: set[int], number: int) -> bytes:
    """Memory contents with a number added to the words at some addresses."""
    if not any(address <= place < address + len(content) for place in places):
        return content
    words = np.frombuffer(content, "<u4").copy()
    for place in places:
        if address <= place < address + len(content):
            word = (place - address) // 4
            words[word] = (int(words[word]) + number) % (1 << 32)
    return words.tobytes()


def content_of(image: runtime.Image) -> bytearray:
    """The descriptors' bytes."""
    return bytearray(dict(image.pieces)[image.descriptor_address])


def edited(image: runtime.Image, number: int, **values: int) -> runtime.Image:
    """The image with fields of a descriptor changed."""
    content = content_of(image)
    for name, value in values.items():
        field = FIELDS[name]
        start = number * DESCRIPTOR_BYTES + 4 * field.word
        word = int.from_bytes(content[start:start + 4], "little")
        word = word & ~(((1 << field.bits) - 1) << field.offset) | value << field.offset
        content[start:start + 4] = word.to_bytes(4, "little")
    image.pieces.append((image.descriptor_address, bytes(content)))
    return image


def fields_of(image: runtime.Image, number: int) -> dict[str, int]:
    content = content_of(image)[number * DESCRIPTOR_BYTES:(number + 1) * DESCRIPTOR_BYTES]
    words = np.frombuffer(content, "<u4")
    return {name: int(words[field.word]) >> field.offset & ((1 << field.bits) - 1)
            for name, field in FIELDS.items()}


def field_of(image: runtime.Image, number: int, name: str) -> int:
    return fields_of(image, number)[name]
