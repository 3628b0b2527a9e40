"""Every family makes sound meshes, in words that the captions' vocabulary has."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

mi = pytest.importorskip("mitsuba", reason="AdProd-mini needs mitsuba: pip install '.[rendering]'")
pytest.importorskip("pyoidn", reason="AdProd-mini needs pyoidn: pip install '.[rendering]'")
mi.set_variant("scalar_rgb")

from training.adprod_mini.products import (  # noqa: E402
    FAMILIES,
    HELDOUT_FAMILIES,
    Family,
    Product,
    draw_product,
    made_of,
)
from training.adprod_mini.props import MAKERS, arranged  # noqa: E402
from training.rendering.tracing import (  # noqa: E402
    Shot,
    View,
    aim_at,
    coverage,
    on_the_set,
    shapes_of,
    traced,
    vertices_of,
)
from training.scenes_synth.grammar import CAPTION_WORDS  # noqa: E402
from training.scenes_synth.props import PROPS  # noqa: E402


def product(family: Family, shape: int, art: int = 0) -> Product:
    return made_of(np.random.default_rng(shape), np.random.default_rng(art), family)


def test_there_are_enough_families_and_none_is_on_both_sides() -> None:
    trained, held = ({f.name for f in group} for group in (FAMILIES, HELDOUT_FAMILIES))
    assert len(trained) == len(FAMILIES) >= 24
    assert len(held) == len(HELDOUT_FAMILIES) >= 4
    assert not trained & held


@pytest.mark.parametrize("family", [*FAMILIES, *HELDOUT_FAMILIES], ids=lambda f: f.name)
def test_a_family_makes_sound_meshes(family: Family) -> None:
    assert {word for name in family.words for word in name.split()} <= CAPTION_WORDS
    for seed in range(4):
        for part in product(family, seed).parts:
            mesh = part.mesh
            assert len(mesh.faces) > 0
            assert all(np.isfinite(a).all() for a in (mesh.vertices, mesh.normals, mesh.uv))
            used = np.unique(mesh.faces)
            assert np.allclose(np.linalg.norm(mesh.normals[used], axis=1), 1, atol=1e-6)
            assert mesh.faces.max() < len(mesh.vertices)


@pytest.mark.parametrize("family", [*FAMILIES, *HELDOUT_FAMILIES], ids=lambda f: f.name)
def test_the_shape_is_the_shapes_generators_alone(family: Family) -> None:
    first, other = product(family, 3, art=1).parts, product(family, 3, art=2).parts
    assert len(first) == len(other)
    pairs = zip(first, other, strict=True)
    assert all(np.array_equal(a.mesh.vertices, b.mesh.vertices) for a, b in pairs)


def test_products_of_one_silhouette_differ_in_print() -> None:
    drawn = [draw_product(np.random.default_rng(k), silhouette=5) for k in range(6)]
    assert len({p.family for p in drawn}) == 1
    assert len({str(p.parts[0].material) for p in drawn}) > 1


def test_every_prop_of_the_grammar_is_there_and_none_stands_in_the_product() -> None:
    assert set(MAKERS) == set(PROPS)
    footprint = (0.6, 0.5)
    for name in MAKERS:
        for seed in range(5):
            parts = arranged(np.random.default_rng(seed), name, footprint, 2.0)
            for part in parts:
                x, y = part.mesh.vertices[:, 0], part.mesh.vertices[:, 1]
                assert not ((np.abs(x) < footprint[0]) & (np.abs(y) < footprint[1])).any()


@pytest.mark.parametrize("family", [*FAMILIES, *HELDOUT_FAMILIES], ids=lambda f: f.name)
def test_nothing_that_is_seen_looks_away(family: Family) -> None:
    """The mask is told by light that shines from front sides alone: it must miss nothing that is
    hit."""
    parts = on_the_set(product(family, 0).parts, View())
    aim = aim_at(vertices_of(parts), View(elevation_deg=12, fill=0.8))
    shot = Shot(aim.camera(), 48)
    with TemporaryDirectory() as folder:
        shapes = shapes_of(parts, Path(folder))
        covered = coverage(shapes, shot, samples=4)
        lit = {"around": {"type": "constant"}, **shapes}
        depth = traced({"type": "aov", "aovs": "d:depth"}, lit, shot, 4)[..., -1]
    hit = depth > 0.5 * np.median(depth[depth > 0])
    assert (covered[hit] > 0).mean() > 0.98
