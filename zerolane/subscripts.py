"""Subscripts as NumPy's einsum has them: read, checked against the operands, sorted by what they do."""

from collections.abc import Sequence
from dataclasses import dataclass

from .operands import OperandError

__all__ = ["EinsumError", "Subscripts", "is_elementwise_product", "pair_roles", "read_subscripts"]


class EinsumError(OperandError):
    """Subscripts that the array cannot do or that do not go with the operands; says what would be right."""


@dataclass(frozen=True)
class Subscripts:
    """Letters of each operand and of the result, in order, and how many values each letter takes."""

    text: str
    inputs: tuple[str, ...]
    output: str
    sizes: dict[str, int]

    def refuse(self, reason: str) -> EinsumError:
        """An error to raise, which names the subscripts."""
        return EinsumError(f"einsum {self.text!r}: {reason}")

    def shape(self, letters: str) -> tuple[int, ...]:
        return tuple(self.sizes[letter] for letter in letters)


@dataclass(frozen=True)
class PairRoles:
    """What the letters of a product of two operands do: rows, inner ones that are summed, columns."""

    rows: str
    inner: str
    columns: str


def read_subscripts(text: str, shapes: Sequence[tuple[int, ...]]) -> Subscripts:
    """Check `text` by itself and against the operands' shapes.

    Without `->` the result has the letters that occur once, in alphabetical order. Raises EinsumError.
    """
    def refuse(reason: str) -> EinsumError:
        return EinsumError(f"einsum {text!r}: {reason}")

    left, arrow, output = text.replace(" ", "").partition("->")
    inputs = tuple(left.split(","))
    letters = "".join(inputs)
    if "..." in text:
        raise refuse("'...' is not known here; write a letter for every dimension")
    strange = sorted(set(letters + output) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
    if strange:
        raise refuse(f"{strange[0]!r} is no letter; it must look like 'ik,kj->ij'")
    if len(inputs) != len(shapes):
        raise refuse(f"subscripts for {len(inputs)} operands, {len(shapes)} given")
    if not arrow:
        output = "".join(letter for letter in sorted(set(letters)) if letters.count(letter) == 1)
    sizes: dict[str, int] = {}
    for number, (subscript, shape) in enumerate(zip(inputs, shapes, strict=True)):
        if len(subscript) != len(shape):
            raise refuse(f"operand {number} has {len(shape)} dimensions; {subscript!r} names "
                         f"{len(subscript)}")
        if len(set(subscript)) != len(subscript):
            raise refuse(f"{subscript!r} repeats a letter: the array takes no diagonals; pass the diagonal "
                         "as a vector")
        for letter, size in zip(subscript, shape, strict=True):
            if sizes.setdefault(letter, size) != size:
                raise refuse(f"{letter!r} is {sizes[letter]} before operand {number} and {size} there; "
                             "a letter has one size")
    if len(set(output)) != len(output):
        raise refuse(f"the result {output!r} repeats a letter; each may occur once")
    unknown = sorted(set(output) - set(letters))
    if unknown:
        raise refuse(f"{unknown[0]!r} of the result is in no operand")
    return Subscripts(text, inputs, output, sizes)


def pair_roles(subscripts: Subscripts) -> PairRoles:
    """Rows, inner letters and columns of a product of two; EinsumError where it is no matrix product."""
    first, second = subscripts.inputs
    kept = [letter for letter in first if letter in second and letter in subscripts.output]
    if kept:
        raise subscripts.refuse(
            f"{kept[0]!r} is in both operands and in the result: an elementwise, masked or batched product, "
            f"which the array cannot do yet; a matrix product sums over every letter that both have "
            f"(for a batch, one product for each {kept[0]!r})")
    for mine, other in ((first, second), (second, first)):
        lost = [letter for letter in mine if letter not in other and letter not in subscripts.output]
        if lost:
            raise subscripts.refuse(
                f"{lost[0]!r} is summed in {mine!r} alone, which is no product; multiply by a vector of "
                f"ones ({mine + ',' + lost[0]}->{mine.replace(lost[0], '')}) or keep it in the result")
    return PairRoles("".join(letter for letter in subscripts.output if letter in first),
                     "".join(letter for letter in first if letter in second),
                     "".join(letter for letter in subscripts.output if letter in second))


def is_elementwise_product(text: str) -> bool:
    """Whether subscripts multiply two matrices place by place, as "ij,ij->ij"."""
    inputs, _, output = text.replace(" ", "").partition("->")
    return inputs == f"{output},{output}" and len(output) == 2 and output[0] != output[1]
