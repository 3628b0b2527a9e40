"""Signing in by an OpenID provider: authorization code with PKCE, OpenID Connect Core 1.0.

Authlib speaks OAuth; joserfc verifies the ID token against the provider's published keys.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from adloom.errors import SignInRefusedError, UnavailableError
from adloom.states import Role
from tasks.sign_in import Identity
from tasks.users import new_token

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
"""Signatures by a public key; `none` and shared secrets are not taken."""
SCOPE = "openid profile email"
_KNOWN_S = 3600.0
_TIMEOUT_S = 10.0
_LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class ProviderOptions:
    """A provider, and which of its claims makes which role.

    `role_claim` may be a path (`resource_access.adloom.roles`); `roles` maps its values to roles,
    `*` those of everybody the provider lets in.
    """

    issuer: str
    client_id: str
    client_secret: str | None = field(repr=False)
    role_claim: str
    roles: Mapping[str, Role]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a browser has to bring back: it stands, signed, in a cookie of its own."""

    state: str
    nonce: str
    verifier: str = field(repr=False)
    next: str

    @classmethod
    def new(cls, next: str) -> "Attempt":
        return cls(new_token(), new_token(), new_token() + new_token(), next)


class Provider:
    """One provider, its addresses and keys remembered for an hour."""

    def __init__(self, options: ProviderOptions, redirect_uri: str) -> None:
        self._options, self._redirect_uri = options, redirect_uri
        self._lock = Lock()
        self._known: dict[str, tuple[float, dict[str, Any]]] = {}

    def authorization_url(self, attempt: Attempt) -> str:
        """Where the browser goes to sign in. Raises UnavailableError."""
        with self._client() as client:
            url, _ = client.create_authorization_url(
                self._metadata()["authorization_endpoint"],
                state=attempt.state,
                nonce=attempt.nonce,
                code_verifier=attempt.verifier,
            )
        return url

    def identity(self, attempt: Attempt, code: str) -> Identity:
        """Who signed in. Raises SignInRefusedError, UnavailableError."""
        try:
            with self._client() as client:
                token = client.fetch_token(
                    self._metadata()["token_endpoint"],
                    grant_type="authorization_code",
                    code=code,
                    code_verifier=attempt.verifier,
                )
        except AuthlibBaseError as error:
            raise SignInRefusedError(f"The provider refused: {error.error}") from error
        except (httpx.HTTPError, ValueError) as error:
            raise self._unavailable(error) from error
        claims = self._claims(str(token.get("id_token", "")), attempt.nonce)
        return Identity(
            subject=f"{self._options.issuer} {claims['sub']}",
            name=str(claims.get("preferred_username") or claims.get("email") or claims["sub"]),
            role=self._role(claims),
        )

    def _claims(self, id_token: str, nonce: str) -> dict[str, Any]:
        """The ID token's claims, once its signature, issuer, audience, times and nonce hold."""
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._metadata()["issuer"]},  # to the last slash
            aud={"essential": True, "value": self._options.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = self._decoded(id_token)
            registry.validate(token.claims)
        except (JoseError, ValueError) as error:
            raise SignInRefusedError("The provider's ID token does not hold.") from error
        audience = token.claims["aud"]
        if isinstance(audience, list) and len(audience) > 1:
            registry = jwt.JWTClaimsRegistry(
                azp={"essential": True, "value": self._options.client_id}
            )
            try:
                registry.validate(token.claims)
            except JoseError as error:
                raise SignInRefusedError("The ID token is for another application.") from error
        return token.claims

    def _decoded(self, id_token: str) -> jwt.Token:
        """Keys may have been replaced since they were fetched: they are asked for once more."""
        try:
            return jwt.decode(id_token, self._keys(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            self._forget(self._metadata()["jwks_uri"])
            return jwt.decode(id_token, self._keys(), algorithms=ALGORITHMS)

    def _role(self, claims: Mapping[str, Any]) -> Role | None:
        """The highest role that a claim's values map to."""
        found: Any = claims
        for part in self._options.role_claim.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        values = {str(v) for v in found} if isinstance(found, list) else {str(found)}
        roles = [role for value, role in self._options.roles.items() if value in {*values, "*"}]
        return max(roles, key=tuple(Role).index, default=None)

    @contextmanager
    def _client(self) -> Iterator[OAuth2Client]:
        options = self._options
        client: Any = OAuth2Client(
            options.client_id,
            options.client_secret,
            token_endpoint_auth_method="client_secret_basic" if options.client_secret else "none",
            scope=SCOPE,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            timeout=_TIMEOUT_S,
        )
        with client:
            yield client

    def _metadata(self) -> dict[str, Any]:
        found = self._fetched(f"{self._options.issuer}/.well-known/openid-configuration")
        if found.get("issuer", "").rstrip("/") != self._options.issuer:
            raise SignInRefusedError("The provider gives itself another name than is set.")
        return found

    def _keys(self) -> KeySet:
        return KeySet.import_key_set(self._fetched(self._metadata()["jwks_uri"]))  # pyright: ignore

    def _fetched(self, url: str) -> dict[str, Any]:
        with self._lock:
            at, known = self._known.get(url, (0.0, {}))
            if not known or time.monotonic() - at > _KNOWN_S:
                try:
                    answer = httpx.get(url, timeout=_TIMEOUT_S).raise_for_status()
                    known = dict(answer.json())
                except (httpx.HTTPError, ValueError, TypeError) as error:
                    raise self._unavailable(error) from error
                self._known[url] = (time.monotonic(), known)
            return known

    def _forget(self, url: str) -> None:
        with self._lock:
            self._known.pop(url, None)

    def _unavailable(self, error: Exception) -> UnavailableError:
        return UnavailableError(
            f"the OpenID provider does not answer: {type(error).__name__}",
            where=self._options.issuer,
            hint="try again later, or sign in by password",
        )
