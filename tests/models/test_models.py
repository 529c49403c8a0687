import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from twinrank.errors import InputError
from twinrank.models.comparators import LatentOrder
from twinrank.models.encode import Encode
from twinrank.models.registry import create_model, entries
from twinrank.models.siamese import SiameseNet, probability
from twinrank.randomness import torch_generator

NAMES = [entry.name for entry in entries()]


def random_images(n: int, seed: int, channels: int = 1, height: int = 28, width: int = 28) -> torch.Tensor:
    generator = torch_generator(seed, "images")
    images = torch.randint(256, (n, channels, height, width), generator=generator, dtype=torch.uint8)
    covered = torch.rand(n, 1, height, width, generator=generator) < 0.3
    return images.masked_fill(covered, 0)


def trained_a_little(name: str) -> SiameseNet:
    """Weights and statistics as they are in use, not as they are at the start."""
    torch.manual_seed(1)
    model = create_model(name)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    for step in range(3):
        model(random_images(16, step), random_images(16, step + 10))
    return model.eval()


MODELS = {name: trained_a_little(name) for name in NAMES}


@settings(max_examples=25)
@given(n=st.integers(1, 70), seed=st.integers(0, 2**32), bfloat16=st.booleans())
@pytest.mark.parametrize("name", NAMES)
def test_swapping_the_images_negates_the_logit_to_the_bit(name: str, n: int, seed: int, bfloat16: bool) -> None:
    model = MODELS[name]
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
    assert torch.equal(MODELS[name](images, images), torch.zeros(5))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("channels", "height", "width"), [(1, 28, 28), (3, 28, 28), (1, 8, 8), (1, 9, 31), (3, 64, 40)]
)
def test_every_network_takes_every_image_and_learns_with_every_parameter(
    name: str, channels: int, height: int, width: int
) -> None:
    torch.manual_seed(0)
    model = create_model(name, channels)
    logit = model(*(random_images(4, seed, channels, height, width) for seed in (0, 1)))
    logit.square().sum().backward()
    assert logit.isfinite().all()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


def test_the_baseline_is_the_guides() -> None:
    model = create_model("compare_net", options={"antisymmetric": False})
    assert sum(parameter.numel() for parameter in model.parameters()) == 175_681
    assert not model.antisymmetric
    assert [type(layer).__name__ for layer in model.tower.children()] == [
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"),
        *("Conv2d", "BatchNorm2d", "ReLU"),
        *("AdaptiveAvgPool2d", "Flatten", "Linear", "ReLU", "Dropout"),
    ]
    xa, xb = random_images(8, 0), random_images(8, 1)
    assert not torch.equal(model.eval()(xa, xb), -model(xb, xa))


def test_uint8_and_float_images_are_the_same_to_a_network() -> None:
    xa, xb = random_images(6, 3), random_images(6, 4)
    model = MODELS["order_net"]
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
    ("name", "options", "said"),
    [
        ("ordernet", {}, "model 'ordernet' does not exist; choose from compare_net, order_net"),
        ("order_net", {"depth": 3}, "has no option 'depth'; it has width, levels, mask"),
        ("order_net", {"width": 8.5}, "option 'width' is 8.5, not int"),
        ("order_net", {"mask": 1}, "option 'mask' is 1, not bool"),
        ("order_net", {"levels": 0}, "option 'levels' is 0; it is at least 1"),
    ],
)
def test_wrong_names_and_options_are_refused(name: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=said):
        create_model(name, options=options)
