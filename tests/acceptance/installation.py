"""An installation of adloom in a temporary folder, driven by the commands a user types."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
DEMO_FEED = ROOT / "demo" / "products" / "feed.tsv"
SALEOR = ROOT.parent / "shared" / "data" / "saleor"
ADLOOM = Path(sys.executable).with_name("adloom")


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Installation:
    home: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def call(self, *arguments: str, **env: str) -> Answer:
        """Runs `adloom ARGUMENTS` and returns what it printed, whatever its exit code."""
        done = subprocess.run(
            [str(ADLOOM), *arguments],
            env={**self.env, **env},
            cwd=ROOT,
            check=False,
            text=True,
            capture_output=True,
            timeout=600,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str) -> Any:
        """Runs `adloom ARGUMENTS --json`, which must succeed, and returns its document."""
        answer = self.call(*arguments, "--json")
        assert answer.code == 0, f"adloom {' '.join(arguments)}: {answer.err}\n{answer.out}"
        return answer.json

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `adloom ARGUMENTS` in a process of its own, to be killed or waited for."""
        with (self.home / "started.log").open("ab") as log:
            process = subprocess.Popen(
                [str(ADLOOM), *arguments], env=self.env, cwd=ROOT, stdout=log, stderr=log
            )
        self.started.append(process)
        return process

    def down(self) -> Answer:
        """`adloom down`, and the end of what a test that failed midway has left of its own."""
        for process in self.started:
            process.kill()
            process.wait()
        return self.call("down")


def new_installation(folder: Path, **env: str) -> Installation:
    """An installation whose every file lies in `folder`; `up` has not been called."""
    home = folder / "home"
    home.mkdir(parents=True)
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("ADLOOM_", "PREFECT_"))}
    return Installation(home, {**inherited, "ADLOOM_HOME": str(home), "HOME": str(folder), **env})


def copy_shop(source: Path, folder: Path, products: Collection[str]) -> Path:
    """Copies a feed's rows of `products`, and its photos, and returns the new feed."""
    shutil.copytree(source.parent, folder, copy_function=shutil.copyfile)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    feed = folder / source.name
    header, *rows = feed.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [row for row in rows if row.split("\t")[0] in products]
    assert len(kept) == len(products)
    feed.write_text(header + "".join(kept), encoding="utf-8")
    return feed


def campaign_yaml(name: str, scenes: list[str], **more: Any) -> str:
    """A small campaign: few steps, one format, and a gate that every render passes."""
    spec = {
        "campaign": name,
        "scenes": scenes,
        "formats": ["1:1"],
        "steps": 3,
        "finishing": {"detail_lock": False},
        "gates": [{"score": "model.identity", "min": -1.0}],
        **more,
    }
    return json.dumps(spec)  # JSON is YAML
