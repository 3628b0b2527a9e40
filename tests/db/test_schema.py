"""Migrations, constraints, and what the driver's errors become."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from adloom.errors import (
    ConfigurationError,
    ConflictError,
    DatabaseUnavailableError,
    InvalidInputError,
    SchemaMismatchError,
)
from adloom.states import Outcome, ReviewDecision
from db import migrate
from db.engine import Database, normalised
from db.queries import creatives, reviews, runs, workspaces
from db.schema import metadata
from tests.db.world import World, campaign
from tests.db_fixtures import TestServer


def test_migrations_go_up_and_down_and_up_again_with_data(
    database: Database, postgres_url: str
) -> None:
    world = World.open(database)
    world.add_products(2)
    run_id = world.run(campaign())
    world.render_all(run_id)
    world.judge(run_id)
    assert migrate.current(postgres_url) == migrate.head() == "0017"

    migrate.downgrade(postgres_url, "0002")

    with database.transaction() as tx:
        assert tx.execute(text("SELECT count(*) FROM product")).scalar_one() == 2
        assert tx.execute(text("SELECT to_regclass('render')")).scalar_one() is None
    with pytest.raises(SchemaMismatchError, match=r"'0002'.*adloom up"):
        migrate.check(postgres_url)
    migrate.upgrade(postgres_url)
    migrate.check(postgres_url)
    database.dispose()  # its connections remember the types that were dropped
    assert world.render_all(World.open(database).run(campaign())) == 8
    migrate.downgrade(postgres_url, "base")
    assert migrate.current(postgres_url) is None
    with database.transaction() as tx:
        left = "SELECT count(*) FROM pg_type WHERE typtype = 'e'"
        assert tx.execute(text(left)).scalar_one() == 0


@pytest.mark.parametrize(
    ("said", "timeout"), [({}, "20000"), ({"tcp_user_timeout": "60000"}, "60000")]
)
def test_a_connection_to_a_machine_that_is_gone_counts_as_lost_soon(
    postgres_url: str, said: dict[str, str], timeout: str
) -> None:
    url = normalised(postgres_url).update_query_dict(said).render_as_string(hide_password=False)
    database = Database(url)
    with database.transaction() as tx:
        driver: Any = tx.connection().connection.dbapi_connection
        given = driver.info.get_parameters()
    database.dispose()
    assert given["tcp_user_timeout"] == timeout
    lost_after_s = int(given["keepalives_idle"]) + 3 * int(given["keepalives_interval"])
    assert (given["keepalives_count"], lost_after_s) == ("3", 25)


def test_concurrent_upgrades_of_an_empty_database_wait_for_one_another(
    empty_postgres_url: str,
) -> None:
    with pytest.raises(SchemaMismatchError, match="'none'"):
        migrate.check(empty_postgres_url)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(migrate.upgrade, [empty_postgres_url] * 2))
    migrate.check(empty_postgres_url)


def test_a_schema_newer_than_this_version_is_refused(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.transaction() as tx:
        tx.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    with pytest.raises(SchemaMismatchError, match="does not know"):
        migrate.check(postgres_url)


def test_the_migrations_amount_to_the_declared_tables(shared_database: Database) -> None:
    with shared_database.transaction() as tx:
        context = MigrationContext.configure(tx.connection(), opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_table_but_the_details_of_others_belongs_to_a_workspace() -> None:
    details = {
        "photo_problem",
        "run_skipped",
        "finishing_failure",
        "render_failure",
        "recall_creative",
        "sync_mention",
        "workspace",
    }
    without = {t.name for t in metadata.sorted_tables if "workspace_id" not in t.columns}
    assert without == details


def test_reviews_cannot_be_changed_or_deleted(world: World) -> None:
    run_id = world.run(campaign(formats=("1:1",)))
    with world.database.transaction() as tx:
        item = next(iter(creatives.of_run(tx, run_id, outcomes=tuple(Outcome))))
        reviews.add(
            tx, world.ws, item.creative_id, image_sha256="i", reviewer="ann",
            decision=ReviewDecision.APPROVE,
        )  # fmt: skip
    for statement in ("UPDATE review SET reason = 'x'", "DELETE FROM review"):
        with pytest.raises(ConflictError, match="append-only"), world.database.transaction() as tx:
            tx.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE render SET state = 'rendered' WHERE workspace_id = :ws",
        "UPDATE render SET state = 'leased', batch_id = NULL WHERE workspace_id = :ws",
        "UPDATE render SET state = 'failed' WHERE workspace_id = :ws",
        "UPDATE run_item SET outcome = 'failed' WHERE workspace_id = :ws",
        "UPDATE batch SET state = 'leased' WHERE workspace_id = :ws",
        "INSERT INTO run_item (workspace_id, run_id, creative_id, render_id, scene_version, draw, "
        "finish_hash, disposition) SELECT workspace_id, run_id, creative_id, render_id, 1, 7, 'f', "
        "'new' FROM run_item WHERE workspace_id = :ws",
        "INSERT INTO render (workspace_id, fingerprint, spec) "
        "SELECT workspace_id, fingerprint, spec FROM render WHERE workspace_id = :ws",
    ],
)
def test_the_schema_itself_refuses_states_that_cannot_be(world: World, statement: str) -> None:
    world.cut(world.run(campaign()))
    with pytest.raises(ConflictError), world.database.transaction() as tx:
        tx.execute(text(statement), {"ws": world.ws})


def test_an_unreachable_database_is_named_without_its_password() -> None:
    database = Database("postgresql://ann:s3cret@127.0.0.1:1/adloom?connect_timeout=2")
    with pytest.raises(DatabaseUnavailableError, match=r"127\.0\.0\.1:1/adloom") as caught:
        database.check()
    database.dispose()
    assert caught.value.retryable
    assert "s3cret" not in f"{caught.value} {caught.value!r} {database.location}"
    with pytest.raises(DatabaseUnavailableError) as caught:
        migrate.current("postgresql://ann:s3cret@127.0.0.1:1/adloom")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://ann:s3cret@h/x", "::s3cret::", "s3cret"])
def test_what_is_no_postgres_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Database(url)
    assert "s3cret" not in str(caught.value)


def test_driver_errors_become_adloom_errors(
    shared_database: Database, empty_postgres_url: str
) -> None:
    with pytest.raises(InvalidInputError), shared_database.transaction() as tx:
        tx.execute(text("SELECT 1 / 0"))
    empty = Database(empty_postgres_url)
    with pytest.raises(SchemaMismatchError, match="adloom up"), empty.transaction() as tx:
        workspaces.ensure(tx, "w")
    empty.dispose()


def test_a_lost_connection_is_retryable_and_the_next_transaction_works(
    shared_database: Database, postgres_server: TestServer
) -> None:
    def loses_it() -> None:
        with shared_database.transaction() as tx:
            pid = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
            postgres_server.execute(f"SELECT pg_terminate_backend({pid})")
            tx.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailableError):
        loses_it()
    shared_database.check()


def test_an_error_within_a_transaction_rolls_it_back(world: World) -> None:
    run_id = world.run(campaign())

    def fails() -> None:
        with world.database.transaction() as tx:
            runs.set_flow_run(tx, run_id, "flow-run")
            raise ConflictError("mine")

    with pytest.raises(ConflictError, match="mine"):
        fails()
    with world.database.transaction() as tx:
        assert runs.get(tx, world.ws, run_id).flow_run_id is None


def test_open_items_of_a_run_are_found_by_their_partial_index(shared_database: Database) -> None:
    query = "EXPLAIN SELECT render_id FROM run_item WHERE run_id = 1 AND outcome = 'open'"
    with shared_database.transaction() as tx:
        tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(tx.execute(text(query)).scalars())
    assert "ix_run_item_open" in plan
