"""What an installation of adloom is told: environment variables, or a file of them.

Every field is the variable `ADLOOM_<FIELD>`. `ADLOOM_ENV_FILE` may name a file of such lines; the
process's own environment wins over it. Credentials for S3 are not settings: they come from the
standard AWS environment and configuration.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from adloom.catalog import Price
from adloom.errors import ConfigurationError
from adloom.prices import parse_price
from adloom.states import Role
from storage import StorageLocation
from tasks.environment import MaskModels, Rendering

PREFIX = "ADLOOM_"
_WEIGHTS = Path(__file__).parents[1] / "weights"
_WORKSPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_POSTGRES = re.compile(r"postgres(?:ql)?(?:\+psycopg)?://.+", re.DOTALL)
_HTTP = re.compile(r"https?://[^/]+.*")


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (resolve() follows links)


def _workspace(name: str) -> str:
    if not _WORKSPACE.fullmatch(name):
        raise ValueError("must be of lower-case letters, digits, - and _, at most 63")
    return name


def _postgres_url(url: SecretStr) -> SecretStr:
    if not _POSTGRES.fullmatch(url.get_secret_value()):
        raise ValueError("must look like postgresql://user:password@host:5432/database")
    return url


def _user_and_password(auth: SecretStr) -> SecretStr:
    if not all(auth.get_secret_value().partition(":")[::2]):
        raise ValueError("must look like user:password")
    return auth


def _http_url(url: str) -> str:
    if not _HTTP.fullmatch(url):
        raise ValueError("must be an http:// or https:// address")
    return url.rstrip("/")


def _role_map(text: str) -> str:
    roles_of(text)
    return text


def roles_of(text: str) -> dict[str, Role]:
    """`ads-admins=admin,*=viewer` as a mapping. Raises ValueError."""
    pairs = [pair.strip().rpartition("=") for pair in text.split(",") if pair.strip()]
    if not all(claim and role in {r.value for r in Role} for claim, _, role in pairs):
        known = ", ".join(Role)
        raise ValueError(f"must look like ads-admins=admin,*=viewer; roles are {known}")
    return {claim: Role(role) for claim, _, role in pairs}


def default_home() -> Path:
    """`~/.adloom`; for root a folder that the embedded Postgres' own user may enter."""
    return Path("/var/lib/adloom") if os.geteuid() == 0 else Path("~/.adloom")


def _price(text: str) -> str:
    try:
        parse_price(text)
    except ValueError:
        raise ValueError("must be an amount and a currency, such as 2.50 USD") from None
    return text


FolderPath = Annotated[Path, AfterValidator(_absolute)]
HttpAddress = Annotated[str, AfterValidator(_http_url)]


class Settings(BaseSettings):
    """An installation's settings. Use `Settings.load()`, which reports mistakes in our words."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore"
    )

    home: FolderPath = Field(default_factory=default_home, validate_default=True)
    """Where database, objects, logs and state are kept."""
    database_url: Annotated[SecretStr, AfterValidator(_postgres_url)] | None = None
    """A Postgres (14 or newer) to use in place of the embedded one."""
    storage_url: str | None = None
    """`file:///folder` or `s3://bucket/prefix`; the default is a folder in `home`."""
    s3_endpoint: HttpAddress | None = None
    """An S3-compatible server; the default is AWS."""
    prefect_api_url: HttpAddress | None = None
    """A Prefect server to use in place of our own, such as `http://host:4200/api`."""
    prefect_host: str = "127.0.0.1"
    """Where our own Prefect server listens; beyond this machine it needs a password."""
    prefect_auth: Annotated[SecretStr, AfterValidator(_user_and_password)] | None = None
    """`user:password` of the Prefect server, ours or another."""
    dashboard_host: str = "127.0.0.1"
    """Where the dashboard listens; beyond this machine it needs accounts and TLS."""
    dashboard_port: int = Field(default=4300, ge=0, le=65535)
    """0: any that is free."""
    dashboard_url: HttpAddress | None = None
    """The dashboard's address as browsers see it, where that is a proxy's: `https://ads.example`."""
    dashboard_certificate: FolderPath | None = None
    """A TLS certificate (PEM) that the dashboard shows; `dashboard_key` is its key."""
    dashboard_key: FolderPath | None = None
    gpu_hour_price: Annotated[str, AfterValidator(_price)] | None = None
    """What an hour of one device costs, such as `2.50 USD`; unset: no costs are shown."""
    review_reasons: str | None = None
    """Why a reviewer may reject, each with the letter pressed after `r`:
    `p=product_altered:Product altered, o=other`."""
    oidc_issuer: HttpAddress | None = None
    """An OpenID provider by which people sign in to the dashboard."""
    oidc_client_id: str = "adloom"
    oidc_client_secret: SecretStr | None = None
    oidc_role_claim: str = "roles"
    """The claim of the ID token that makes roles; `a.b` for one within another."""
    oidc_roles: Annotated[str, AfterValidator(_role_map)] = ""
    """Which of its values makes which role: `ads-admins=admin,ads-team=reviewer,*=viewer`."""
    workspace: Annotated[str, AfterValidator(_workspace)] = "default"
    weights: FolderPath = _WEIGHTS
    device: str = "cpu"
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    threads: int = Field(default=0, ge=0)
    """Processor threads for rendering; 0: as many as the machine has."""
    micro_batch: int = Field(default=4, ge=1)
    reference_cache_mb: int | None = Field(default=None, ge=0)
    """Memory of the device for products' reference features; unset: a tenth of a CUDA device's,
    256 on a CPU."""
    batch_size: int = Field(default=32, ge=1)
    lease_s: float = Field(default=20.0, ge=1.0)
    """How long a batch stays a silent worker's before another may take it."""
    allow_private_addresses: bool = False
    """Whether feeds and photos may be fetched from private networks."""
    allow_noncommercial_weights: bool = False
    """Whether weights may be loaded whose licence forbids commercial use or is unstated."""
    channels_last: bool = False
    """Convolutions on channels-last memory: quicker on a GPU."""
    compile: Literal["off", "default", "max-autotune-no-cudagraphs", "reduce-overhead"] = "off"
    """torch.compile of the model, minutes for each new size; a GPU's worker earns them back."""
    lora: FolderPath | None = None
    """A LoRA (safetensors) fused into the weights, such as one for few steps."""
    lora_strength: float = 1.0
    lora_licence: str | None = None
    """SPDX name of the licence of `lora`."""
    upscaler_weights: FolderPath | None = None
    """A super-resolution network for `upscaler: network`: an .onnx file, or an ncnn .param with its
    .bin; the default is the installed Real-ESRGAN."""
    upscaler_licence: str | None = None
    """SPDX name of the licence of `upscaler_weights`."""
    simulation_journal: FolderPath | None = None
    """A file to note simulated renders in. Only where it is set may a campaign name a renderer that
    makes noise: simulations and tests of the fleet do."""

    extractor: Literal["u2netp", "grounded-sam2"] = "u2netp"
    """By what photos are cut out: a saliency network, or Grounding DINO and SAM 2 by category."""
    extractor_detector: str = MaskModels().detector
    """A Grounding DINO: folder or hub id."""
    extractor_segmenter: str = MaskModels().segmenter
    """A SAM 2: folder or hub id."""

    @classmethod
    def load(cls, **given: Any) -> Self:
        """Reads the environment; `given` wins over it.

        Raises ConfigurationError that names the variable, never showing a secret.
        """
        try:
            return cls(_env_file=_env_file(), **given)  # pyright: ignore[reportCallIssue]
        except ValidationError as error:
            raise _configuration_error(error) from None

    def storage(self) -> StorageLocation:
        """Where the objects are."""
        url = self.storage_url or (self.home / "objects").as_uri()
        return StorageLocation(url, endpoint=self.s3_endpoint)

    def price_per_hour(self) -> Price | None:
        """`gpu_hour_price` as a price."""
        return parse_price(self.gpu_hour_price) if self.gpu_hour_price else None

    def rendering(self) -> Rendering:
        """How this installation renders."""
        return Rendering(
            weights_root=self.weights,
            device=self.device,
            dtype=self.dtype,
            threads=self.threads,
            micro_batch=self.micro_batch,
            batch_size=self.batch_size,
            lease_s=self.lease_s,
            allow_noncommercial_weights=self.allow_noncommercial_weights,
            channels_last=self.channels_last,
            compile=self.compile,
            lora=self.lora,
            lora_strength=self.lora_strength,
            lora_licence=self.lora_licence,
            upscaler_weights=self.upscaler_weights,
            upscaler_licence=self.upscaler_licence,
            reference_cache_mb=self.reference_cache_mb,
            masks=MaskModels(self.extractor, self.extractor_detector, self.extractor_segmenter),
            simulation_journal=self.simulation_journal,
        )


def _env_file() -> Path | None:
    named = os.environ.get(f"{PREFIX}ENV_FILE")
    if not named:
        return None
    path = _absolute(Path(named))
    try:
        path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}",
            where=f"{PREFIX}ENV_FILE",
        ) from error
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    unknown = sorted(n for n in dotenv_values(path, interpolate=False) if n.upper() not in known)
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)} is no setting of adloom",
            where=str(path),
            hint="the file may set " + ", ".join(sorted(known)) + "; export AWS_* variables",
        )
    return path


def _configuration_error(error: ValidationError) -> ConfigurationError:
    problems = [
        (f"{PREFIX}{str(p['loc'][0]).upper()}" if p["loc"] else PREFIX, p["msg"])
        for p in error.errors(include_input=False, include_url=False)
    ]
    named = [f"{name} {message.removeprefix('Value error, ')}" for name, message in problems]
    return ConfigurationError("; ".join(named), hint="correct the variable or unset it")
