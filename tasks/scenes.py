"""Scene packs: installed, listed."""

from dataclasses import dataclass
from pathlib import Path

from adloom.scenes import SceneTemplate, parse_scene_pack
from db.queries import scenes
from tasks.campaigns import read_text
from tasks.environment import Environment

SHIPPED_PACK = Path(__file__).parents[1] / "scenes" / "core.yaml"


@dataclass(frozen=True, slots=True)
class PackAdded:
    pack: str
    added: int
    unchanged: int


def add_pack(env: Environment, file: Path) -> PackAdded:
    """Stores a scene pack's templates. Raises SceneError by line and field, ConflictError for
    changed content under an old version."""
    pack = parse_scene_pack(read_text(file), where=str(file))
    with env.database.transaction() as tx:
        added = scenes.upsert_pack(tx, env.workspace_id, pack)
    return PackAdded(pack.slug, added, len(pack.templates) - added)


def list_scenes(env: Environment) -> tuple[SceneTemplate, ...]:
    with env.database.transaction() as tx:
        return scenes.list_latest(tx, env.workspace_id)


def show_scene(env: Environment, slug: str) -> SceneTemplate:
    """The newest version of a template. Raises NotFoundError naming near matches."""
    with env.database.transaction() as tx:
        return scenes.get(tx, env.workspace_id, slug)
