"""`adloom adprod` over a folder of made-up ads."""

import json
from pathlib import Path

from typer.testing import CliRunner

from cli.main import app
from tests.unit.training.adprod.pictures import ad, save


def test_build_then_check_then_a_file_goes_missing(tmp_path: Path) -> None:
    save(tmp_path, "ads/cup/1.png", ad(1))
    (tmp_path / "captions.csv").write_text("image,caption\n1.png,a ball\n")
    run = CliRunner().invoke
    out = str(tmp_path / "out")
    built = run(app, [
        "adprod", "build", str(tmp_path / "ads"), out, "--captions",
        str(tmp_path / "captions.csv"), "--shorter-px", "200", "--confidence", "0.3", "--json",
    ])  # fmt: skip
    assert built.exit_code == 0, built.output
    assert json.loads(built.stdout)["accepted"] == 1
    checked = run(app, ["adprod", "check", out, "--json"])
    assert json.loads(checked.stdout)["categories"] == {"cup": 5}
    (lost,) = (tmp_path / "out" / "Product Image").glob("*_02.png")
    lost.unlink()
    again = run(app, ["adprod", "check", out, "--json"])
    assert again.exit_code == 1
    assert json.loads(again.stdout)["missing"] == [f"Product Image/{lost.name}"]
