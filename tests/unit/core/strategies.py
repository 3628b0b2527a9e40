"""Hypothesis strategies for the core's values."""

from hypothesis import strategies as st

from adloom.catalog import PhotoRole
from adloom.geometry import Anchor, Box, Placement, Size
from adloom.planning import PlannableProduct, RendererIdentity
from adloom.render_spec import RenderSpec, Sampler, Shortcuts
from adloom.scenes import SceneTemplate

fractions = st.floats(0.05, 1.0, allow_nan=False)
placements = st.builds(
    Placement,
    anchor=st.sampled_from(Anchor),
    center_x=st.floats(0, 1),
    baseline_y=st.floats(0, 1),
    height=fractions,
    max_width=fractions,
)
sizes = st.builds(Size, st.integers(1, 4000), st.integers(1, 4000))
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
words = st.text("abcdefg ", min_size=1, max_size=20).filter(str.strip)
samplers = st.builds(
    Sampler,
    name=st.just("ddim"),
    steps=st.integers(1, 50),
    guidance=st.floats(1, 10),
    reference_scale=st.floats(0, 2),
    shortcuts=st.builds(
        Shortcuts,
        product_tokens_only=st.booleans(),
        guided_above=st.floats(0, 0.4),
        guided_below=st.floats(0.5, 1),
        reuse_every=st.integers(1, 3),
    ),
)
boxes = st.builds(Box, st.floats(0, 100), st.floats(0, 100), st.floats(1, 100), st.floats(1, 100))
specs = st.builds(
    RenderSpec,
    photo_sha256=hashes,
    mask_sha256=hashes,
    prompt=words,
    negative_prompt=words,
    product_box=boxes,
    native=sizes,
    sampler=samplers,
    seed=st.integers(0, 2**63 - 1),
    weights_hash=hashes,
    dtype=st.sampled_from(["float32", "bfloat16"]),
    renderer_version=st.just("1"),
)
products = st.builds(
    PlannableProduct,
    product_id=st.integers(1, 10**6),
    external_id=words,
    title=words,
    category=st.sampled_from(["Apparel > Sneakers", "Home > Cushion", "mug", ""]),
    brand=words,
    photo_sha256=hashes,
    photo_role=st.sampled_from(PhotoRole),
    mask_sha256=hashes,
    mask_confidence=st.floats(0, 1),
    bbox_size=st.builds(Size, st.integers(0, 2000), st.integers(0, 2000)),
    colours=st.lists(st.sampled_from(["red", "blue"]), min_size=1, max_size=2).map(tuple),
)
templates = st.builds(
    SceneTemplate,
    slug=st.text("abcdef", min_size=1, max_size=8),
    version=st.integers(1, 3),
    title=words,
    prompt=st.sampled_from(["a {colours} {category} on sand", "{title} by {brand}", "plain"]),
    negative_prompt=st.just("text"),
    placement=placements,
    sampler=samplers,
    categories=st.sampled_from([(), ("sneakers",), ("mug", "cushion")]),
)


def renderer(**changes: object) -> RendererIdentity:
    values: dict[str, object] = {
        "weights_hash": "f" * 64,
        "dtype": "float32",
        "unit_px": 16,
        "max_tokens": 77,
        "count_tokens": lambda text: len(text.split()),
    }
    return RendererIdentity(**{**values, **changes})  # type: ignore[arg-type]
