"""`python -m mlcore`: one JSON object per film, plain errors, figures that agree with the card."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from mlcore.__main__ import main
from mlcore.training.dataset import DEFAULT_DATA
from mlcore.training.evaluate import differences
from tests.films import synthetic_film


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    synthetic_film(2, (300, 260)).save(path)
    return path


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_films_after_a_bad_file_are_still_predicted(
    film: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "notes.jpg"
    wrong.write_text("no film")
    status = main(["predict", "missing.png", str(wrong), str(film), "--model", str(tiny_folder), "--json"])
    lines = lines_of(capsys)
    assert status == 1
    assert [line["state"] for line in lines] == ["rejected", "rejected", "predicted"]
    assert lines[0]["code"] == "file_unreadable"
    assert all(line["message"] for line in lines[:2])


def test_line_of_a_predicted_film_has_model_and_findings(
    film: Path, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", str(film), "--model", str(tiny_folder), "--json"]) == 0
    (line,) = lines_of(capsys)
    assert set(line) == {"file", "state", "code", "message", "model", "findings", "warnings"}
    assert set(line["model"]) == {"name", "version", "sha256"}  # type: ignore[call-overload]
    for finding in line["findings"]:  # type: ignore[attr-defined]
        assert set(finding) == {"label", "probability", "calibrated", "threshold", "word"}


def test_overlay_of_every_finding_is_a_picture_of_the_film_s_size(
    film: Path, tiny_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["predict", str(film), "--model", str(tiny_folder), "--overlay", str(tmp_path / "maps")])
    pictures = sorted((tmp_path / "maps").iterdir())
    assert [path.name for path in pictures] == [f"0001-film-{k}.png" for k in ("effusion", "normal", "pneumonia")]
    assert Image.open(pictures[0]).size == (300, 260)


def test_figures_of_the_card_are_found_again_from_the_films(
    tiny_folder: Path, film_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--data", str(film_folder), "--model", str(tiny_folder), "--replicates", "50"]
    assert main(["evaluate", *options, "--split", "test", "--json"]) == 0
    captured = capsys.readouterr()
    stored = json.loads((tiny_folder / "card.json").read_text())["metrics"]["test"]
    assert differences(stored, json.loads(captured.out), tolerance=1e-4) == []
    assert "Same as the card." in captured.err


def test_card_that_flatters_is_found_out(
    tiny_folder: Path, film_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_folder, folder)
    value = json.loads((folder / "card.json").read_text())
    value["metrics"]["test"]["parts"]["pooled"]["figures"]["accuracy"]["value"] = 0.999
    (folder / "card.json").write_text(json.dumps(value))
    options = ["--data", str(film_folder), "--model", str(folder), "--replicates", "50"]
    assert main(["evaluate", *options]) == 1
    assert "pooled.figures.accuracy.value" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["evaluate"], ["train", "--out", "unused"]])
def test_missing_data_is_a_sentence_and_status_two(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--data", str(tmp_path / "nowhere")]) == 2
    assert "--data" in capsys.readouterr().err


def test_missing_model_is_a_sentence_and_status_two(film: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", str(film), "--model", "nowhere"]) == 2
    assert "card.json" in capsys.readouterr().err


def test_help_does_not_load_tensorflow() -> None:
    code = (
        "import sys\nfrom mlcore.__main__ import main\n"
        "try:\n    main(['predict', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    assert "--overlay" in done.stdout


@pytest.mark.skipif(not DEFAULT_DATA.is_dir(), reason="../shared/data/cxr256 is not here")
def test_bundled_model_reads_real_films(capsys: pytest.CaptureFixture[str]) -> None:
    films = [next((DEFAULT_DATA / label).glob("*.jpg")) for label in ("normal", "pneumonia", "effusion")]
    main(["predict", *map(str, films), "--json"])
    assert [line["state"] for line in lines_of(capsys)] == ["predicted"] * 3


def test_a_study_command_without_its_packages_says_how_to_install_them(tmp_path: Path) -> None:
    code = (
        "import sys\nsys.modules['optuna'] = None\nfrom mlcore.__main__ import main\n"
        f"sys.exit(main(['tune', '--networks', 'vgg16', '--storage', 'x.journal', '--out', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "make study" in done.stderr
