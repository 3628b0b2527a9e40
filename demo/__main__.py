"""`make demo`: the main job, from feed to exported creatives, with the commands a user would type.

Everything lives in one folder (`.demo/` in the checkout; `/var/lib/adloom-demo` for root where the
checkout lies under root's own home, which the embedded Postgres cannot enter).
"""

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
ADLOOM = Path(sys.executable).with_name("adloom")
MARK = ".adloom-demo"
"""A file by which the demo knows again a folder that it made, or found empty."""
MADE = ("home", "export")
"""What the demo makes in that folder: its installation, and the creatives."""


def demo_home() -> Path:
    """Where the demo keeps its database, objects and export."""
    if given := os.environ.get("ADLOOM_DEMO_HOME"):
        return Path(given)
    if os.geteuid() == 0 and ROOT.is_relative_to("/root"):
        return Path("/var/lib/adloom-demo")
    return ROOT / ".demo"


def adloom(*arguments: str, env: dict[str, str], quiet: bool = False) -> str:
    """Runs one command as a user would and returns what it printed; ends the demo if it fails."""
    if not quiet:
        print(f"\n\033[1m$ adloom {shlex.join(arguments)}\033[0m", flush=True)
    done = subprocess.run(
        [str(ADLOOM), *arguments],
        env=env,
        cwd=ROOT,
        check=False,
        text=True,
        stdout=subprocess.PIPE if quiet else None,
    )
    # 5: the run ended with failed items; they are in the report, and the demo goes on to show it
    if done.returncode not in (0, 5):
        sys.exit(done.returncode)
    return done.stdout or ""


def prepare(home: Path) -> None:
    """Makes the demo's home. A folder that the user named is used only if the demo made it or it is
    empty: what the demo writes there it also deletes."""
    home.mkdir(parents=True, exist_ok=True)
    if _is_foreign(home) and any(home.iterdir()):
        sys.exit(
            f"{home} holds files that are not the demo's; set ADLOOM_DEMO_HOME to a new folder"
        )
    (home / MARK).touch()


def clean(home: Path, env: dict[str, str]) -> None:
    """Stops the demo's servers and removes what it made, wherever that is, and nothing else.

    Where they cannot be stopped, everything stays: no data is deleted under a live server.
    """
    if not home.exists():
        return
    if _is_foreign(home):
        sys.exit(f"{home} was not made by the demo (it holds no {MARK}); it is left as it is")
    adloom("down", env=env, quiet=True)
    for name in MADE:
        if (home / name).exists():
            shutil.rmtree(home / name)
    (home / MARK).unlink(missing_ok=True)
    if any(home.iterdir()):
        print(f"{home} stays: it holds files that the demo did not make")
    else:
        home.rmdir()


def _is_foreign(home: Path) -> bool:
    return "ADLOOM_DEMO_HOME" in os.environ and not (home / MARK).is_file()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--stop", action="store_true", help="only stop the demo's servers")
    parser.add_argument("--clean", action="store_true", help="stop them and remove the demo's home")
    parser.add_argument("--keep-running", action="store_true", help="leave the servers up")
    options = parser.parse_args()
    home = demo_home()
    env = {**os.environ, "ADLOOM_HOME": str(home / "home")}
    if options.clean:
        clean(home, env)
        return
    if options.stop:
        if home.exists():
            adloom("down", env=env, quiet=True)
        return
    started = time.monotonic()
    prepare(home)
    try:
        export = _show(home, env)
    finally:
        if not options.keep_running:
            adloom("down", env=env)
    minutes, seconds = divmod(round(time.monotonic() - started), 60)
    print(
        f"\nDone in {minutes} min {seconds:02d} s. Look at\n"
        f"  {export / 'index.html'}      photo | raw render | finished, with scores and verdicts\n"
        f"  {export / 'manifest.csv'}    one row per approved creative\n"
        "To look around (Prefect's pages, runs, creatives), start the servers again:\n"
        f"  ADLOOM_HOME={env['ADLOOM_HOME']} {os.path.relpath(ADLOOM)} up"
    )


def _show(home: Path, env: dict[str, str]) -> Path:
    export = home / "export"
    adloom("up", env=env)
    feed = os.path.relpath(HERE / "products" / "feed.tsv", ROOT)
    adloom("catalog", "add", "demo", "--kind", "feed", "--location", feed, env=env)
    adloom("catalog", "sync", "demo", env=env)
    campaign = os.path.relpath(HERE / "campaign.yaml", ROOT)
    adloom("campaign", "apply", campaign, env=env)
    adloom("campaign", "plan", "demo", env=env)
    adloom("run", "demo", "--wait", env=env)
    runs = json.loads(adloom("runs", "--json", env=env, quiet=True))
    run = str(runs["runs"][0]["run"])
    adloom("report", run, env=env)
    if export.exists():
        shutil.rmtree(export)
    adloom("creatives", "export", run, str(export), env=env)
    return export


if __name__ == "__main__":
    main()
