"""What an installation is told, and what it says when that is wrong."""

from pathlib import Path

import pytest

from adloom.errors import ConfigurationError
from tasks.settings import Settings


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in [n for n in os.environ if n.startswith("ADLOOM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def test_root_has_a_home_that_the_embedded_postgres_may_enter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert Settings.load().home == Path("/var/lib/adloom")


def test_nothing_set_gives_an_installation_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    settings = Settings.load()
    assert settings.home == tmp_path / ".adloom"
    assert settings.storage().url == (tmp_path / ".adloom" / "objects").as_uri()
    assert (settings.workspace, settings.database_url, settings.prefect_api_url) == (
        "default",
        None,
        None,
    )
    assert settings.rendering().weights_root.name == "weights"


def test_variables_are_read_and_empty_ones_count_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADLOOM_HOME", "~/shop")
    monkeypatch.setenv("ADLOOM_STORAGE_URL", "s3://ads/x")
    monkeypatch.setenv("ADLOOM_S3_ENDPOINT", "http://127.0.0.1:9000/")
    monkeypatch.setenv("ADLOOM_DTYPE", "bfloat16")
    monkeypatch.setenv("ADLOOM_LEASE_S", "7.5")
    monkeypatch.setenv("ADLOOM_THREADS", "2")
    monkeypatch.setenv("ADLOOM_DATABASE_URL", "")
    settings = Settings.load()
    assert settings.home == Path("~/shop").expanduser()
    assert (settings.storage().url, settings.storage().endpoint) == (
        "s3://ads/x",
        "http://127.0.0.1:9000",
    )
    rendering = settings.rendering()
    assert (rendering.dtype, rendering.lease_s, rendering.threads) == ("bfloat16", 7.5, 2)
    assert settings.database_url is None


def test_acceleration_and_a_lora_reach_the_renderer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADLOOM_CHANNELS_LAST", "true")
    monkeypatch.setenv("ADLOOM_COMPILE", "reduce-overhead")
    monkeypatch.setenv("ADLOOM_LORA", "/weights/lcm.safetensors")
    monkeypatch.setenv("ADLOOM_LORA_STRENGTH", "0.5")
    monkeypatch.setenv("ADLOOM_LORA_LICENCE", "MIT")
    rendering = Settings.load().rendering()
    assert (rendering.channels_last, rendering.compile) == (True, "reduce-overhead")
    lora = rendering.lora, rendering.lora_strength, rendering.lora_licence
    assert lora == (Path("/weights/lcm.safetensors"), 0.5, "MIT")


def test_a_relative_home_does_not_move_with_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADLOOM_HOME", "shop/../data")
    assert Settings.load().home == tmp_path / "data"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ADLOOM_DATABASE_URL", "mysql://root:hunter2@db/x"),
        ("ADLOOM_PREFECT_API_URL", "localhost:4200"),
        ("ADLOOM_S3_ENDPOINT", "s3.example.com"),
        ("ADLOOM_WORKSPACE", "../other"),
        ("ADLOOM_DTYPE", "int8"),
        ("ADLOOM_THREADS", "-1"),
        ("ADLOOM_MICRO_BATCH", "0"),
        ("ADLOOM_BATCH_SIZE", "many"),
        ("ADLOOM_LEASE_S", "0"),
        ("ADLOOM_ALLOW_PRIVATE_ADDRESSES", "perhaps"),
    ],
)
def test_a_wrong_value_is_refused_by_the_variable_s_name_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        Settings.load()
    assert variable in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADLOOM_DATABASE_URL", "postgresql://me:hunter2@db/ads")
    settings = Settings.load()
    assert "hunter2" not in repr(settings)
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://me:hunter2@db/ads"


def test_a_named_file_is_read_and_the_environment_wins_over_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "adloom.env"
    file.write_text("# a comment\nADLOOM_WORKSPACE=brand-a\nADLOOM_THREADS='3'\n")
    monkeypatch.setenv("ADLOOM_ENV_FILE", str(file))
    monkeypatch.setenv("ADLOOM_THREADS", "1")
    settings = Settings.load()
    assert (settings.workspace, settings.threads) == ("brand-a", 1)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "ADLOOM_ENV_FILE"),
        ("ADLOOM_WORKSAPCE=x\n", "ADLOOM_WORKSAPCE"),
        ("AWS_ACCESS_KEY_ID=x\n", "export AWS"),
        ("ADLOOM_THREADS=x\n", "ADLOOM_THREADS"),
    ],
)
def test_an_unusable_file_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: str | None, named: str
) -> None:
    file = tmp_path / "adloom.env"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("ADLOOM_ENV_FILE", str(file))
    with pytest.raises(ConfigurationError, match=named):
        Settings.load()


def test_webhooks_are_variables_by_name_and_their_addresses_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "settings"
    file.write_text("ADLOOM_WEBHOOK_OPS_ROOM=https://chat.example/in?token=hidden\n")
    monkeypatch.setenv("ADLOOM_ENV_FILE", str(file))
    monkeypatch.setenv("ADLOOM_WEBHOOK_OPS_ROOM_SECRET", "hidden, too")
    found = Settings.load().webhooks()
    assert set(found) == {"ops-room"}
    assert found["ops-room"].url.endswith("token=hidden")
    assert found["ops-room"].secret == "hidden, too"
    assert "hidden" not in str(found)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ADLOOM_WEBHOOK_OPS", "chat.example/hidden", "ADLOOM_WEBHOOK_OPS.*no http|not an http"),
        ("ADLOOM_WEBHOOK_OPS_SECRET", "hidden", "no address ADLOOM_WEBHOOK_OPS"),
        ("ADLOOM_GPU_HOUR_PRICE", "2,50", "ADLOOM_GPU_HOUR_PRICE.*2.50 USD|no currency"),
    ],
)
def test_a_webhook_or_price_that_cannot_be_used_is_named_by_its_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigurationError, match=said) as raised:
        Settings.load().webhooks()
    assert "hidden" not in str(raised.value)
