"""CheXNet checkpoints of PyTorch: read without running them, the same numbers in our network, no threshold invented."""

from __future__ import annotations

import base64
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlcore.__main__ import main
from mlcore.card import ModelCard, load_card
from mlcore.training.calibrate import FEWEST
from mlcore.training.chexnet_import import fill_member, state_of
from mlcore.training.films import TrainingError
from mlcore.training.tasks import CHESTXRAY14_LABELS
from mlcore.training.torch_file import read_checkpoint
from tests.mlcore import chexnet_reference
from tests.mlcore.fourteen import nih_folder

#: {"epoch": 3, "state_dict": OrderedDict(weight=arange(6.).reshape(2, 3).t(), count=tensor(7))} as PyTorch 2.13.0
#: saves it: as an archive, and in the form before 1.6. Compressed.
ARCHIVE = (
    "eNqlVE1v0zAYdpMuDRl06/jo2NDEMZNGl/RrGxNsilAuQaIUTaq4RFlqmmhZU6duJ5CQJgGTuMGFI+Jf8Af4A7tMIHHjMCEOu3LETtYsSdUO"
    "hlXXauPnw2/exzWNTQPA82BoTIMZYHimZffhctPARqGz46hKFjyNjX3mJQJiY4IAYMc1LZTS2IZAfnWxgaHetE2MGNN0HQea2HbbXeGR14Qe"
    "bD4gTwTELtZRWmxwBLAH7ZaF0YSJXaJa0HvYdrqC7sHtnu00dQzbXdfT+0UBcaLYyPgSrme0IMoEEEF1XAM/Cf4UEN9IkT0SutRgyWp2ekjQ"
    "OIwmH2tAYzXmAF3WiNcDdOWtRV1kMZqqo2n/JKbba2OUs4iQNSB/6LZbIfeMzy2jq5agpTC6RjgXFwOe6xjdqKN8r1eoaRn+w7eT+Xmyl87a"
    "yFLnwe2w1IVnrrdrYL0PvS6pl6rcSlQ8PmSq8vnk+ytqiM7RKnNg5UzltHa64dit9i5sY1UpjRUaMaplamBjD/1kiAQz1kAObIQGtp9j6NJO"
    "UJX1i+gOhmNj7EDq4c29HzdpH3FjPWTB/VhXL0uqcvc/DASs+xvka5N8yNwn89MmdZR/d/x+ljyYPcfRUtyRrCriXzvKnLJQvc7RsUsF+LF6"
    "U2A91AubbOWiJSgJVPnwY2vr/Pe/AIpnDegftQs9m3TgC4NeDbrdVJXCPxqRKlVZllYrxVJVXquuSJXiWlkqlitVqVySVuXqGllXi7Ifky+t"
    "X69F4kP0Xaao2dBnNKjTQ86T92ASHQ1gPobcSYFR0U6SREM0FyM5jJIMJTfJEw1CLsZTZ8BwAJPwaNdmY/AjBiSyk8RGOzCOtdgEVk5ioz00"
    "FcN+jWBH1C76ahfiZ06Dc5qupnHc0qBF2Tshkk+sk0yw/k4PIsf56WNPMxjcvhNcgOH9/cHeP3aonME="
)
STREAM = (
    "eNptkLlOw0AQhn0EB5b7Fh1l0qQISXAqKBDNcobGDbLCehUvsryZ9RgEElIqBDwDBSWvxiMgUTB2uApWe2jn+v6ZkfPEko/n/ffNy9eTjcbI"
    "OXxz6b4DqxYsWJY1NBq10El4JU2mdAo2BQSz5EkUYiJDmUaqn4LzEDAy4s1Qhpm6lRm4d1CpBRNkzGJtECa4E7j0UymCxytBpaih0wFUeSXP"
    "v5lFvBxqEYPN3bJkhn2UYaQEgiNISSIFkpCMHZtIGhntkYeBW+8VOI8SrqUaxMQTqI2IG2GOKslYaORFrpIoRJlm2oRXTQZerRZUS4Q2/YGE"
    "6jiF7Se6j2djI4PJYI5iuq3tdqfjb3VbftP3YarsRQxzYNw7Qpg+5RZ3uXMPM5yU38PsY1xomkOY78FC2ZfQOfW+GBM2/kYd0AR+SEu/pHZ3"
    "u91qdZs+LMeM20RYIUK9Pq66irDWg/VybOfF2P7Js/+T7ciGbY1X9ev1rL9rtEPXLm06Izovu5+ysI2K"
)


@pytest.fixture(params=[ARCHIVE, STREAM], ids=["archive", "stream"])
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "small.pt"
    path.write_bytes(zlib.decompress(base64.b64decode(request.param)))
    return path


def torch_archive(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """A state dict in the bytes of `torch.save`, written without PyTorch."""
    pickled = bytearray(b"\x80\x02}(")

    def text(value: str) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value.encode()

    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"J" + value.to_bytes(4, "little", signed=True) for value in values) + b"t"

    with zipfile.ZipFile(path, "w") as archive:
        for key, (name, value) in enumerate(tensors.items()):
            steps = tuple(step // value.itemsize for step in value.strides)
            storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(str(key)) + text("cpu")
            storage += b"J" + value.size.to_bytes(4, "little") + b"tQ"
            pickled += text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00"
            pickled += numbers(value.shape) + numbers(steps) + b"\x89ccollections\nOrderedDict\n)RtR"
            archive.writestr(f"archive/data/{key}", value.tobytes())
        archive.writestr("archive/data.pkl", bytes(pickled) + b"u.")


# --- reading


def test_both_forms_of_checkpoint_give_their_tensors(small: Path) -> None:
    value = read_checkpoint(small)
    assert value["epoch"] == 3
    np.testing.assert_array_equal(value["state_dict"]["weight"], np.arange(6, dtype=np.float32).reshape(2, 3).T)
    assert value["state_dict"]["count"] == 7


def test_archive_written_by_hand_reads_back(tmp_path: Path) -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(4, np.float32)}
    torch_archive(tmp_path / "hand.pt", tensors)
    read = read_checkpoint(tmp_path / "hand.pt")
    assert list(read) == ["a", "b"]
    np.testing.assert_array_equal(read["a"], tensors["a"])


class Malicious:
    """Unpickled, it would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("form", ["archive", "stream"])
def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path: Path, form: str) -> None:
    evil = pickle.dumps({"state_dict": Malicious(tmp_path / "harm")}, protocol=2)
    path = tmp_path / "evil.pt"
    if form == "archive":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", evil)
    else:
        path.write_bytes(evil)
    with pytest.raises(TrainingError, match=r"could run code.*state_dict\(\)"):
        read_checkpoint(path)
    assert not (tmp_path / "harm").exists()


def test_tensor_that_leaves_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.pt"
    wide = np.lib.stride_tricks.as_strided(np.ones(2, np.float32), (2,), (4000,))
    torch_archive(path, {"wide": np.ones(2, np.float32)})
    with zipfile.ZipFile(path) as archive:
        pickled, numbers = archive.read("archive/data.pkl"), archive.read("archive/data/0")
    with zipfile.ZipFile(path, "w") as archive:
        stride = (wide.strides[0] // 4).to_bytes(4, "little")
        archive.writestr("archive/data.pkl", pickled.replace(b"J\x01\x00\x00\x00t", b"J" + stride + b"t"))
        archive.writestr("archive/data/0", numbers)
    with pytest.raises(TrainingError, match="leaves its storage"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", pickle.dumps({"weights": [1, 2]})])
def test_file_that_is_no_checkpoint_is_said_plainly(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pt").write_bytes(content)
    with pytest.raises(TrainingError, match="is not a checkpoint"):
        read_checkpoint(tmp_path / "weights.pt")


def test_checkpoint_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.pt"
    path.write_bytes(zlib.decompress(base64.b64decode(STREAM))[:-4])
    with pytest.raises(TrainingError, match="too early"):
        read_checkpoint(path)


# --- names and places


@pytest.mark.parametrize(
    "name",
    [
        "module.densenet121.features.denseblock1.denselayer2.norm.1.weight",
        "densenet121.features.denseblock1.denselayer2.norm1.weight",
        "features.denseblock1.denselayer2.norm1.weight",
    ],
)
def test_names_of_every_release_mean_the_same_tensor(name: str) -> None:
    assert list(state_of({"epoch": 1, "state_dict": {name: np.ones(1)}})) == [
        "features.denseblock1.denselayer2.norm1.weight"
    ]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("module.densenet121.classifier.0.weight", "classifier.weight"),
        ("features.norm0.weight", "features.norm0.weight"),
        ("features.transition1.conv.weight", "features.transition1.conv.weight"),
        ("module.densenet121.features.denseblock4.denselayer16.conv.2.weight",
         "features.denseblock4.denselayer16.conv2.weight"),
    ],
)  # fmt: skip
def test_names_become_those_of_torchvision(name: str, plain: str) -> None:
    assert list(state_of({name: np.ones(1)})) == [plain]


def test_counters_of_batches_are_no_weights() -> None:
    assert state_of({"features.norm0.num_batches_tracked": np.array(3)}) == {}


@pytest.mark.parametrize("checkpoint", [[1, 2], {"state_dict": {"a": "text"}}, {"epoch": 3}])
def test_checkpoint_without_a_state_dict_is_refused(checkpoint: Any) -> None:
    with pytest.raises(TrainingError, match="no state dict"):
        state_of(checkpoint)


@pytest.fixture(scope="module")
def stem() -> Any:
    """The first convolution of a DenseNet121 and a head, as `build_member` nests them."""
    import keras

    film = keras.Input((8, 8, 3))
    inner = keras.Model(film, keras.layers.Conv2D(4, 7, use_bias=False, name="conv1_conv", padding="same")(film))
    return keras.Model(film, keras.layers.Conv2D(14, 1, name="head")(inner(film)))


def stem_state(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    state = {
        "features.conv0.weight": np.ones((4, 3, 7, 7), np.float32),
        "classifier.weight": np.ones((14, 4), np.float32),
        "classifier.bias": np.ones(14, np.float32),
    } | {name.replace("_", "."): value for name, value in changes.items()}
    return {name: value for name, value in state.items() if value is not None}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"features_conv0_weight": None}, "features.conv0 holds nothing"),
        ({"features_conv0_weight": np.ones((4, 1, 7, 7), np.float32)}, r"features.conv0 holds weight \(4, 1, 7, 7\)"),
        ({"classifier_weight": np.ones((18, 4), np.float32)}, "14 findings"),
        ({"features_extra_weight": np.ones(1, np.float32)}, "also holds features.extra.weight"),
    ],
)
def test_checkpoint_of_another_network_is_refused(stem: Any, change: dict[str, Any], said: str) -> None:
    fill_member(stem, stem_state())
    with pytest.raises(TrainingError, match=said):
        fill_member(stem, stem_state(**change))


# --- the whole way, on the real network


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of the fabricated checkpoint, fitted on films of which effusion alone has enough."""
    place = tmp_path_factory.mktemp("chexnet")
    checkpoint = place / "model.pth.tar"
    torch_archive(checkpoint, chexnet_reference.state())
    data = nih_folder(place / "films", val=2 * FEWEST, test=8)
    arguments = ["chexnet", str(checkpoint), "--data", str(data), "--out", str(place / "model")]
    assert main([*arguments, "--size", str(chexnet_reference.SIDE), "--replicates", "20"]) == 0
    return place / "model"


@pytest.fixture(scope="module")
def card(imported: Path) -> ModelCard:
    return load_card(imported)


def test_imported_network_says_what_pytorch_says(imported: Path, card: ModelCard) -> None:
    from mlcore.backbones import build_served
    from mlcore.card import WEIGHTS_FILE

    network = build_served(card.architecture)
    network.load_weights(imported / WEIGHTS_FILE)
    probabilities, _ = network(chexnet_reference.films(), training=False)
    expected = np.array(chexnet_reference.LOGITS)
    logits = np.log(probabilities) - np.log1p(-np.asarray(probabilities))
    np.testing.assert_allclose(logits, expected, atol=1e-4)
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-expected)), atol=1e-4)


def test_finding_without_enough_validation_films_is_not_trained(card: ModelCard) -> None:
    assert tuple(label.key for label in card.labels) == CHESTXRAY14_LABELS
    assert card.label_keys == ("effusion",)
    assert set(card.operating_points) == {"effusion"}


def test_card_of_an_import_says_where_weights_and_figures_come_from(card: ModelCard) -> None:
    assert len(card.training["checkpoint_sha256"]) == 64
    assert "flatter" in " ".join(card.limitations)
    assert card.metrics["test"]["labels"] == ["effusion"]


def test_without_films_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "model"
    assert main(["chexnet", str(tmp_path / "w.pt"), "--data", str(tmp_path), "--out", str(out)]) == 2
    assert "films" in capsys.readouterr().err
    assert not out.exists()
