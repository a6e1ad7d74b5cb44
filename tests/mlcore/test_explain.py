"""A map shows where its own label is favoured, and nothing when it is nowhere."""

from __future__ import annotations

import numpy as np

from mlcore.explain import finding_map


def test_strongest_place_is_one_and_evidence_against_is_zero() -> None:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[0, 0, 1], maps[0, 1, 1], maps[1, 1, 1] = 4, 2, -3
    np.testing.assert_allclose(finding_map(maps, 1), [[1, 0.5], [0, 0]])


def test_label_favoured_nowhere_has_an_empty_map() -> None:
    maps = np.zeros((7, 7, 3), np.float32)
    maps[..., 0] = 1
    assert not finding_map(maps, 2).any()
