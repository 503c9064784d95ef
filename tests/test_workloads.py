"""zerolane.workloads: the same seed, the same matrices; the shapes they are named for."""

import numpy as np

from zerolane.workloads import generated_patterns


def test_the_same_seed_gives_the_same_matrices_and_another_seed_others() -> None:
    first, again, other = (dict(generated_patterns(seed)) for seed in (3, 3, 4))
    assert all((first[name] != again[name]).nnz == 0 for name in first)
    assert any(first[name].nnz != other[name].nnz for name in first)


def test_the_matrices_are_what_their_names_say() -> None:
    made = dict(generated_patterns())
    lengths = {name: np.diff(matrix.indptr) for name, matrix in made.items()}
    assert lengths["one_dense_row_2048"].max() == 2048
    assert (lengths["empty_rows_4096"] == 0).mean() > 0.7
    assert lengths["short_rows_8192"].max() <= 2
    assert abs(made["pruned_layer_75_768x768"].nnz / 768**2 - 0.25) < 0.01
    for matrix in made.values():
        matrix.check_format(full_check=True)
