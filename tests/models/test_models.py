import math
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from twinrank.config import TrainConfig
from twinrank.core.torch_random import torch_generator
from twinrank.errors import InputError
from twinrank.models.comparators import LatentOrder
from twinrank.models.encode import Encode
from twinrank.models.fusion import fusion_comparator
from twinrank.models.names import FUSIONS
from twinrank.models.profile import multiply_adds, parameters
from twinrank.models.registry import create_model, entries, entry
from twinrank.models.siamese import SiameseNet, probability
from twinrank.models.towers.convolution import Convolution
from twinrank.models.weights import load_weights, save_weights

NAMES = [each.name for each in entries()]
SMALL = {"width_mult": 0.125, "depth_mult": 0.25, "feat_dim": 16, "width": 4, "levels": 4}


def small(name: str) -> dict[str, object]:
    """Options that make a network quick."""
    return {key: value for key, value in SMALL.items() if key in entry(name).options}


def random_images(n: int, seed: int, channels: int = 1, height: int = 28, width: int = 28) -> torch.Tensor:
    generator = torch_generator(seed, "images")
    images = torch.randint(256, (n, channels, height, width), generator=generator, dtype=torch.uint8)
    covered = torch.rand(n, 1, height, width, generator=generator) < 0.3
    return images.masked_fill(covered, 0)


def trained_a_little(name: str) -> SiameseNet:
    """Weights and statistics as they are in use, not as they are at the start."""
    torch.manual_seed(1)
    model = create_model(name, options=small(name))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    for step in range(3):
        model(random_images(16, step), random_images(16, step + 10))
    return model.eval()


kept = cache(trained_a_little)
"""One network of each name, for all examples of a test."""


@settings(max_examples=15)
@given(n=st.integers(1, 70), seed=st.integers(0, 2**32), bfloat16=st.booleans())
@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_images_negates_the_logit_to_the_bit(name: str, n: int, seed: int, bfloat16: bool) -> None:
    model = kept(name)
    assert model.antisymmetric
    model.precision = "bfloat16" if bfloat16 else "float32"
    xa, xb = random_images(n, seed), random_images(n, seed + 1)
    with torch.inference_mode():
        forward, backward = model(xa, xb), model(xb, xa)
    assert forward.dtype == torch.float32
    assert forward.shape == (n,)
    assert torch.equal(forward, -backward)
    assert torch.equal(probability(forward) + probability(backward), torch.ones(n))


@given(st.lists(st.floats(-200, 200, width=32), min_size=1, max_size=50))
def test_probabilities_of_a_pair_and_its_mirror_add_up_to_one_exactly(logits: list[float]) -> None:
    z = torch.tensor(logits, dtype=torch.float32)
    assert torch.equal(probability(z) + probability(-z), torch.ones(len(logits)))
    torch.testing.assert_close(probability(z), torch.sigmoid(z))


@pytest.mark.parametrize("name", NAMES)
def test_equal_images_are_a_tie(name: str) -> None:
    images = random_images(5, 0)
    assert torch.equal(trained_a_little(name)(images, images), torch.zeros(5))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("channels", "height", "width"),
    [(1, 28, 28), (3, 28, 28), (1, 32, 32), (1, 64, 64), (3, 64, 64), (1, 8, 8), (1, 9, 31), (3, 67, 90)],
)
def test_every_network_takes_every_image_and_learns_with_every_parameter(
    name: str, channels: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    model = create_model(name, channels, min(height, width), small(name))
    logit = model(*(random_images(4, seed, channels, height, width) for seed in (0, 1)))
    logit.square().sum().backward()
    assert logit.shape == (4,)
    assert logit.isfinite().all()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize(("height", "width", "groups"), [(1, 1, 32), (1, 1, 1), (3, 1, 1), (1, 4, 32), (5, 6, 1)])
def test_gradients_do_not_hold_what_was_in_memory(height: int, width: int, groups: int) -> None:
    torch.manual_seed(0)
    images = torch.randn(4, 32, height, width).to(torch.bfloat16, memory_format=torch.channels_last)
    convolution = Convolution(32, 32, 5, 2, groups).to(torch.bfloat16)
    usual = nn.functional.conv2d(images, convolution.weight, None, 2, 2, groups=groups)
    assert torch.equal(convolution(images), usual)
    for _ in range(3):
        stale = [torch.full((1 << size,), math.nan, dtype=torch.bfloat16) for size in range(4, 16) for _ in range(20)]
        del stale
        (gradient,) = torch.autograd.grad(convolution(images).square().sum(), convolution.weight)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_network_is_rebuilt_from_its_file(name: str, channels: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    description = {"name": name, "options": small(name), "channels": channels, "image_size": 28}
    model = create_model(name, channels, 28, small(name)).eval()
    save_weights(tmp_path / "weights.safetensors", model, description)
    rebuilt = load_weights(tmp_path / "weights.safetensors")
    images = [random_images(5, seed, channels) for seed in (0, 1)]
    assert torch.equal(model(*images), rebuilt(*images))


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("compare_net", {}, 175_681),
        ("resnet_optimized", {}, 3_204_618),
        ("resnet_optimized_1.12", {}, 4_754_698),
        ("resnet_fusion", {}, 4_785_818),
        ("improved_v2", {}, 4_000_000),
    ],
)
def test_networks_have_the_guides_number_of_parameters(name: str, options: dict[str, object], count: int) -> None:
    ours = parameters(create_model(name, options=options))
    assert ours == pytest.approx(count, rel=0.03 if name == "improved_v2" else 0.01)
    guides = parameters(create_model(name, options=options | {"mask": False, "antisymmetric": False}))
    assert guides == count or name == "improved_v2"


@pytest.mark.parametrize("options", [{"width": 4096}, {"views": 2}, {"width": 4.5}, {"width": 4, "wide": 1}])
def test_weights_that_describe_another_network_are_refused_before_it_is_built(
    options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, description = tmp_path / "weights.safetensors", {"name": "order_net", "channels": 1, "image_size": 28}
    save_weights(path, create_model("order_net", options={"width": 4}), description | {"options": options})

    def read(path: Path) -> None:
        raise AssertionError("read before the network's size was known to fit")

    monkeypatch.setattr("twinrank.models.weights.read_tensors", read)
    with pytest.raises(
        InputError, match=r"not the weights of a network|option 'views' is 2|option 'width' is 4\.5|wide"
    ):
        load_weights(path)


@pytest.mark.parametrize(
    "description",
    [{}, {"name": 3}, {"name": "fpn", "options": [], "channels": 1, "image_size": 28}],
    ids=["none", "name", "options"],
)
def test_a_bent_description_of_weights_is_one_line(description: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_weights(path, create_model("order_net", options={"width": 4}), description)
    with pytest.raises(InputError, match=r"weights.safetensors: not the weights of a network \("):
        load_weights(path)


def test_weights_with_more_blocks_than_tensors_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    description = {"name": "resnet_optimized", "channels": 1, "image_size": 28, "options": {"layers": [256] * 3}}
    save_weights(path, create_model("order_net", options={"width": 4}), description)
    with pytest.raises(InputError, match="not the weights of a network of this version"):
        load_weights(path)


def test_options_of_networks_and_training_have_names_of_their_own() -> None:
    taken = {field.name for field in fields(TrainConfig)} | {"train", "val", "out", "threads"}
    for each in entries():
        assert not taken & each.options.keys()


def test_options_have_their_effects() -> None:
    assert parameters(create_model("resnet_optimized", options={"layers": [3, 3, 3]})) == 4_754_698 + 576
    wide, narrow = (create_model("fpn", options={"width_mult": each, "feat_dim": 32}) for each in (0.5, 0.25))
    assert parameters(wide) > 3 * parameters(narrow)
    assert wide.tower.features == 32
    four = create_model("resnet_optimized", options={"layers": [1, 1, 1, 1], "width_mult": 0.125})
    assert four.tower.backbone.widths == (64,)
    deep = create_model("order_net", options={"width": 4, "layers": [2, 1]}).tower.backbone
    assert [sum(type(part).__name__ == "ResidualBlock" for part in stage) for stage in deep.stages] == [2, 1]
    assert deep.widths == (16,)
    bottleneck, basic = (
        create_model("resnet_optimized", options={"block": block, "width_mult": 0.25})
        for block in ("bottleneck", "basic")
    )
    assert parameters(bottleneck) < parameters(basic)
    assert not any(
        "CBAM" in type(part).__name__ for part in create_model("improved_v2", options={"attention": "none"}).modules()
    )
    assert len(create_model("fpn", options=small("fpn")).tower.backbone(torch.rand(2, 2, 28, 28))) == 3
    dropouts = {
        part.p for part in create_model("fpn", options={"dropout": 0.2}).modules() if isinstance(part, nn.Dropout)
    }
    assert sorted(dropouts) == pytest.approx([0.15, 0.2])


def test_larger_images_cost_about_the_same() -> None:
    costs = [multiply_adds(create_model("order_net", image_size=size), image_size=size) / 1e6 for size in (32, 64, 128)]
    assert max(costs) < 3 * min(costs)


def test_multiply_adds_are_counted() -> None:
    """A tower's stem by hand: 28 x 28 places, 9 x 1 inputs, 32 outputs, two images."""
    counted = multiply_adds(create_model("compare_net", options={"antisymmetric": False}))
    convolutions = 784 * 9 * 32 + 196 * 9 * 32 * 64 + 49 * 9 * 64 * 128
    assert counted == 2 * (convolutions + 128 * 128) + 256 * 256 + 256


@pytest.mark.parametrize("name", ["compare_net", "improved_v2", "fpn", "efficientnet_b0", "order_net"])
def test_computing_stages_again_changes_nothing(name: str) -> None:
    results = []
    for recompute in (False, True):
        torch.manual_seed(0)
        model = create_model(name, options=small(name))
        model.precision = "float32"
        model.set_recompute(recompute)
        torch.manual_seed(1)
        model(random_images(8, 0), random_images(8, 1)).square().sum().backward()
        grads = {f"gradient of {key}": parameter.grad for key, parameter in model.named_parameters()}
        results.append(model.state_dict() | grads)
    for key, value in results[0].items():
        torch.testing.assert_close(value, results[1][key], msg=key)


def test_fusions_that_cannot_know_the_order_decide_the_confidence() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 6, 16)
    order = fusion_comparator(16, FUSIONS).eval()
    assert torch.equal(order(a, b), -order(b, a))
    assert order(a, b).abs().min() > 0
    without = fusion_comparator(16, ("difference", "concatenation", "bilinear")).eval()
    without.load_state_dict({key: value for key, value in order.state_dict().items() if "confidence" not in key})
    factor = order(a, b) / without(a, b)
    assert ((factor > 0) & (factor < 2)).all()
    with pytest.raises(InputError, match="product,cosine do not depend on the order of the images"):
        fusion_comparator(16, ("product", "cosine"))
    symmetric = fusion_comparator(16, ("product", "cosine", "distance", "difference"), antisymmetric=False).eval()
    assert torch.equal(symmetric(a, b), symmetric(b, a)), "the guide's form of these four cannot know the order"


def test_the_baseline_is_the_guides() -> None:
    model = create_model("compare_net", options={"antisymmetric": False})
    assert sum(parameter.numel() for parameter in model.parameters()) == 175_681
    assert not model.antisymmetric
    assert [type(layer).__name__ for layer in model.tower.modules() if not list(layer.children())] == [
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU"),
        *("Linear", "ReLU", "Dropout"),
    ]
    xa, xb = random_images(8, 0), random_images(8, 1)
    assert not torch.equal(model.eval()(xa, xb), -model(xb, xa))


def test_uint8_and_float_images_are_the_same_to_a_network() -> None:
    xa, xb = random_images(6, 3), random_images(6, 4)
    model = trained_a_little("order_net")
    torch.testing.assert_close(model(xa, xb), model(xa.float() / 255, xb.float() / 255))


def test_the_mask_marks_what_is_zero_in_every_channel() -> None:
    images = random_images(2, 0, channels=3)
    images[0, :, 4, 5] = 0
    images[0, 1, 6, 7], images[0, 2, 6, 7] = 0, 9
    encode = Encode(3)
    encode.standardise(images)
    encoded = encode(images)
    assert encoded.shape == (2, 4, 28, 28)
    assert encoded[0, 3, 4, 5] == 1
    assert encoded[0, 3, 6, 7] == 0
    torch.testing.assert_close(encoded[:, :3].mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(encoded[:, :3].std((0, 2, 3)), torch.ones(3), atol=1e-5, rtol=0)


def test_images_that_are_encoded_bit_by_bit_give_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    images, encode = random_images(5, 0, channels=3).repeat(1, 1, 3, 3), Encode(3, image_size=84)
    whole = encode(images)
    monkeypatch.setattr("twinrank.models.encode._AT_A_TIME", 2 * images[0].numel())
    assert torch.equal(encode(images), whole)
    assert encode(images).stride() == whole.stride()


def test_the_latent_logit_is_the_log_odds_of_the_joint_table() -> None:
    head = LatentOrder(features=4, levels=3)
    head.table.data = torch.randn(3, 3, generator=torch_generator(0, "table"))
    left, right = (torch.randn(1, 3, generator=torch_generator(seed, "levels")).softmax(1) for seed in (1, 2))
    likelihood = head.table.detach().exp()
    odds = (left @ likelihood @ right.T) / (right @ likelihood @ left.T)
    torch.testing.assert_close(head.compare(left.log(), right.log()), odds.log().flatten())


def test_at_the_start_a_higher_level_outranks_a_lower_one() -> None:
    head = LatentOrder(features=4, levels=5)
    certain = torch.full((5, 5), -20.0).fill_diagonal_(0.0).log_softmax(1)
    logit = torch.stack([head.compare(certain, certain[[level] * 5]) for level in range(5)], 1)
    rank = torch.arange(5)
    assert torch.equal(logit.sign(), (rank[:, None] - rank).sign().float())


def test_levels_are_ranked_by_what_they_outrank() -> None:
    head = LatentOrder(features=4, levels=6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    place = order.argsort()
    noise = torch.randn(6, 6, generator=torch_generator(0, "noise"))
    head.table.data = 5 * (place[:, None] - place).sign().float() + noise.clamp(-2, 2)
    assert torch.equal(head.ranking(), order)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ordernet", {}, "model 'ordernet' does not exist; did you mean 'order_net'\\? It is one of compare_net, "),
        ("order_net", {"widht": 3}, "option 'widht'; did you mean 'width'\\? It is one of width, layers, levels, mask"),
        ("order_net", {"width": 8.5}, "option 'width' is 8.5; it must be a whole number"),
        ("order_net", {"mask": 1}, "option 'mask' is 1; it must be true or false"),
        ("order_net", {"levels": 0}, "option 'levels' is 0; it must be 2 to 4096"),
        ("fpn", {"layers": [2, 0]}, "option 'layers' is \\[2, 0\\]; it must be 1 to 256"),
        ("fpn", {"layers": 2}, "option 'layers' is 2; it must be a list, each a whole number"),
        ("fpn", {"dropout": 1.0}, "option 'dropout' is 1.0; it must be at least 0 and below 1"),
        ("fpn", {"width_mult": 0.0}, "option 'width_mult' is 0.0; it must be above 0 and at most 16"),
        ("fpn", {"fusions": ["sum"]}, "option 'fusions' is \\['sum'\\]; it must be a list, each one of difference, "),
        ("fpn", {"fusions": []}, "'fusions' is \\[\\]; it must be a list, each one of difference, concatenation"),
        (
            "order_net",
            {"layers": []},
            "'layers' is \\[\\]; it must be a list, each a whole number, with 1 to 8 entries",
        ),
        (
            "order_net",
            {"layers": [1] * 9},
            "'layers' is .*; it must be a list, each a whole number, with 1 to 8 entries",
        ),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_model(name, options=options)
