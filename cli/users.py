"""`adloom user`: who may sign in to the dashboard, and as what."""

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer

from adloom.errors import InvalidInputError
from adloom.states import Role
from cli.console import JsonOption, emit, stdout, table
from cli.session import environment

app = typer.Typer(help="Accounts of the dashboard.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
RoleOption = Annotated[Role, typer.Option(help="What it may do; each role includes the former.")]
PasswordFileOption = Annotated[
    Path | None,
    typer.Option(help="Read the password from this file, - for stdin; else it is asked for."),
]


@app.command()
def add(
    name: NameArgument,
    role: RoleOption = Role.VIEWER,
    password_file: PasswordFileOption = None,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="It signs in by links or an OpenID provider.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make an account."""
    from tasks import users as tasks

    with environment() as env:
        password = None if no_password else _password(password_file)
        made = tasks.add(env, name, role, password=password)
    emit(made, as_json, lambda: stdout.print(f"{made.name} is a {made.role.value}"))


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the accounts."""
    from tasks import users as tasks

    with environment() as env:
        found = tasks.listed(env)

    def human() -> None:
        names = ("name", "role", "password", "state", "last seen", "made")
        table(None, names, [
            (a.name, a.role.value, "yes" if a.has_password else "no",
             "disabled" if a.disabled_at else "active", a.seen_at, a.created_at)
            for a in found
        ])  # fmt: skip

    emit({"users": found}, as_json, human)


@app.command()
def role(name: NameArgument, role: RoleOption, as_json: JsonOption = False) -> None:
    """Change an account's role; it holds at once."""
    from tasks import users as tasks

    with environment() as env:
        tasks.set_role(env, name, role)
    emit({"name": name, "role": role}, as_json, lambda: stdout.print(f"{name} is a {role.value}"))


@app.command()
def password(
    name: NameArgument, password_file: PasswordFileOption = None, as_json: JsonOption = False
) -> None:
    """Set an account's password, and sign it out everywhere."""
    from tasks import users as tasks

    with environment() as env:
        ended = tasks.set_password(env, name, _password(password_file))
    emit({"name": name, "sessions_ended": ended}, as_json, lambda: stdout.print(
        f"the password of {name} is changed; {ended} sessions ended"
    ))  # fmt: skip


@app.command()
def disable(name: NameArgument, as_json: JsonOption = False) -> None:
    """Keep an account from signing in; sessions and tokens end at once."""
    _set_disabled(name, True, as_json)


@app.command()
def enable(name: NameArgument, as_json: JsonOption = False) -> None:
    """Let a disabled account sign in again."""
    _set_disabled(name, False, as_json)


@app.command()
def link(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print a link that signs the account in once, within a quarter of an hour."""
    from cli.dashboard import sign_in_line
    from services.dashboard import address, dashboard_status
    from tasks import users as tasks
    from tasks.settings import Settings

    settings = Settings.load()
    with environment() as env:
        token = tasks.create_link(env, name)
    status = dashboard_status(settings)
    url = (
        status.address
        if status
        else address(settings, settings.dashboard_host, settings.dashboard_port)
    )
    emit({"url": f"{url}/sign-in/link?token={token}"}, as_json, lambda: stdout.print(
        sign_in_line(url, token), soft_wrap=True
    ))  # fmt: skip


@app.command()
def token(
    name: NameArgument,
    label: Annotated[str, typer.Option(help="What it is for.")] = "default",
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it holds.")] = 90,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take it back instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a token with which a program speaks for the account; it is shown only now."""
    from tasks import users as tasks

    with environment() as env:
        if revoke:
            tasks.revoke_token(env, name, label)
            emit({"revoked": label}, as_json, lambda: stdout.print(f"'{label}' is revoked"))
            return
        made = tasks.create_token(env, name, label, days=days)
    emit({"token": made}, as_json, lambda: stdout.print(made, soft_wrap=True))


@app.command()
def tokens(as_json: JsonOption = False) -> None:
    """List the API tokens of all accounts."""
    from tasks import users as tasks

    with environment() as env:
        found = tasks.tokens(env)

    def human() -> None:
        names = ("account", "label", "made", "used", "expires")
        table(None, names, [
            (t.account, t.label, t.created_at, t.used_at, t.expires_at) for t in found
        ])  # fmt: skip

    emit({"tokens": found}, as_json, human)


def _set_disabled(name: str, disabled: bool, as_json: bool) -> None:
    from tasks import users as tasks

    with environment() as env:
        tasks.set_disabled(env, name, disabled)
    state = "disabled" if disabled else "active"
    emit({"name": name, "state": state}, as_json, lambda: stdout.print(f"{name} is {state}"))


def _password(file: Path | None) -> str:
    """From a file, or asked for twice; never from the command line, which others can see."""
    if file is not None:
        try:
            text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(
                f"the password cannot be read: {error}", where="--password-file"
            ) from error
        return text.rstrip("\r\n")
    if not sys.stdin.isatty():
        raise InvalidInputError(
            "there is no terminal to ask for the password", hint="give --password-file FILE or -"
        )
    given = getpass.getpass("Password: ")
    if given != getpass.getpass("Again: "):
        raise InvalidInputError("the two are not the same")
    return given
