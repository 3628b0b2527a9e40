"""The studio's surfaces: closed, wound outwards, with unit normals and uv within the picture."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.rendering.surfaces import (
    Mesh,
    fillet,
    joined,
    lathe,
    loft,
    rotation,
    rounded_box,
    sphere,
    squircle,
    tube,
)

lengths = st.floats(0.5, 20.0)


def volume(mesh: Mesh) -> float:
    """Signed volume by the divergence theorem: positive if the faces are wound outwards."""
    p, q, r = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->i", p, np.cross(q, r)).sum() / 6)


def cylinder(radius: float, height: float) -> Mesh:
    return lathe(np.array([[0.0, 0.0], [radius, 0.0], [radius, height], [0.0, height]]))


@settings(max_examples=25, deadline=None)
@given(radius=lengths, height=lengths)
def test_a_lathe_encloses_what_it_turns(radius: float, height: float) -> None:
    assert volume(cylinder(radius, height)) == pytest.approx(np.pi * radius**2 * height, rel=2e-3)


@settings(max_examples=25, deadline=None)
@given(w=lengths, d=lengths, h=lengths)
def test_a_rounded_box_is_a_little_less_than_the_box(w: float, d: float, h: float) -> None:
    faces = rounded_box(w, d, h, 0.1 * min(w, d, h))
    assert 0.97 * w * d * h < volume(joined(*faces.values())) < w * d * h


def test_a_ring_has_the_volume_of_a_torus() -> None:
    t = np.linspace(0, 2 * np.pi, 201)[:-1]
    path = np.stack([5 * np.cos(t), 5 * np.sin(t), np.zeros(200)], axis=1)
    ring = tube(path, squircle(1.0, 1.0, 2.0, 96), closed=True)
    assert volume(ring) == pytest.approx(2 * np.pi**2 * 5, rel=5e-3)


def test_a_straight_tube_is_closed_by_a_dome_at_both_ends() -> None:
    path = np.stack([np.zeros(9), np.zeros(9), np.linspace(0, 4, 9)], axis=1)
    domes = 4 / 3 * np.pi * 1.0 * 0.5 * 0.25
    expected = np.pi * 1.0 * 0.5 * 4 + domes
    assert volume(tube(path, squircle(1.0, 0.5, 2.0, 200))) == pytest.approx(expected, rel=1e-2)


SOLIDS = {
    "cylinder": cylinder(1.0, 2.0),
    "sphere": sphere(3.0),
    "loft": loft(fillet([(0, 0, 0), (1, 0, 0.2), (1, 4, 0.2), (0, 4, 0)]), squircle(3, 2)),
    "box": joined(*rounded_box(3.0, 2.0, 5.0, 0.2).values()),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_are_units_and_uv_stay_within_the_picture(name: str) -> None:
    mesh = SOLIDS[name]
    used = np.unique(mesh.faces)
    assert np.linalg.norm(mesh.normals[used], axis=1) == pytest.approx(1.0)
    assert mesh.uv.min() >= -1e-9
    assert mesh.uv.max() <= 1 + 1e-9


def test_a_label_faces_the_camera_and_reads_from_left_to_right() -> None:
    ball = sphere(1.0)
    front = ball.vertices[np.abs(ball.uv[:, 0] - 0.5) < 0.01]
    right = ball.vertices[np.abs(ball.uv[:, 0] - 0.6) < 0.02]
    assert (front[np.abs(front[:, 2]) < 0.5][:, 1] < -0.8).all()
    assert (right[np.abs(right[:, 2]) < 0.5][:, 0] > 0.3).all()


def test_a_corner_is_rounded_by_its_radius() -> None:
    line = fillet([(0, 0, 0), (4, 0, 1), (4, 4, 0)], steps=30)
    arc = line[1:-1]
    assert np.linalg.norm(arc - np.array([3.0, 1.0]), axis=1) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(axis=st.sampled_from("xyz"), degrees=st.floats(-360, 360))
def test_turning_keeps_lengths_and_handedness(axis: str, degrees: float) -> None:
    matrix = rotation(axis, degrees)
    assert matrix @ matrix.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1.0)
