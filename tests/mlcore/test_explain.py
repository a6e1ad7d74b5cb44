"""A map shows where its own label is favoured, and nothing when it is nowhere."""

from __future__ import annotations

import numpy as np

from mlcore.explain import finding_map, heat_layer, overlay


def test_strongest_place_is_one_and_evidence_against_is_zero() -> None:
    maps = np.zeros((2, 2, 3), np.float32)
    maps[0, 0, 1], maps[0, 1, 1], maps[1, 1, 1] = 4, 2, -3
    np.testing.assert_allclose(finding_map(maps, 1), [[1, 0.5], [0, 0]])


def test_label_favoured_nowhere_has_an_empty_map() -> None:
    maps = np.zeros((7, 7, 3), np.float32)
    maps[..., 0] = 1
    assert not finding_map(maps, 2).any()


def test_overlay_has_the_size_of_the_film_and_colours_only_the_finding() -> None:
    shares = np.zeros((4, 4), np.float32)
    shares[0, 0] = 1
    picture = np.asarray(overlay(np.full((80, 60), 0.5, np.float32), shares)).astype(int)
    assert picture.shape == (80, 60, 3)
    assert picture[4, 4, 0] > picture[4, 4, 2] + 50
    assert np.ptp(picture[-5, -5]) <= 2


def test_layer_without_finding_is_transparent() -> None:
    assert heat_layer(np.zeros((7, 7), np.float32), (32, 32)).getchannel("A").getextrema() == (0, 0)
